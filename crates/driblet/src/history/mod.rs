//! The versions that a server stores, so that it can make deltas from them.

mod contract;
mod directory;
mod epoch;
mod error;
mod index;
mod index_file;
mod row;
mod segments;
mod stored_version;
pub(crate) mod version_text;

pub(crate) use contract::{Candidate, Head, History, HistorySize, Observation, StagedBytes, StagedVersion};
pub use contract::{HistoryLimits, PathVersions, VersionRecord};
pub(crate) use directory::DirectoryHistory;
pub(crate) use epoch::Epoch;
pub use error::{HistoryError, IndexError};
pub(crate) use stored_version::StoredVersion;
