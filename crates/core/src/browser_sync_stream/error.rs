use super::chunk::ChunkHash;

/// What a peer did that this wire does not allow. Nothing that came after it can be believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A length that is no number below 2^64 in its shortest form.
    #[error("what should be a message's length, at byte {at}, is none; the peer does not speak this protocol")]
    BadLength {
        /// Where it begins in what the peer sent.
        at: u64,
    },
    /// A message that would take too much memory.
    #[error(
        "a message of {len} bytes is announced, and at most {limit} are taken; the peer does not speak this protocol, or cuts longer chunks"
    )]
    MessageTooLong {
        /// Its length.
        len: u64,
        /// The limit.
        limit: u64,
    },
    /// A message that is too short for the hash it must begin with.
    #[error("a message of {len} bytes came where a hash of 32 should be; the peer does not speak this protocol")]
    NoHash {
        /// Its length.
        len: usize,
    },
    /// The stream ended within a message.
    #[error("the stream ended within a message, after {got} of its {expected} bytes; try again")]
    CutOff {
        /// Bytes that came of it, with its length.
        got: u64,
        /// All of them; 0 where not even its length came whole.
        expected: u64,
    },
    /// The receiver's list ended without the message that says so.
    #[error("the list of held chunks broke off after {announced} hashes, before the message that ends it; try again")]
    ListCutOff {
        /// Hashes that came.
        announced: u64,
    },
    /// The sender said that it cannot go on, by a hash that no chunk has.
    #[error(
        "the sender gave up, for it could not read its file to the end; try again, or see what the sender says of it"
    )]
    GaveUp,
    /// A chunk is said to be held that is not.
    #[error(
        "chunk {chunk} is named by the hash {hash} alone, which was never announced; the sender mistakes what is held"
    )]
    NeverAnnounced {
        /// Its number in the file, from 0.
        chunk: u64,
        /// Its hash.
        hash: ChunkHash,
    },
    /// A chunk's bytes are not those that its hash names.
    #[error(
        "chunk {chunk} should have the hash {hash} and has {found}; its bytes were changed on the way, or while they were read"
    )]
    WrongHash {
        /// Its number in the file, from 0.
        chunk: u64,
        /// What the message says.
        hash: ChunkHash,
        /// What the bytes say.
        found: ChunkHash,
    },
}
