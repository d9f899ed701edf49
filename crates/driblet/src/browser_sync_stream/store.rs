use std::io;

use driblet_core::browser_sync_stream::ChunkHash;

/// Where a receiver keeps chunks. Calls may block; they come from a thread for file work.
///
/// A store that is dropped before it [finished](Store::finish) has forgotten nothing of what it held.
pub trait Store: Send + 'static {
    /// What a complete sync gives.
    type Output: Send + 'static;

    /// The chunks that are held, in any order: called once, first.
    fn held(&mut self) -> io::Result<Vec<ChunkHash>>;

    /// The file goes on with a chunk that is held. Gives its length in bytes; fails where its bytes do not have that hash any more.
    fn reuse(&mut self, hash: &ChunkHash) -> io::Result<u64>;

    /// The file goes on with a new chunk. Its hash has been recomputed.
    fn add(&mut self, hash: &ChunkHash, bytes: &[u8]) -> io::Result<()>;

    /// The whole file has come: it becomes what is held, and chunks that it does not use are forgotten.
    fn finish(self) -> io::Result<Self::Output>;
}

/// What is held was changed since it was announced.
pub(super) fn changed(hash: &ChunkHash) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the held chunk {hash} was changed meanwhile; try again"))
}
