use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use driblet_core::browser_sync_stream::{ChunkHash, Cutter, RabinOptions};

use super::store::{Store, changed};
use crate::output::{Output, Staged};
use crate::task::blocking;
use crate::transfer::{Destination, PullError, output};

/// Bytes that are cut with one call.
const PIECE: u64 = 1 << 20;

/// A store that is a file: it holds the chunks of the file's present bytes.
///
/// The new file is staged beside the file, and replaces it in one step once it is complete and durable. Until then, and
/// after any error, the file stays as it was.
#[derive(Debug)]
pub struct FileStore {
    dest: Destination,
    held: HashMap<ChunkHash, (u64, u32)>,
    staged: Option<Staged>,
}

impl FileStore {
    /// Opens the file at a path, which may be missing. Use the sender's options: files that are cut with other options
    /// have no chunk in common.
    ///
    /// ```
    /// use driblet::browser_sync_stream::{FileStore, RabinOptions, receive, send};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// # let folder = tempfile::tempdir()?;
    /// let options = RabinOptions::default();
    /// let store = FileStore::open(&folder.path().join("copy.toml"), options).await?;
    /// let (near, far) = tokio::io::duplex(64 << 10);
    /// let (_, received) = tokio::join!(send(near, "Cargo.toml", options), receive(far, store));
    /// assert_eq!(received?.reused, 0);
    /// assert_eq!(std::fs::read(folder.path().join("copy.toml"))?, std::fs::read("Cargo.toml")?);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PullError::Store`] if the file cannot be read, or the options are invalid.
    pub async fn open(path: &Path, options: RabinOptions) -> Result<FileStore, PullError> {
        FileStore::at(output(path)?, options).await
    }

    pub(crate) async fn at(output: Output, options: RabinOptions) -> Result<FileStore, PullError> {
        let cutter = Cutter::new(options)
            .map_err(|error| PullError::store("cannot cut", io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let dest = Destination::open(output).await?;
        blocking(move || {
            let held = cut(&dest, cutter)?;
            Ok(FileStore { dest, held, staged: None })
        })
        .await
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let staged = match &mut self.staged {
            Some(staged) => staged,
            None => self.staged.insert(self.dest.stage().map_err(PullError::into_io)?),
        };
        staged.write_all(bytes)
    }
}

impl Store for FileStore {
    type Output = ();

    fn held(&mut self) -> io::Result<Vec<ChunkHash>> {
        Ok(self.held.keys().copied().collect())
    }

    fn reuse(&mut self, hash: &ChunkHash) -> io::Result<u64> {
        let (offset, len) = *self.held.get(hash).ok_or_else(|| changed(hash))?;
        let mut bytes = vec![0; len as usize];
        self.dest.read_at(&mut bytes, offset).map_err(PullError::into_io)?;
        if ChunkHash::of(&bytes) != *hash {
            return Err(changed(hash));
        }
        self.write(&bytes)?;
        Ok(u64::from(len))
    }

    fn add(&mut self, _: &ChunkHash, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes)
    }

    fn finish(mut self) -> io::Result<()> {
        // For a file of 0 bytes nothing is staged yet.
        self.write(&[])?;
        match self.staged {
            Some(staged) => Ok(self.dest.commit(staged).map_err(PullError::into_io)?),
            None => Ok(()),
        }
    }
}

/// The places of the chunks in the held bytes.
fn cut(dest: &Destination, mut cutter: Cutter) -> Result<HashMap<ChunkHash, (u64, u32)>, PullError> {
    let len = dest.held().map_or(0, |(_, len)| len);
    let (mut held, mut piece) = (HashMap::new(), vec![0; PIECE.min(len) as usize]);
    for offset in (0..len).step_by(PIECE as usize) {
        let piece = &mut piece[..PIECE.min(len - offset) as usize];
        dest.read_at(piece, offset)?;
        cutter.handle_input(piece);
        held.extend(std::iter::from_fn(|| cutter.poll_chunk()).map(|chunk| (chunk.hash, (chunk.offset, chunk.len))));
    }
    cutter.handle_end();
    held.extend(cutter.poll_chunk().map(|chunk| (chunk.hash, (chunk.offset, chunk.len))));
    Ok(held)
}
