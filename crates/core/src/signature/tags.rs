//! Signatures: one tag for each chunk that a receiver holds.

use crate::signature::chunk::{Chunk, ChunkId};
use crate::wire::{ByteReader, Stop, put_varint};

/// The most tags that a signature may have. A server usually allows fewer.
pub const MAX_TAGS: u64 = 1 << 22;

/// The length of a nonce in bytes.
const NONCE_LEN: usize = 16;
/// The bits that a tag may have.
const BITS: std::ops::RangeInclusive<u8> = 8..=64;
/// The fewest bits of a tag that [`Signature::sign`] makes. A short signature has few chunks, so its runs are short,
/// and wider tags make up for that.
const LEAST_BITS: u8 = 20;
/// The bits of a tag beyond log2 of the number of tags. With 8 of them, the probability that some tag right after a run
/// matches by accident is at most 2^-8 for the whole signature.
const RUN_END_BITS: u8 = 8;

/// Describes the chunks that a receiver holds: one tag for each chunk, keyed with a nonce.
///
/// A tag is the low `bits` bits of the chunk id's keyed BLAKE3 hash. One tag is too short to identify a chunk; the
/// server looks at several tags in a row, and at the matches before and after.
///
/// ```
/// use driblet_core::{ChunkSize, ChunkSizes, Cuts, MAX_TAGS, Signature};
///
/// let held = b"one driblet".repeat(99);
/// let sizes = ChunkSizes { sections: ChunkSize::new(10)?, chunks: ChunkSize::new(8)? };
/// let chunks = Cuts::of(&held, sizes).describe(&[]);
/// let nonce = [7; 16]; // Use random bytes here.
/// let signature = Signature::sign(nonce, &chunks);
/// assert_eq!(Signature::decode(&signature.encode(), MAX_TAGS)?, signature);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signature {
    nonce: [u8; NONCE_LEN],
    bits: u8,
    tags: Vec<u64>,
}

impl Signature {
    /// Signs chunks. [`Cuts::describe`](crate::Cuts::describe) tells which chunks to sign.
    ///
    /// The nonce must be random and used only once, so that nobody can prepare two chunks with equal tags. At most
    /// [`MAX_TAGS`] chunks are signed; further chunks count as not held.
    pub fn sign(nonce: [u8; NONCE_LEN], chunks: &[Chunk]) -> Signature {
        let chunks = &chunks[..Signature::count_of(chunks) as usize];
        let bits = tag_bits(chunks.len() as u64);
        let tagger = Tagger::new(nonce, bits);
        let tags = chunks.iter().map(|chunk| tagger.tag(&chunk.id)).collect();
        Signature { nonce, bits, tags }
    }

    /// How many of `chunks` are signed.
    pub fn count_of(chunks: &[Chunk]) -> u64 {
        MAX_TAGS.min(chunks.len() as u64)
    }

    /// Reads a signature that fills `bytes` exactly. The count is compared with `max_tags` before any memory is taken.
    pub fn decode(bytes: &[u8], max_tags: u64) -> Result<Signature, SignatureError> {
        let mut reader = ByteReader::new(bytes);
        let nonce = reader.array()?;
        let bits = reader.u8()?;
        if !BITS.contains(&bits) {
            return Err(SignatureError::Bits { bits });
        }
        let count = reader.varint()?;
        let limit = max_tags.min(MAX_TAGS);
        if limit < count {
            return Err(SignatureError::TooManyTags { count, limit });
        }
        let packed = reader.take((count * u64::from(bits)).div_ceil(8) as usize)?;
        if !reader.is_empty() {
            return Err(SignatureError::TrailingBytes { len: bytes.len() - reader.position() });
        }
        let tags = unpack(packed, count as usize, bits)?;
        Ok(Signature { nonce, bits, tags })
    }

    /// The bytes of the request's body.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(28 + self.tags.len() * usize::from(self.bits) / 8);
        out.extend_from_slice(&self.nonce);
        out.push(self.bits);
        put_varint(&mut out, self.count());
        let (mut window, mut filled) = (0u128, 0);
        for &tag in &self.tags {
            window |= u128::from(tag) << filled;
            filled += self.bits;
            while 8 <= filled {
                out.push(window as u8);
                window >>= 8;
                filled -= 8;
            }
        }
        if filled != 0 {
            out.push(window as u8);
        }
        out
    }

    /// The number of tags. Repeated chunks count each time.
    pub fn count(&self) -> u64 {
        self.tags.len() as u64
    }

    /// The tags, in the order of the held file.
    pub(crate) fn tags(&self) -> &[u64] {
        &self.tags
    }

    /// The bits of a tag.
    pub(crate) fn bits(&self) -> u8 {
        self.bits
    }

    /// A tagger that makes tags which can be compared with this signature's.
    pub(crate) fn tagger(&self) -> Tagger {
        Tagger::new(self.nonce, self.bits)
    }
}

/// Makes tags from chunk ids, with one nonce.
pub(crate) struct Tagger {
    key: [u8; 32],
    mask: u64,
}

impl Tagger {
    fn new(nonce: [u8; NONCE_LEN], bits: u8) -> Tagger {
        let mut key = [0; 32];
        key[..NONCE_LEN].copy_from_slice(&nonce);
        Tagger { key, mask: u64::MAX >> (64 - bits) }
    }

    pub(crate) fn tag(&self, id: &ChunkId) -> u64 {
        let hash = blake3::keyed_hash(&self.key, id.as_bytes());
        let mut low = [0; 8];
        low.copy_from_slice(&hash.as_bytes()[..8]);
        u64::from_le_bytes(low) & self.mask
    }
}

/// `ceil(log2(count)) + 8`, since a run may end after each tag.
fn tag_bits(count: u64) -> u8 {
    let log2 = (u64::BITS - count.saturating_sub(1).leading_zeros()) as u8;
    (log2 + RUN_END_BITS).clamp(LEAST_BITS, *BITS.end())
}

fn unpack(packed: &[u8], count: usize, bits: u8) -> Result<Vec<u64>, SignatureError> {
    let (mut window, mut filled) = (0u128, 0);
    let mut bytes = packed.iter();
    let mut tags = Vec::with_capacity(count);
    while tags.len() < count {
        while filled < bits {
            window |= u128::from(*bytes.next().ok_or(SignatureError::Truncated)?) << filled;
            filled += 8;
        }
        tags.push(window as u64 & u64::MAX >> (64 - bits));
        window >>= bits;
        filled -= bits;
    }
    if window != 0 { Err(SignatureError::Padding) } else { Ok(tags) }
}

/// Why bytes are not a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// The bytes end before the tags do.
    #[error("the signature is cut short")]
    Truncated,
    /// Bytes follow the last tag.
    #[error("{len} bytes follow the signature's last tag")]
    #[non_exhaustive]
    TrailingBytes {
        /// The number of bytes.
        len: usize,
    },
    /// The count is not a varint in its shortest form.
    #[error("the signature's count is not a varint in its shortest form")]
    BadVarint,
    /// The tags have a width that the protocol does not allow.
    #[error("the signature has tags of {bits} bits; a tag has 8 to 64 bits")]
    #[non_exhaustive]
    Bits {
        /// The width in bits.
        bits: u8,
    },
    /// The signature has more tags than the server accepts.
    #[error("the signature announces {count} tags; at most {limit} are accepted; request the file without a signature")]
    #[non_exhaustive]
    TooManyTags {
        /// The announced count.
        count: u64,
        /// The greatest count that is accepted.
        limit: u64,
    },
    /// The bits after the last tag are not 0.
    #[error("the bits after the signature's last tag are not zero")]
    Padding,
}

impl SignatureError {
    /// The name of the reason in `spec/vectors.json`.
    pub fn reason(&self) -> &'static str {
        match self {
            SignatureError::Truncated => "truncated",
            SignatureError::TrailingBytes { .. } => "trailing-bytes",
            SignatureError::BadVarint => "bad-varint",
            SignatureError::Bits { .. } => "bad-bits",
            SignatureError::TooManyTags { .. } => "limit-tags",
            SignatureError::Padding => "bad-padding",
        }
    }
}

impl From<Stop> for SignatureError {
    fn from(stop: Stop) -> SignatureError {
        match stop {
            Stop::Incomplete => SignatureError::Truncated,
            Stop::BadVarint => SignatureError::BadVarint,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::chunk::{ChunkSize, cut};

    fn signed() -> Signature {
        let held: Vec<u8> = (0..50_000u32).flat_map(|i| i.wrapping_mul(2654435761).to_be_bytes()).collect();
        Signature::sign([3; 16], &cut(&held, ChunkSize::new(9).unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn bytes_go_both_ways() {
        let signature = signed();
        let bytes = signature.encode();
        assert_eq!(Signature::decode(&bytes, MAX_TAGS), Ok(signature.clone()));
        let bits = u64::from(signature.bits);
        assert_eq!(bytes.len() as u64, 16 + 1 + 2 + (signature.count() * bits).div_ceil(8));
    }

    #[test]
    fn widths_follow_the_count() {
        assert_eq!([0, 1, 256, 257, 1024, u64::MAX].map(tag_bits), [20, 20, 20, 20, 20, 64]);
    }

    #[test]
    fn the_count_is_compared_before_memory_is_taken() {
        let mut bytes = vec![0; 16];
        bytes.push(21);
        put_varint(&mut bytes, u64::MAX);
        let refused = SignatureError::TooManyTags { count: u64::MAX, limit: 1000 };
        assert_eq!(Signature::decode(&bytes, 1000), Err(refused));
    }

    #[test]
    fn every_cut_is_refused() {
        let bytes = signed().encode();
        for len in 0..bytes.len() {
            assert_eq!(Signature::decode(&bytes[..len], MAX_TAGS), Err(SignatureError::Truncated));
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Signature::decode(&longer, MAX_TAGS), Err(SignatureError::TrailingBytes { len: 1 }));
    }
}
