//! Verification: a file is split into groups, and each group is verified before it is used.

pub(crate) mod group;
pub(crate) mod group_verifier;
pub(crate) mod outboard;
pub(crate) mod verified_groups;
