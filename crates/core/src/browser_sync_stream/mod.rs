//! The protocol of the package browser-sync-stream: chunks by Rabin fingerprint, announced by their SHA-256 hash.
//!
//! The formats are those of `spec/browser-sync-stream.md`. A [`Cutter`] cuts a file as npm `rabin` does. A [`Receiver`]
//! announces the chunks that it holds. For each chunk of the file, a [`Sender`] then sends the chunk's hash, and the
//! chunk's bytes if the receiver did not announce it. Neither side holds a file: the sender works with [`RabinChunk`]s,
//! and the receiver gives out one verified chunk at a time. **After each `handle_…` call, poll until nothing new
//! comes.**
//!
//! ```
//! use driblet_core::browser_sync_stream::{Cutter, RabinOptions};
//! use driblet_core::browser_sync_stream::{MAX_CHUNK, Receiver, ReceiverEvent, Sender, SenderEvent};
//!
//! let file = b"one driblet and another ".repeat(999);
//! let mut cutter = Cutter::new(RabinOptions::new().bits(8).min(64).max(512))?;
//! cutter.handle_input(&file);
//! cutter.handle_end();
//!
//! let (mut sender, mut receiver) = (Sender::new(1000), Receiver::new(MAX_CHUNK));
//! receiver.end_announcing();
//! while let Some(bytes) = receiver.poll_output() {
//!     sender.handle_input(&bytes);
//! }
//! assert_eq!(sender.poll_event()?, SenderEvent::Listed);
//! while let Some(chunk) = cutter.poll_chunk() {
//!     let mut message = Vec::new();
//!     if sender.put_head(&chunk, &mut message) {
//!         message.extend_from_slice(&file[chunk.range()]);
//!     }
//!     receiver.handle_input(&message);
//! }
//! receiver.handle_end();
//! let mut received = Vec::new();
//! loop {
//!     match receiver.poll_event()? {
//!         ReceiverEvent::New { bytes, .. } => received.extend_from_slice(bytes),
//!         ReceiverEvent::Done => break,
//!         event => unreachable!("nothing was announced, and all input was handed in: {event:?}"),
//!     }
//! }
//! assert_eq!(received, file);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chunk;
mod cutter;
mod error;
mod frames;
mod index;
mod options;
mod receiver;
mod sender;

pub use chunk::{ChunkHash, RabinChunk};
pub use cutter::Cutter;
pub use error::WireError;
pub use index::ChunkIndex;
pub use options::{BadOptions, MAX_CHUNK, RabinOptions};
pub use receiver::{Receiver, ReceiverEvent};
pub use sender::{Sender, SenderEvent};
