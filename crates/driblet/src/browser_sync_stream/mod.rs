//! The protocol of browser-sync-stream, so that its clients and servers can be replaced one side at a time.
//!
//! [`send`] and [`receive`] speak it over any duplex stream of bytes. A [`Server`](crate::Server) answers WebSockets
//! with it, and [`pull`] is a client for such a server, or for an original one. `spec/browser-sync-stream.md` defines
//! the bytes and what each side must check.
//!
//! The protocol has limits that [`Client::pull`](crate::Client::pull) does not have; use that wherever both sides are
//! driblet. It cannot say that a file is complete: a stream that is cut exactly between two messages looks complete. (A
//! WebSocket tells the two apart, unless a proxy hides how it ended.) Chunks are not compressed, and a file that
//! differs in one byte costs a whole chunk.
//!
//! ```
//! use driblet::browser_sync_stream::{MemoryStore, RabinOptions, receive, send};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let options = RabinOptions::new().bits(9).min(1024).max(4096);
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

#[cfg(feature = "client")]
mod client_socket;
mod error;
mod file_store;
mod list;
#[cfg(feature = "server")]
mod lists;
mod memory_store;
mod message_batch;
#[cfg(feature = "client")]
mod pull;
mod receive;
mod send;
#[cfg(feature = "server")]
mod server_socket;
#[cfg(any(feature = "server", feature = "client"))]
mod socket;
mod store;
#[cfg(feature = "client")]
mod watched_stream;

pub use driblet_core::browser_sync_stream::{BadOptions, ChunkHash, RabinOptions, WireError};
pub use error::SendError;
pub use file_store::FileStore;
pub use memory_store::MemoryStore;
#[cfg(feature = "client")]
pub use pull::{pull, pull_to};
pub use receive::{Received, receive};
pub use send::{Sent, send};
pub use store::Store;

pub use crate::transfer::{NetworkError, Phase, Progress, ProtocolError, PullError, PullState};

#[cfg(feature = "server")]
pub(crate) use list::ChunkList;
#[cfg(feature = "server")]
pub(crate) use lists::ChunkLists;
#[cfg(feature = "server")]
pub(crate) use send::{GAVE_UP, session};
#[cfg(feature = "server")]
pub(crate) use server_socket::server_side;
#[cfg(feature = "server")]
pub(crate) use socket::joined;
