//! A directory as one snapshot: its manifest, the delta between two manifests, and the parts that carry new files.
//!
//! The bytes are those of `spec/directory.md`. A *manifest* lists the files of a directory; its BLAKE3 hash is the directory's version. What a new manifest
//! has and an old one has not travels in *parts*: a part is a delta whose target is several new files, one after the other.

#[cfg(feature = "encode")]
mod basis;
mod delta;
mod error;
mod format;
mod have;
mod manifest;
#[cfg(feature = "encode")]
mod manifest_delta;
mod parts;
mod parts_decoder;
mod path;

#[cfg(feature = "encode")]
pub use basis::{BasisChooser, Sketch, plan_parts};
pub use delta::{DeltaPart, DirectoryDelta, PlannedPart};
pub use error::{BadPath, DirectoryDeltaError, HaveError, ManifestError, PartError};
pub use have::Have;
pub use manifest::{Entry, FileEntry, Manifest, ManifestLimits};
#[cfg(feature = "encode")]
pub use manifest_delta::encode_manifest_delta;
pub use parts::{Part, cut_parts, new_files, part_version};
pub use parts_decoder::{PartsDecoder, PartsEvent};
pub use path::{check_path, path_order};
