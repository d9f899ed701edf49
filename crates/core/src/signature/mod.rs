//! Signatures.

pub(crate) mod chunk;
pub(crate) mod chunk_sizes;
mod listing;
pub(crate) mod matching;
mod tag_alignment;
pub(crate) mod tags;
