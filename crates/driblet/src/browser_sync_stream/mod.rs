//! The wire of browser-sync-stream, so that its clients and servers can be replaced one side at a time.
//!
//! [`send`] and [`receive`] speak it over any duplex stream of bytes; a [`Server`](crate::Server) answers WebSockets with it, and [`pull`] is
//! the client of such a server, or of an original one. The bytes, and what each side must check, are in `spec/browser-sync-stream.md`.
//!
//! The wire has no way to say that a file is complete: a stream that is cut exactly between two messages looks like its end. (A WebSocket
//! tells the two apart, where nothing between the sides hides it.) Nor are chunks compressed, and a file that differs in one byte costs a
//! chunk. [`client::pull`](crate::client::pull) has none of these limits; use it wherever both sides are driblet.
//!
//! ```
//! use driblet::browser_sync_stream::{MemoryStore, RabinOptions, receive, send};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let options = RabinOptions { bits: 9, min: 1024, max: 4096 };
//! let store = MemoryStore::default();
//! for _ in 0..2 {
//!     let (near, far) = tokio::io::duplex(64 << 10);
//!     let (sent, received) = tokio::join!(send(near, "Cargo.toml", options), receive(far, store.clone()));
//!     assert_eq!(received?.output, std::fs::read("Cargo.toml")?);
//!     sent?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(()) })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod file_store;
mod list;
mod lists;
mod memory_store;
mod message_batch;
mod pull;
mod receive;
mod send;
mod socket;
mod store;

pub use driblet_core::browser_sync_stream::{BadOptions, ChunkHash, RabinOptions, WireError};
pub use error::SendError;
pub use file_store::FileStore;
pub use memory_store::MemoryStore;
pub use pull::{pull, pull_to};
pub use receive::{Received, receive};
pub use send::{Sent, send};
pub use store::Store;

pub(crate) use list::ChunkList;
pub(crate) use lists::ChunkLists;
pub(crate) use send::{GAVE_UP, session};
pub(crate) use socket::{joined, server_side};
