//! Makes and applies deltas between files, without a server.

mod diff;
mod error;
mod input;
mod patch;
mod read;

pub use diff::{DiffOptions, Diffed, diff_file};
pub use error::FileError;
pub use input::Input;
pub use patch::{Patched, patch_file};
