//! The versions that a server keeps, so that it can make deltas against them.

mod contract;
mod directory;
mod error;
mod index;
mod stored_version;

pub use contract::Limits;
pub(crate) use contract::Staged;
pub(crate) use contract::{Head, History, Seen, StagedBytes};
pub(crate) use directory::DirectoryHistory;
pub use error::HistoryError;
pub(crate) use stored_version::Kept;
