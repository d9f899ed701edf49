//! What operators ask of a running server: to publish now, to list what the history has, to forget a version.
//!
//! A program that has the [`Server`](crate::Server) calls its methods. Other processes of the same user speak to it
//! through a socket in the folder of the history, with [`Control`]. `commands` does the work, `wire` is what passes
//! through the socket.

mod client;
mod commands;
mod error;
mod socket;
mod wire;

pub use client::{Control, ControlError};
pub use commands::{ForgottenVersions, PublishedSnapshot};
pub use error::{CommandError, PublishFailure};
pub use socket::ControlSocket;

pub use crate::history::{PathVersions, VersionRecord};
