//! The wire of browser-sync-stream: chunks by Rabin fingerprint, announced by their SHA-256.
//!
//! The bytes are those of `spec/browser-sync-stream.md`. [`Cutter`] cuts a file as npm `rabin` does. A [`Receiver`] announces the chunks that it holds; a
//! [`Sender`] then tells each chunk of the file by its hash, or by its hash and its bytes where it was not announced. Neither holds a file:
//! the sender works on [`Chunk`]s, the receiver gives out one chunk at a time, verified. **After each `handle_…` call, poll until nothing
//! new comes.**
//!
//! ```
//! use driblet_core::browser_sync_stream::{Cutter, MAX_CHUNK, RabinOptions, Receiver, ReceiverEvent, Sender, SenderEvent};
//!
//! let file = b"one driblet and another ".repeat(999);
//! let mut cutter = Cutter::new(RabinOptions { bits: 8, min: 64, max: 512 })?;
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

pub use chunk::{Chunk, ChunkHash};
pub use cutter::Cutter;
pub use error::WireError;
pub use index::ChunkIndex;
pub use options::{BadOptions, MAX_CHUNK, RabinOptions};
pub use receiver::{Receiver, ReceiverEvent};
pub use sender::{Sender, SenderEvent};
