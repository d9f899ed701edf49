//! Content-defined chunks. Both sides cut a file at the same places.

use std::fmt;

use fastcdc::v2020;

/// A chunk size that both sides know, named by log2 of the average length in bytes.
///
/// ```
/// use driblet_core::ChunkSize;
///
/// let size = ChunkSize::new(9)?;
/// assert_eq!((size.average(), size.log2()), (512, 9));
/// assert!(ChunkSize::new(40).is_err());
/// # Ok::<(), driblet_core::UnknownChunkSize>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ChunkSize(u8);

impl ChunkSize {
    /// All sizes, smallest first: averages from 256 bytes to 128 KiB, each twice as long as the one before.
    pub const ALL: [ChunkSize; 10] = [
        ChunkSize(8),
        ChunkSize(9),
        ChunkSize(10),
        ChunkSize(11),
        ChunkSize(12),
        ChunkSize(13),
        ChunkSize(14),
        ChunkSize(15),
        ChunkSize(16),
        ChunkSize(17),
    ];

    /// The size whose average is 2^`log2` bytes, if the protocol has one.
    pub fn new(log2: u8) -> Result<ChunkSize, UnknownChunkSize> {
        let size = ChunkSize(log2);
        if ChunkSize::ALL.contains(&size) { Ok(size) } else { Err(UnknownChunkSize { log2 }) }
    }

    /// The largest size with at most this average in bytes, or else the smallest size.
    #[cfg(feature = "encode")]
    pub(crate) fn nearest(average: u64) -> ChunkSize {
        let log2 = average.max(1).ilog2() as u8;
        ChunkSize(log2.clamp(ChunkSize::ALL[0].0, ChunkSize::ALL[ChunkSize::ALL.len() - 1].0))
    }

    /// log2 of the average length in bytes. This number names the size on the wire.
    pub fn log2(self) -> u8 {
        self.0
    }

    /// The average length in bytes.
    pub fn average(self) -> usize {
        1 << self.0
    }

    fn minimum(self) -> usize {
        self.average() / 4
    }

    pub(crate) fn maximum(self) -> usize {
        self.average() * 4
    }
}

/// A chunk's id: the BLAKE3 hash of its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkId([u8; 32]);

impl ChunkId {
    /// The 32 bytes of the hash.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ChunkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        write!(f, "ChunkId({a:02x}{b:02x}{c:02x}{d:02x}…)")
    }
}

/// A content-defined piece of a file. Its position is the sum of the lengths of the chunks before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// The length in bytes.
    pub len: u32,
    /// The id.
    pub id: ChunkId,
}

impl Chunk {
    pub(crate) fn of(bytes: &[u8]) -> Chunk {
        Chunk { len: bytes.len() as u32, id: ChunkId(*blake3::hash(bytes).as_bytes()) }
    }
}

/// Cuts a whole file into chunks by FastCDC (Xia et al. 2020) with normalization level 1.
///
/// Cut points are part of the protocol.
///
/// ```
/// use driblet_core::{ChunkSize, cut};
///
/// let file = b"some driblets of a file ".repeat(99);
/// let chunks: Vec<_> = cut(&file, ChunkSize::new(8)?).collect();
/// assert_eq!(chunks.iter().map(|chunk| chunk.len as usize).sum::<usize>(), file.len());
/// # Ok::<(), driblet_core::UnknownChunkSize>(())
/// ```
pub fn cut(bytes: &[u8], size: ChunkSize) -> impl Iterator<Item = Chunk> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (chunk, after) = rest.split_at(next_cut(rest, size));
        rest = after;
        (!chunk.is_empty()).then(|| Chunk::of(chunk))
    })
}

pub(crate) fn next_cut(bytes: &[u8], size: ChunkSize) -> usize {
    let (strict, loose) = v2020::select_masks(size.average(), v2020::Normalization::Level1);
    let (min, average, max) = (size.minimum(), size.average(), size.maximum());
    v2020::cut(bytes, min, average, max, strict, loose, strict << 1, loose << 1).1
}

/// The protocol has no such chunk size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no chunk size has an average of 2^{log2} bytes; they are 2^8 to 2^17")]
#[non_exhaustive]
pub struct UnknownChunkSize {
    /// log2 of the average length that was asked for.
    pub log2: u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::random_bytes;

    /// Follows the pseudo-code of the spec line by line.
    fn naive_cut(bytes: &[u8], size: ChunkSize) -> usize {
        let (strict, loose) = v2020::select_masks(size.average(), v2020::Normalization::Level1);
        let (gear, _) = v2020::get_gear_with_seed(0);
        if bytes.len() <= size.minimum() {
            return bytes.len();
        }
        let end = bytes.len().min(size.maximum());
        let centre = end.min(size.average()) & !1;
        let mut hash = 0u64;
        for at in size.minimum()..end & !1 {
            hash = (hash << 1).wrapping_add(gear[bytes[at] as usize]);
            if hash & (if at < centre { strict } else { loose }) == 0 {
                return at;
            }
        }
        end
    }

    #[test]
    fn cuts_are_those_of_the_spec() {
        for size in ChunkSize::ALL {
            let bytes = random_bytes(1, size.maximum() * 3 + 1);
            let mut rest = &bytes[..];
            for chunk in cut(&bytes, size) {
                assert_eq!(chunk.len as usize, naive_cut(rest, size));
                rest = &rest[chunk.len as usize..];
            }
            assert!(rest.is_empty());
            for len in [0, 1, size.minimum(), size.minimum() + 1, size.average() + 1, size.maximum() + 1] {
                let bytes = vec![7; len];
                assert_eq!(next_cut(&bytes, size), naive_cut(&bytes, size), "{len} equal bytes");
            }
        }
    }

    #[test]
    fn sizes_outside_the_protocol_are_refused() {
        assert_eq!(ChunkSize::new(7), Err(UnknownChunkSize { log2: 7 }));
        assert_eq!(ChunkSize::new(18), Err(UnknownChunkSize { log2: 18 }));
    }
}
