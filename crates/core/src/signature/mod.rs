//! Signatures: how a receiver describes what it holds to a server that does not know its version.

pub(crate) mod chunk;
pub(crate) mod chunk_sizes;
pub(crate) mod cuts;
mod listing;
pub(crate) mod matched_basis;
pub(crate) mod matching;
pub(crate) mod runs;
mod tag_alignment;
pub(crate) mod tags;
