use std::fmt;
use std::ops::Range;

use sha2::{Digest, Sha256};

/// The SHA-256 hash of a chunk's bytes. In text it is 64 lower-case hex digits.
///
/// ```
/// use driblet_core::browser_sync_stream::ChunkHash;
///
/// let hash = ChunkHash::of(b"");
/// assert!(hash.to_string().starts_with("e3b0c442"));
/// assert_eq!(ChunkHash::from_bytes(*hash.as_bytes()), hash);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkHash([u8; 32]);

impl ChunkHash {
    /// The length of a hash in bytes.
    pub const LEN: usize = 32;

    /// A hash that no chunk has. A sender sends it to say that it cannot continue.
    pub const NONE: ChunkHash = ChunkHash([0; 32]);

    /// Hashes a chunk's bytes.
    pub fn of(bytes: &[u8]) -> ChunkHash {
        ChunkHash(Sha256::digest(bytes).into())
    }

    /// A hash from its 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> ChunkHash {
        ChunkHash(bytes)
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for ChunkHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ChunkHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChunkHash({self})")
    }
}

/// A chunk of a file, without its bytes.
///
/// ```
/// use driblet_core::browser_sync_stream::{RabinChunk, ChunkHash};
///
/// let file = b"one driblet";
/// let chunk = RabinChunk { hash: ChunkHash::of(b"driblet"), offset: 4, len: 7 };
/// assert_eq!(&file[chunk.range()], b"driblet");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RabinChunk {
    /// The hash of the chunk's bytes.
    pub hash: ChunkHash,
    /// The chunk's position in the file, in bytes.
    pub offset: u64,
    /// The length in bytes, at least 1.
    pub len: u32,
}

impl RabinChunk {
    /// The chunk's range in a file that is in memory.
    pub fn range(&self) -> Range<usize> {
        self.offset as usize..self.offset as usize + self.len as usize
    }
}
