use std::io;

use driblet_core::browser_sync_stream::ChunkHash;

/// Where a receiver keeps chunks. The calls come from a blocking thread.
///
/// A store that is dropped before it is [finished](Store::finish) must hold all that it held before.
pub trait Store: Send + 'static {
    /// The result of a complete sync.
    type Output: Send + 'static;

    /// The hashes of the held chunks, in any order. This is called once, first.
    fn held(&mut self) -> io::Result<Vec<ChunkHash>>;

    /// Appends a held chunk to the new file. Gives its length in bytes. Fails if the bytes no longer have that hash.
    fn reuse(&mut self, hash: &ChunkHash) -> io::Result<u64>;

    /// Appends a new chunk, whose hash is verified, to the new file.
    fn add(&mut self, hash: &ChunkHash, bytes: &[u8]) -> io::Result<()>;

    /// Ends the new file, which is complete. Its chunks become the held ones, and all others are forgotten.
    fn finish(self) -> io::Result<Self::Output>;
}

/// The error for a held chunk that was changed after it was announced.
pub(super) fn changed(hash: &ChunkHash) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the held chunk {hash} was changed during the sync; try again"))
}
