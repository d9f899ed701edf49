use super::chunk::{Chunk, ChunkHash};

/// Finds the chunks of a file by their hashes.
pub struct ChunkIndex(Vec<ChunkHash>);

impl ChunkIndex {
    /// The index of a file's chunks; takes 32 bytes for each.
    pub fn of(chunks: &[Chunk]) -> ChunkIndex {
        let mut hashes: Vec<ChunkHash> = chunks.iter().map(|chunk| chunk.hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        ChunkIndex(hashes)
    }

    /// Different chunks of the file.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// All their hashes, by the number that [`find`](ChunkIndex::find) gives.
    pub(super) fn hashes(&self) -> impl Iterator<Item = &ChunkHash> {
        self.0.iter()
    }

    /// A number below [`count`](ChunkIndex::count) that only this chunk has, if it is one of the file's.
    pub(super) fn find(&self, hash: &ChunkHash) -> Option<usize> {
        self.0.binary_search(hash).ok()
    }
}
