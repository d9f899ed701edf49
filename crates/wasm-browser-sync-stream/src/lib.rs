//! driblet-core's browser-sync-stream for JavaScript: conversions, and nothing else.
//!
//! A module of its own, since who syncs by driblet's protocol does not need it, and who speaks the wire of browser-sync-stream needs no other. Bytes go in
//! as copies, for they come in pieces of some kilobytes; a new chunk is read where it lies. What is refused becomes an exception whose
//! `code` is that of a `SyncError`.

#![forbid(unsafe_code)]

mod chunks;
mod error;
mod receiver;
mod sender;

pub use chunks::{Chunks, hash};
pub use receiver::{Came, Receiver};
pub use sender::{Asked, Sender};
