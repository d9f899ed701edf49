//! Verification.

pub(crate) mod group;
pub(crate) mod group_verifier;
pub(crate) mod outboard;
pub(crate) mod verifier;
