use std::fmt;
use std::ops::Range;

use sha2::{Digest, Sha256};

/// A chunk's identity: the SHA-256 hash of its bytes, shown as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChunkHash([u8; 32]);

impl ChunkHash {
    /// Bytes of a hash.
    pub const LEN: usize = 32;

    /// The hash of no chunk, by which a sender says that it cannot go on.
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

/// A piece of a file, without its bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// Identity.
    pub hash: ChunkHash,
    /// Where it begins in the file, in bytes.
    pub offset: u64,
    /// Length in bytes; at least 1.
    pub len: u32,
}

impl Chunk {
    /// Where it lies in a file that is in memory.
    pub fn range(&self) -> Range<usize> {
        self.offset as usize..self.offset as usize + self.len as usize
    }
}
