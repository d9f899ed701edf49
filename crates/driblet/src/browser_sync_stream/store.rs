use std::io;

use driblet_core::browser_sync_stream::ChunkHash;

/// Where a receiver keeps chunks. The calls come from a blocking thread.
///
/// A store that is dropped before it is [finished](Store::finish) must hold all that it held before.
///
/// ```
/// use std::io;
///
/// use driblet::browser_sync_stream::{ChunkHash, RabinOptions, Store, receive, send};
///
/// /// Counts the bytes of a file, and holds none.
/// struct Counter(u64);
///
/// impl Store for Counter {
///     type Output = u64;
///
///     fn held(&mut self) -> io::Result<Vec<ChunkHash>> {
///         Ok(Vec::new())
///     }
///
///     fn reuse(&mut self, _: &ChunkHash) -> io::Result<u64> {
///         Err(io::ErrorKind::NotFound.into())
///     }
///
///     fn add(&mut self, _: &ChunkHash, bytes: &[u8]) -> io::Result<()> {
///         self.0 += bytes.len() as u64;
///         Ok(())
///     }
///
///     fn finish(self) -> io::Result<u64> {
///         Ok(self.0)
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let (near, far) = tokio::io::duplex(64 << 10);
/// let sending = send(near, "Cargo.toml", RabinOptions::default());
/// let (_, received) = tokio::join!(sending, receive(far, Counter(0)));
/// let received = received?;
/// assert_eq!(received.output, received.len);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
