use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driblet_core::Version;

use super::error::PullError;
use crate::disk;
#[cfg(feature = "client")]
use crate::disk::each_piece;
use crate::output::{Output, Staged};
use crate::task::blocking;

/// The file to bring up to date. It is opened once, so that later reads see the bytes that were hashed.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    output: Arc<Output>,
    held: Option<Arc<HeldFile>>,
}

#[derive(Debug)]
struct HeldFile {
    path: PathBuf,
    file: File,
    version: Version,
    len: u64,
}

impl Destination {
    /// Opens and hashes the file. A missing or empty file holds nothing, and neither does a device or a pipe.
    pub(crate) async fn open(output: Output) -> Result<Destination, PullError> {
        Destination::hashed(Arc::new(output)).await
    }

    /// Opens and hashes the file that a commit made.
    #[cfg(feature = "client")]
    pub(crate) async fn reopened(&self) -> Result<Destination, PullError> {
        Destination::hashed(self.output.clone()).await
    }

    async fn hashed(output: Arc<Output>) -> Result<Destination, PullError> {
        blocking(move || {
            let dest = Destination { output, held: None };
            let held = dest.output.file().map_or(Ok(None), hash).map_err(|error| dest.error("cannot read", error))?;
            Ok(Destination { held: held.map(Arc::new), ..dest })
        })
        .await
    }

    /// Holds the bytes of another file.
    #[cfg(feature = "client")]
    pub(crate) async fn with_basis(self, path: &Path) -> Result<Destination, PullError> {
        let path = path.to_path_buf();
        blocking(move || {
            let failed = |error| PullError::store(format!("cannot read the basis {}", path.display()), error);
            let held = File::open(&path).and_then(|file| hash_file(&path, file)).map_err(failed)?;
            Ok(Destination { held: held.map(Arc::new), ..self })
        })
        .await
    }

    /// Makes the destination what is held, if that is another file.
    #[cfg(feature = "client")]
    pub(crate) fn copy_held(&self) -> Result<(), PullError> {
        use std::io::{Seek, Write};
        let Some(held) = self.held.as_ref().filter(|held| self.file() != Some(&held.path)) else { return Ok(()) };
        let (mut staged, mut from) = (self.stage()?, &held.file);
        let copied = from.rewind().and_then(|()| each_piece(&mut from, |bytes| staged.write_all(bytes)));
        let failed = |error| PullError::store(format!("cannot copy {}", held.path.display()), error);
        let (version, _) = copied.map_err(failed)?;
        if version != held.version {
            return Err(failed(io::Error::other("it was changed meanwhile; pull again")));
        }
        self.commit(staged)
    }

    /// The held version and its length in bytes.
    pub(crate) fn held(&self) -> Option<(Version, u64)> {
        self.held.as_ref().map(|held| (held.version, held.len))
    }

    /// Fills `bytes` with the held bytes from `offset` on.
    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), PullError> {
        use std::os::unix::fs::FileExt;
        let held = self.held.as_ref().ok_or_else(|| self.error("cannot read", ErrorKind::NotFound.into()))?;
        let failed = |error| PullError::store(format!("cannot read {}", held.path.display()), error);
        held.file.read_exact_at(bytes, offset).map_err(failed)
    }

    /// The regular file, behind all links, if the destination is one.
    #[cfg(feature = "client")]
    pub(crate) fn file(&self) -> Option<&Path> {
        self.output.file()
    }

    /// A staging file for the new version.
    pub(crate) fn stage(&self) -> Result<Staged, PullError> {
        self.output.stage().map_err(|error| self.error("cannot write", error))
    }

    /// Replaces the destination with complete, verified bytes.
    pub(crate) fn commit(&self, staged: Staged) -> Result<(), PullError> {
        staged.commit().map_err(|error| self.error("cannot write", error))
    }

    pub(crate) fn error(&self, doing: &str, error: io::Error) -> PullError {
        PullError::store(format!("{doing} {}", self.output.name().display()), error)
    }
}

/// The output at a path, or the error of a store.
pub(crate) fn output(path: &Path) -> Result<Output, PullError> {
    Output::at(path).map_err(|error| PullError::store(format!("cannot write {}", path.display()), error))
}

fn hash(path: &Path) -> io::Result<Option<HeldFile>> {
    match File::open(path) {
        // A file that may be written but not read holds nothing.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => Ok(None),
        opened => hash_file(path, opened?),
    }
}

fn hash_file(path: &Path, mut file: File) -> io::Result<Option<HeldFile>> {
    let (version, len) = disk::hash(&mut file)?;
    Ok((len != 0).then(|| HeldFile { path: path.to_path_buf(), file, version, len }))
}
