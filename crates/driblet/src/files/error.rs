use std::io;
use std::path::PathBuf;

use driblet_core::{DecodeError, EncodeError};

use super::input::Input;

/// Why a file could not be diffed or patched. The output is as it was.
///
/// `Display` says what failed; [`source`](std::error::Error::source) says why.
///
/// ```
/// use driblet::output::Output;
/// use driblet::{FileError, Input, patch_file};
///
/// # let folder = tempfile::tempdir()?;
/// # let (delta, new) = (folder.path().join("app.delta"), folder.path().join("app.js"));
/// std::fs::write(&delta, "no delta")?;
/// match patch_file(&Input::at("/dev/null"), &Input::at(&delta), &Output::at(&new)?) {
///     Err(FileError::Apply { source, .. }) => eprintln!("the delta is invalid: {source}"),
///     other => panic!("{other:?}"),
/// }
/// assert!(!new.exists());
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Both inputs are the same pipe or socket.
    #[error("{one} and {other} are the same stream, which can be read once")]
    #[non_exhaustive]
    SameStream {
        /// The first input.
        one: Input,
        /// The second input.
        other: Input,
    },
    /// An input cannot be read.
    #[error("cannot read {input}")]
    #[non_exhaustive]
    Read {
        /// The input.
        input: Input,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The delta cannot be made.
    #[error("cannot encode {input}")]
    #[non_exhaustive]
    Encode {
        /// The target.
        input: Input,
        /// What went wrong.
        source: EncodeError,
    },
    /// The delta is invalid, or is a delta from another file.
    #[error("cannot apply {input}")]
    #[non_exhaustive]
    Apply {
        /// The delta.
        input: Input,
        /// What is wrong.
        source: DecodeError,
    },
    /// The output cannot be written.
    #[error("cannot write {}", path.display())]
    #[non_exhaustive]
    Write {
        /// The name of the output.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

impl FileError {
    pub(super) fn read(input: &Input, source: io::Error) -> FileError {
        FileError::Read { input: input.clone(), source }
    }

    pub(super) fn write(path: &std::path::Path, source: io::Error) -> FileError {
        FileError::Write { path: path.to_path_buf(), source }
    }
}
