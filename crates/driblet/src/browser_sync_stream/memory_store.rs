use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use driblet_core::browser_sync_stream::ChunkHash;

use super::store::{Store, changed};

/// A store in memory. Clones share the chunks, so that a clone can be kept for the next sync.
///
/// New chunks are held as soon as they arrive. After a sync that breaks off, the next one does not need them again.
///
/// ```
/// use driblet::browser_sync_stream::{MemoryStore, RabinOptions, receive, send};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let store = MemoryStore::default();
/// let (near, far) = tokio::io::duplex(64 << 10);
/// let sending = send(near, "Cargo.toml", RabinOptions::default());
/// let (_, received) = tokio::join!(sending, receive(far, store.clone()));
/// assert_eq!(store.hashes().len() as u64, received?.chunks);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, Debug)]
pub struct MemoryStore {
    chunks: Arc<Mutex<HashMap<ChunkHash, Bytes>>>,
    used: HashSet<ChunkHash>,
    file: Vec<u8>,
}

impl MemoryStore {
    /// The hashes of the chunks that are held.
    pub fn hashes(&self) -> Vec<ChunkHash> {
        self.chunks().keys().copied().collect()
    }

    fn chunks(&self) -> MutexGuard<'_, HashMap<ChunkHash, Bytes>> {
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn append(&mut self, hash: &ChunkHash, bytes: &[u8]) {
        self.used.insert(*hash);
        self.file.extend_from_slice(bytes);
    }
}

impl Store for MemoryStore {
    /// The file.
    type Output = Vec<u8>;

    fn held(&mut self) -> io::Result<Vec<ChunkHash>> {
        Ok(self.hashes())
    }

    fn reuse(&mut self, hash: &ChunkHash) -> io::Result<u64> {
        let bytes = self.chunks().get(hash).cloned().ok_or_else(|| changed(hash))?;
        self.append(hash, &bytes);
        Ok(bytes.len() as u64)
    }

    fn add(&mut self, hash: &ChunkHash, bytes: &[u8]) -> io::Result<()> {
        self.chunks().entry(*hash).or_insert_with(|| Bytes::copy_from_slice(bytes));
        self.append(hash, bytes);
        Ok(())
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        self.chunks().retain(|hash, _| self.used.contains(hash));
        Ok(self.file)
    }
}
