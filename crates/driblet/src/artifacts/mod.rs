//! What is made of versions once and sent many times: deltas and encoded files, under a budget of bytes.
//!
//! Whatever a request waits for is made at a quick level and flows while it is made (`making`, `spool`). The better form is made in the
//! background for who comes next; a file's own, its delta from nothing and its codings, outlive the server (`store`).

mod ahead;
mod background;
mod cache;
mod coding;
mod deltas;
mod error;
mod key;
mod permits;
mod queue;
mod requested;
mod spool;
mod store;

pub(crate) use cache::{Artifacts, Options};
pub(crate) use coding::Coding;
pub(crate) use error::ArtifactError;
pub(crate) use spool::{Artifact, Content, Growing};
