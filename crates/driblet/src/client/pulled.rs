use std::time::Duration;

use driblet_core::Version;

/// The result of a pull, and its cost.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Pulled {
    /// The version of the destination.
    pub version: Version,
    /// The length of the destination in bytes.
    pub len: u64,
    /// Bytes sent: request bodies, and the versions in URLs.
    pub sent: u64,
    /// Bytes received: response bodies.
    pub received: u64,
    /// The number of requests.
    pub requests: u32,
    /// The basis of the delta.
    pub basis: BasisKind,
    /// Bytes that were copied from the held file.
    pub reused: u64,
    /// How long the pull took.
    pub elapsed: Duration,
}

/// The basis of a delta.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum BasisKind {
    /// The held file is the head already.
    Same,
    /// The held file is a version in the server's history.
    Version,
    /// Chunks of the held file that the head has too.
    Matched,
    /// Nothing.
    None,
}

impl BasisKind {
    /// The name in statistics: `same`, `version`, `matched` or `none`.
    ///
    /// ```
    /// assert_eq!(driblet::BasisKind::Matched.name(), "matched");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            BasisKind::Same => "same",
            BasisKind::Version => "version",
            BasisKind::Matched => "matched",
            BasisKind::None => "none",
        }
    }
}
