use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use driblet_core::{Version, VersionHasher};

use super::error::PullError;
use crate::output::{Output, Staged};
use crate::task::blocking;

/// Bytes that one call reads.
const PIECE: usize = 1 << 20;

/// The file to bring up to date. It is opened once, so that later reads see the bytes that were hashed.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    output: Arc<Output>,
    held: Option<Arc<HeldFile>>,
}

#[derive(Debug)]
struct HeldFile {
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

    /// The held version and its length in bytes.
    pub(crate) fn held(&self) -> Option<(Version, u64)> {
        self.held.as_ref().map(|held| (held.version, held.len))
    }

    /// Fills `bytes` with the held bytes from `offset` on.
    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), PullError> {
        use std::os::unix::fs::FileExt;
        let held = self.held.as_ref().ok_or_else(|| self.error("cannot read", ErrorKind::NotFound.into()))?;
        held.file.read_exact_at(bytes, offset).map_err(|error| self.error("cannot read", error))
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
    let mut file = match File::open(path) {
        // A file that may be written but not read holds nothing.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => return Ok(None),
        opened => opened?,
    };
    let (mut hasher, mut len, mut bytes) = (VersionHasher::new(), 0, vec![0; PIECE]);
    loop {
        match file.read(&mut bytes)? {
            0 => break,
            read => {
                hasher.update(&bytes[..read]);
                len += read as u64;
            }
        }
    }
    Ok((len != 0).then(|| HeldFile { file, version: hasher.finalize(), len }))
}
