//! The protocol of browser-sync-stream in driblet-core, for JavaScript. This crate only converts.
//!
//! It is a module of its own, because callers use either driblet's protocol or this one. Callers pass bytes in as
//! copies, in pieces of some kilobytes; they read a new chunk from the module's memory. An error becomes an exception;
//! its `code` is that of a `SyncError`.

#![forbid(unsafe_code)]

mod chunks;
mod codes;
#[path = "../../wasm/src/exception.rs"]
mod exception;
mod receiver;
mod sender;

pub use chunks::{Chunks, hash};
pub use receiver::{Came, Receiver};
pub use sender::{Asked, Sender};
