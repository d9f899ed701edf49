//! Makes and applies deltas between files, and between directories, without a server.

mod diff;
#[cfg(feature = "client")]
mod directories;
mod error;
mod input;
mod patch;
mod read;

pub use diff::{DiffOptions, Diffed, diff_file};
#[cfg(feature = "client")]
pub use directories::{
    DiffedDirectory, DirectoryError, DirectoryOptions, LeftOut, PatchedDirectory, diff_directory, patch_directory,
};
pub use error::FileError;
pub use input::Input;
pub use patch::{Patched, patch_file};
