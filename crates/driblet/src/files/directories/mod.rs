//! Deltas between directories: `spec/directory.md`, "A directory delta in a file".
//!
//! `folder` reads a directory and makes its manifest, `diff` writes the directory delta part by part, `patch` applies
//! one, and `new_folder` is the folder that appears when it is whole.

mod diff;
mod error;
mod folder;
mod new_folder;
mod options;
mod patch;

pub use diff::{DiffedDirectory, diff_directory};
pub use error::DirectoryError;
pub use folder::LeftOut;
pub use options::DirectoryOptions;
pub use patch::{PatchedDirectory, patch_directory};
