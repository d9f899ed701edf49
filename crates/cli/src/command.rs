//! The commands, one file each.

pub(crate) mod diff;
pub(crate) mod patch;
pub(crate) mod pull;
pub(crate) mod serve;
