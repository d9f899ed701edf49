use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driblet_core::{ChunkSizes, Chunker, Cuts, Version, VersionHasher};
use tokio::task::spawn_blocking;

use super::error::PullError;
use crate::output::{Output, Staged};

/// Bytes read or hashed at once.
const PIECE: usize = 1 << 20;

/// A longer name has its hash in the place of it, so that what is added fits the file system's limit for names.
const MAX_NAME: usize = 100;

/// The file to bring up to date, opened once: what is read later is what was hashed.
#[derive(Clone)]
pub(crate) struct Dest {
    output: Arc<Output>,
    held: Option<Arc<Held>>,
}

struct Held {
    file: File,
    version: Version,
    len: u64,
}

impl Dest {
    /// Hashes what is there. A missing or empty file holds nothing, nor does what is no regular file: a device, a pipe.
    pub(crate) async fn open(output: Output) -> Result<Dest, PullError> {
        blocking(move || {
            let dest = Dest { output: Arc::new(output), held: None };
            let held = dest.output.file().map_or(Ok(None), hash).map_err(|error| dest.error("cannot read", error))?;
            Ok(Dest { held: held.map(Arc::new), ..dest })
        })
        .await
    }

    /// The version held and its length in bytes.
    pub(crate) fn held(&self) -> Option<(Version, u64)> {
        self.held.as_ref().map(|held| (held.version, held.len))
    }

    /// Fills `bytes` from `offset` of what is held.
    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), PullError> {
        use std::os::unix::fs::FileExt;
        let held = self.held.as_ref().ok_or_else(|| self.error("cannot read", ErrorKind::NotFound.into()))?;
        held.file.read_exact_at(bytes, offset).map_err(|error| self.error("cannot read", error))
    }

    /// Cuts what is held.
    pub(crate) async fn cut(&self, sizes: ChunkSizes) -> Result<Cuts, PullError> {
        let dest = self.clone();
        blocking(move || {
            let len = dest.held().map_or(0, |(_, len)| len);
            let mut chunker = Chunker::new(sizes);
            let mut bytes = vec![0; PIECE];
            for offset in (0..len).step_by(PIECE) {
                let piece = &mut bytes[..(len - offset).min(PIECE as u64) as usize];
                dest.read_at(piece, offset)?;
                chunker.handle_input(piece);
            }
            Ok(chunker.finish().clone())
        })
        .await
    }

    /// A place for the new version.
    pub(crate) fn stage(&self) -> Result<Staged, PullError> {
        self.output.stage().map_err(|error| self.error("cannot write", error))
    }

    /// Makes complete, verified bytes the destination.
    pub(crate) fn commit(&self, staged: Staged) -> Result<(), PullError> {
        staged.commit().map_err(|error| self.error("cannot write", error))
    }

    pub(crate) fn error(&self, doing: &str, error: io::Error) -> PullError {
        PullError::store(format!("{doing} {}", self.output.name().display()), error)
    }

    /// Beside the file, behind all links.
    pub(crate) fn partial_path(&self) -> Option<PathBuf> {
        let file = self.output.file()?;
        let name = file.file_name()?;
        let mut partial = OsString::from(".");
        match name.len() <= MAX_NAME {
            true => partial.push(name),
            false => partial.push(&Version::of(name.as_encoded_bytes()).to_string()[..32]),
        }
        partial.push(".driblet-partial");
        Some(file.with_file_name(partial))
    }
}

/// What a destination names, as an error of the store where it names nothing that can be written.
pub(crate) fn output(path: &Path) -> Result<Output, PullError> {
    Output::at(path).map_err(|error| PullError::store(format!("cannot write {}", path.display()), error))
}

fn hash(path: &Path) -> io::Result<Option<Held>> {
    let mut file = match File::open(path) {
        // What may be written but not read is written anew.
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
    Ok((len != 0).then(|| Held { file, version: hasher.finalize(), len }))
}

/// Runs file work off the runtime's threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PullError> + Send + 'static,
) -> Result<T, PullError> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(PullError::store("a file thread ended early", io::Error::other(error))),
    }
}
