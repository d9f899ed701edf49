use std::time::Duration;

use driblet_core::Version;

/// What a pull brought, and what it cost.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The version that the destination now is.
    pub version: Version,
    /// Its length in bytes.
    pub len: u64,
    /// Bytes sent: request bodies, and the version names in URLs.
    pub sent: u64,
    /// Bytes received: response bodies.
    pub received: u64,
    /// Requests made.
    pub requests: u32,
    /// What the delta was made against.
    pub basis: BasisKind,
    /// Bytes of the file that were copied from what was held.
    pub reused: u64,
    /// Wall time.
    pub elapsed: Duration,
}

/// What a delta was made against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BasisKind {
    /// What was held is the head.
    Same,
    /// A version in the server's history.
    Version,
    /// The chunks that matched.
    Matched,
    /// Nothing.
    None,
}

impl BasisKind {
    /// The name in statistics: `same`, `version`, `matched` or `none`.
    pub fn name(self) -> &'static str {
        match self {
            BasisKind::Same => "same",
            BasisKind::Version => "version",
            BasisKind::Matched => "matched",
            BasisKind::None => "none",
        }
    }
}
