use super::chunk::{ChunkHash, RabinChunk};

/// Finds the chunks of a file by their hashes.
///
/// ```
/// use driblet_core::browser_sync_stream::{RabinChunk, ChunkHash, ChunkIndex};
///
/// let chunk = RabinChunk { hash: ChunkHash::of(b"driblet"), offset: 0, len: 7 };
/// assert_eq!(ChunkIndex::of(&[chunk, chunk]).count(), 1);
/// ```
#[derive(Clone, Debug)]
pub struct ChunkIndex(Vec<ChunkHash>);

impl ChunkIndex {
    /// Indexes a file's chunks. The index takes 32 bytes for each chunk.
    pub fn of(chunks: &[RabinChunk]) -> ChunkIndex {
        let mut hashes: Vec<ChunkHash> = chunks.iter().map(|chunk| chunk.hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        ChunkIndex(hashes)
    }

    /// How many different chunks the file has.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// All hashes, in the order of the numbers that [`find`](ChunkIndex::find) returns.
    pub(super) fn hashes(&self) -> impl Iterator<Item = &ChunkHash> {
        self.0.iter()
    }

    /// The number of a chunk, below [`count`](ChunkIndex::count), if the file has the chunk.
    pub(super) fn find(&self, hash: &ChunkHash) -> Option<usize> {
        self.0.binary_search(hash).ok()
    }
}
