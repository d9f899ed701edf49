use super::chunk::ChunkHash;

/// Why the bytes of a peer were refused. Nothing after them can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A length is not a number below 2^64 in its shortest form.
    #[error("what should be a message's length, at byte {at}, is none; the peer does not speak this protocol")]
    BadLength {
        /// The position of the length in the peer's bytes.
        at: u64,
    },
    /// A message is longer than allowed.
    #[error(
        "a message of {len} bytes is announced, and at most {limit} are taken; \
         the peer does not speak this protocol, or cuts longer chunks"
    )]
    MessageTooLong {
        /// The announced length in bytes.
        len: u64,
        /// The greatest allowed length in bytes.
        limit: u64,
    },
    /// A message is too short for the hash that it must begin with.
    #[error("a message of {len} bytes came where a hash of 32 should be; the peer does not speak this protocol")]
    NoHash {
        /// The length of the message in bytes.
        len: usize,
    },
    /// The stream ended within a message.
    #[error("the stream ended within a message, after {got} of its {expected} bytes; try again")]
    CutOff {
        /// How many bytes of the message came, including its length.
        got: u64,
        /// The length of the message, including its length; 0 if that is not known.
        expected: u64,
    },
    /// The receiver's list ended without the message that ends it.
    #[error("the list of held chunks broke off after {announced} hashes, before the message that ends it; try again")]
    ListCutOff {
        /// How many hashes came.
        announced: u64,
    },
    /// The sender cannot continue: it sent the hash that no chunk has.
    #[error(
        "the sender gave up, for it could not read its file to the end; try again, or see what the sender says of it"
    )]
    GaveUp,
    /// The sender sent only the hash of a chunk that the receiver did not announce.
    #[error(
        "chunk {chunk} is named by the hash {hash} alone, which was never announced; the sender mistakes what is held"
    )]
    NeverAnnounced {
        /// The index of the chunk in the file, from 0.
        chunk: u64,
        /// The hash of the chunk.
        hash: ChunkHash,
    },
    /// The bytes of a chunk do not have the chunk's hash.
    #[error(
        "chunk {chunk} should have the hash {hash} and has {found}; \
         its bytes were changed on the way, or while they were read"
    )]
    WrongHash {
        /// The index of the chunk in the file, from 0.
        chunk: u64,
        /// The hash in the message.
        hash: ChunkHash,
        /// The hash of the bytes.
        found: ChunkHash,
    },
}

impl WireError {
    /// Whether the connection or the sender broke off, so that another try can succeed. Otherwise the peer violated the
    /// protocol.
    ///
    /// ```
    /// use driblet_core::browser_sync_stream::WireError;
    ///
    /// assert!(WireError::GaveUp.is_interruption());
    /// assert!(!WireError::NoHash { len: 3 }.is_interruption());
    /// ```
    pub fn is_interruption(&self) -> bool {
        match self {
            WireError::CutOff { .. } | WireError::ListCutOff { .. } | WireError::GaveUp => true,
            WireError::BadLength { .. }
            | WireError::MessageTooLong { .. }
            | WireError::NoHash { .. }
            | WireError::NeverAnnounced { .. }
            | WireError::WrongHash { .. } => false,
        }
    }
}
