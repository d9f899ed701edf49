//! Replaces files as a whole: the new bytes are staged, and become the file in one durable step.
//!
//! [`Output::at`] finds out what a path names, [`Output::stage`] gives a staging file for the new bytes, and
//! [`Staged::commit`] makes them the file. The step depends on what the path names:
//!
//! - *A regular file, or nothing.* The bytes are staged in the same folder, flushed, and renamed. Readers see the old
//!   file or the new one. The new file keeps the permissions, owner, group, access lists and extended attributes of the
//!   old one, the owner as far as the system permits it. Other hard links to the old file keep the old bytes.
//! - *A symbolic link.* The link stays, and the file that it leads to is written. If a link leads to nothing, the file
//!   is made.
//! - *Anything else*: a device, a pipe, a FIFO, a terminal, `/dev/stdout`, `/dev/fd/N`. `commit` writes the bytes into
//!   it, so only after all of them are there. It is never replaced.
//! - *A regular file in a folder where no other file can be made*, or a file that cannot be replaced, such as one that
//!   is mounted into a container. `commit` writes the bytes over the old ones, after it has reserved room for them.
//!   That is not atomic.
//!
//! ```
//! use std::io::Write;
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("settings.json");
//! let mut staged = driblet::output::Output::at(&path)?.stage()?;
//! staged.write_all(b"{}")?;
//! staged.commit()?;
//! # assert_eq!(std::fs::read(path)?, b"{}");
//! # std::io::Result::Ok(())
//! ```

mod attributes;
mod error;
mod flush;
mod resolve;
mod staged;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use resolve::Target;
pub use staged::Staged;

/// A place for new bytes.
///
/// ```
/// use driblet::output::Output;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("settings.json");
/// let output = Output::at(&path)?;
/// assert_eq!((output.name(), output.file()), (path.as_path(), Some(path.as_path())));
/// assert!(!output.is_stdout() && Output::stdout()?.is_stdout());
/// # std::io::Result::Ok(())
/// ```
///
/// See the [module](crate::output) for an example that writes.
#[derive(Clone, Debug)]
pub struct Output {
    name: PathBuf,
    target: Target,
}

impl Output {
    /// The output that `path` names. Nothing is opened or made.
    ///
    /// # Errors
    /// If `path` names a folder, lies in a folder that does not exist, or leads through too many links; if it is a link
    /// of another user in a folder that every user may write to.
    pub fn at(path: impl AsRef<Path>) -> io::Result<Output> {
        let path = path.as_ref();
        Ok(Output { name: path.to_path_buf(), target: resolve::target(path)? })
    }

    /// The standard output of this process.
    ///
    /// # Errors
    /// If the process has none.
    pub fn stdout() -> io::Result<Output> {
        let name = PathBuf::from("standard output");
        Ok(Output { name, target: Target::Open(write::descriptor(1)?.into(), 1) })
    }

    /// The path as it was given.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The regular file that is written, behind all links. It may not exist yet. `None` if the target is not a regular
    /// file.
    pub fn file(&self) -> Option<&Path> {
        self.target.file()
    }

    /// Whether this is the standard output of the process, by any name.
    pub fn is_stdout(&self) -> bool {
        matches!(self.target, Target::Open(_, 1))
    }

    /// A staging file for the new bytes.
    ///
    /// # Errors
    /// If no file can be made: neither in the folder of the file, nor, for a target that is not a regular file, in the
    /// folder for temporary files.
    pub fn stage(&self) -> io::Result<Staged> {
        Staged::new(&self.target)
    }
}
