//! Deltas and encoded files: made once, sent many times, kept under a budget of bytes.
//!
//! An artifact that a request waits for is made at a fast level and sent while it is made (`requested`, `spool`). A
//! smaller form is made in the background for later requests (`background`, `queue`). The forms that every first
//! visitor needs outlive the server (`store`). `choice` decides which artifact a receiver gets.

mod accepted;
mod ahead;
mod background;
mod cache;
mod choice;
mod coding;
mod deltas;
mod dictionary;
mod directories;
mod directory_plan;
mod error;
mod key;
mod made;
mod permits;
mod queue;
mod requested;
mod scratch_space;
#[cfg(feature = "shared-brotli")]
mod shared_brotli;
mod spool;
mod store;

pub(crate) use accepted::{Accepted, Link};
pub(crate) use cache::{ArtifactOptions, Artifacts};
pub(crate) use choice::{ChosenDelta, DeltaRequest, DictionaryRequest, EncodedRequest, WithDictionary};
pub(crate) use coding::Coding;
pub(crate) use dictionary::{DictionaryCoding, DictionaryHash};
pub(crate) use directory_plan::{DirectoryPlan, DirectoryVersion, PartFiles};
pub(crate) use error::ArtifactError;
pub(crate) use spool::{Artifact, Content, Growing};
