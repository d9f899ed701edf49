//! Verification.

pub(crate) mod group;
pub(crate) mod outboard;
pub(crate) mod verifier;
