use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driblet_core::{Chunker, Cuts, Rungs, Version, VersionHasher};
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;
use url::Url;

use super::error::PullError;
use super::partial::Partial;

/// Bytes read or hashed at once.
const PIECE: usize = 1 << 20;

/// The file to bring up to date, opened once: what is read later is what was hashed.
#[derive(Clone)]
pub(crate) struct Dest {
    path: Arc<PathBuf>,
    held: Option<Arc<Held>>,
}

struct Held {
    file: File,
    version: Version,
    len: u64,
}

impl Dest {
    /// Hashes what is there; a missing or empty file holds nothing.
    pub(crate) async fn open(path: &Path) -> Result<Dest, PullError> {
        let path = path.to_path_buf();
        blocking(move || {
            let held =
                hash(&path).map_err(|error| PullError::store(format!("cannot read {}", path.display()), error))?;
            Ok(Dest { path: Arc::new(path), held: held.map(Arc::new) })
        })
        .await
    }

    /// The version held and its length in bytes.
    pub(crate) fn held(&self) -> Option<(Version, u64)> {
        self.held.as_ref().map(|held| (held.version, held.len))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Fills `bytes` from `offset` of what is held.
    pub(crate) fn read_at(&self, bytes: &mut [u8], offset: u64) -> Result<(), PullError> {
        use std::os::unix::fs::FileExt;
        let held = self.held.as_ref().ok_or_else(|| self.error("cannot read", io::ErrorKind::NotFound.into()))?;
        held.file.read_exact_at(bytes, offset).map_err(|error| self.error("cannot read", error))
    }

    /// Cuts what is held.
    pub(super) async fn cut(&self, rungs: Rungs) -> Result<Cuts, PullError> {
        let dest = self.clone();
        blocking(move || {
            let len = dest.held().map_or(0, |(_, len)| len);
            let mut chunker = Chunker::new(rungs);
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

    /// The delta's bytes that an earlier pull left, if they continue what is held now.
    pub(super) async fn partial(&self, url: &Url) -> Result<Option<Partial>, PullError> {
        let (path, url, from) = (self.partial_path(), url.clone(), self.held().map(|(version, _)| version));
        blocking(move || {
            Partial::load(&path, &url, from).map_err(|error| PullError::store(path.display().to_string(), error))
        })
        .await
    }

    /// A partial delta that begins now.
    pub(super) fn begin_partial(&self, url: &Url, etag: Option<&str>) -> Partial {
        Partial::begin(self.partial_path(), url, self.held().map(|(version, _)| version), etag)
    }

    pub(super) async fn forget_partial(&self) -> Result<(), PullError> {
        let path = self.partial_path();
        blocking(move || Partial::remove(&path).map_err(|error| PullError::store(path.display().to_string(), error)))
            .await
    }

    /// A staging file in the same folder, with the permissions of what it will replace.
    pub(crate) fn stage(&self) -> Result<NamedTempFile, PullError> {
        let prefix = format!(".{}.driblet-", self.file_name());
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix);
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let staged = builder.tempfile_in(self.folder()).and_then(|staged| {
            if let Some(held) = &self.held {
                staged.as_file().set_permissions(held.file.metadata()?.permissions())?;
            }
            Ok(staged)
        });
        staged.map_err(|error| self.error("cannot write beside", error))
    }

    /// Makes a complete, verified, durable staging file the destination: the name, then the folder.
    pub(crate) fn commit(&self, staged: NamedTempFile) -> Result<(), PullError> {
        let persisted = staged.persist(self.path()).map_err(|error| error.error);
        let done = persisted.and_then(|_| File::open(self.folder())?.sync_all());
        done.map_err(|error| self.error("cannot replace", error))
    }

    fn error(&self, doing: &str, error: io::Error) -> PullError {
        PullError::store(format!("{doing} {}", self.path.display()), error)
    }

    fn file_name(&self) -> String {
        self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        }
    }

    fn partial_path(&self) -> PathBuf {
        self.path.with_file_name(format!(".{}.driblet-partial", self.file_name()))
    }
}

fn hash(path: &Path) -> io::Result<Option<Held>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file; name a file to write"));
    }
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
