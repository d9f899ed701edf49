//! The commands, one file each.

pub(crate) mod auth;
pub(crate) mod diff;
pub(crate) mod history;
pub(crate) mod patch;
pub(crate) mod publish;
pub(crate) mod pull;
mod pull_directory;
mod pull_file;
mod pull_watch;
pub(crate) mod serve;
