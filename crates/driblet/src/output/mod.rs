//! Files that are written as a whole: the new bytes are staged, and take their name in one durable step.
//!
//! [`Output::at`] finds out what a path names, [`Output::stage`] gives a file to write the new bytes to, and [`Staged::commit`] makes
//! them the file. What that means depends on what is there:
//!
//! - *A regular file, or nothing.* The bytes are staged in the same folder, flushed, and renamed. Readers see the old file or the new one.
//!   Permissions, owner, group, access lists and extended attributes of the old file are kept, the owner as far as the system permits it.
//!   Other hard links to the old file keep the old bytes.
//! - *A symbolic link.* It stays; what it leads to is written. A link to nothing makes its target.
//! - *Anything else*: a device, a pipe, a FIFO, a terminal, `/dev/stdout`, `/dev/fd/N`. The bytes are written into it by `commit`, so only
//!   after all of them are there. It is never replaced.
//! - *A regular file in a folder where no other file can be made*, or one that cannot be renamed over, such as a file that is mounted into a
//!   container. The bytes are written over the old ones by `commit`, after room for them is reserved. That is not atomic.
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
mod flush;
mod resolve;
mod staged;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use resolve::Target;
pub use staged::Staged;

/// Where new bytes are to go.
#[derive(Clone, Debug)]
pub struct Output {
    name: PathBuf,
    target: Target,
}

impl Output {
    /// What `path` names. Nothing is opened or made.
    ///
    /// # Errors
    /// Where `path` names a folder, lies in a folder that does not exist, or leads through links that end nowhere; where it is a link of
    /// another user in a folder that everybody may write to.
    pub fn at(path: &Path) -> io::Result<Output> {
        Ok(Output { name: path.to_path_buf(), target: resolve::target(path)? })
    }

    /// The process' standard output.
    ///
    /// # Errors
    /// Where the process has none.
    pub fn stdout() -> io::Result<Output> {
        let name = PathBuf::from("standard output");
        Ok(Output { name, target: Target::Open(write::descriptor(1)?.into(), 1) })
    }

    /// The path as it was given.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// The regular file that is written, behind all links; it need not exist. `None` where the bytes are written into something else.
    pub fn file(&self) -> Option<&Path> {
        self.target.file()
    }

    /// Whether this is the process' standard output, by whatever name.
    pub fn is_stdout(&self) -> bool {
        matches!(self.target, Target::Open(_, 1))
    }

    /// A place for the new bytes.
    ///
    /// # Errors
    /// Where no file can be made: neither in the file's folder nor, for what is not a regular file, in the system's folder for temporary ones.
    pub fn stage(&self) -> io::Result<Staged> {
        Staged::new(&self.target)
    }
}
