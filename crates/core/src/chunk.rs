//! Content-defined chunks, cut alike on both sides.

use std::fmt;

use fastcdc::v2020;

/// A step of the ladder of chunk sizes that both sides know; named by log2 of its average size.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Rung(u8);

impl Rung {
    /// All rungs, smallest first: averages of 512 B, 2 KiB, 8 KiB, 32 KiB and 128 KiB.
    pub const LADDER: [Rung; 5] = [Rung(9), Rung(11), Rung(13), Rung(15), Rung(17)];

    /// The rung whose average is 2^`log2` bytes, if the ladder has it.
    pub fn new(log2: u8) -> Result<Rung, UnknownRung> {
        let rung = Rung(log2);
        if Rung::LADDER.contains(&rung) { Ok(rung) } else { Err(UnknownRung { log2 }) }
    }

    /// The rung to sign a file of `len` bytes with.
    ///
    /// A chunk costs a tag of some 6 bytes, a change costs about the chunk it falls in; rsync's rule, a size near the square root of
    /// the length, balances the two. The factor comes from measuring pairs of 1 to 128 MB.
    pub fn for_len(len: u64) -> Rung {
        let wanted = len.isqrt();
        Rung::LADDER.into_iter().find(|rung| wanted <= 2 * rung.average() as u64).unwrap_or(Rung(17))
    }

    /// log2 of the average size: the rung's name on the wire.
    pub fn log2(self) -> u8 {
        self.0
    }

    /// The average size in bytes.
    pub fn average(self) -> usize {
        1 << self.0
    }

    fn minimum(self) -> usize {
        self.average() / 4
    }

    fn maximum(self) -> usize {
        self.average() * 4
    }
}

/// A chunk's identity: the BLAKE3 hash of its bytes.
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

/// A content-defined piece of a file; where it lies follows from those before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunk {
    /// Length in bytes.
    pub len: u32,
    /// Identity.
    pub id: ChunkId,
}

impl Chunk {
    fn of(bytes: &[u8]) -> Chunk {
        Chunk { len: bytes.len() as u32, id: ChunkId(*blake3::hash(bytes).as_bytes()) }
    }
}

/// Cuts a whole file: FastCDC (Xia et al. 2020), normalisation level 1. Cut points are format.
pub fn cut(bytes: &[u8], rung: Rung) -> impl Iterator<Item = Chunk> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (chunk, after) = rest.split_at(next_cut(rest, rung));
        rest = after;
        (!chunk.is_empty()).then(|| Chunk::of(chunk))
    })
}

/// Cuts a file that comes piece by piece; holds less than one maximal chunk besides the last piece.
pub struct Chunker {
    rung: Rung,
    held: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Chunker {
    /// A chunker at the start of a file.
    pub fn new(rung: Rung) -> Chunker {
        Chunker { rung, held: Vec::new(), at: 0, ended: false }
    }

    /// Takes the next bytes of the file.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.held.drain(..self.at);
        self.at = 0;
        self.held.extend_from_slice(bytes);
    }

    /// The file has ended: what is left is its last chunks.
    pub fn handle_end(&mut self) {
        self.ended = true;
    }

    /// The next chunk whose end is certain.
    pub fn poll_chunk(&mut self) -> Option<Chunk> {
        let rest = &self.held[self.at..];
        if rest.is_empty() || (!self.ended && rest.len() < self.rung.maximum()) {
            return None;
        }
        let len = next_cut(rest, self.rung);
        let chunk = Chunk::of(&rest[..len]);
        self.at += len;
        Some(chunk)
    }
}

fn next_cut(bytes: &[u8], rung: Rung) -> usize {
    let (strict, loose) = v2020::select_masks(rung.average(), v2020::Normalization::Level1);
    let (min, average, max) = (rung.minimum(), rung.average(), rung.maximum());
    v2020::cut(bytes, min, average, max, strict, loose, strict << 1, loose << 1).1
}

/// A chunk size that is not on the ladder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no rung of the ladder has an average of 2^{log2} bytes; they are 2^9, 2^11, 2^13, 2^15, 2^17")]
pub struct UnknownRung {
    /// The size named.
    pub log2: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u32;
        let step = |_| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 24) as u8
        };
        (0..len).map(step).collect()
    }

    /// The spec's pseudo-code, line by line.
    fn naive_cut(bytes: &[u8], rung: Rung) -> usize {
        let (strict, loose) = v2020::select_masks(rung.average(), v2020::Normalization::Level1);
        let (gear, _) = v2020::get_gear_with_seed(0);
        if bytes.len() <= rung.minimum() {
            return bytes.len();
        }
        let end = bytes.len().min(rung.maximum());
        let centre = end.min(rung.average()) & !1;
        let mut hash = 0u64;
        for at in rung.minimum()..end & !1 {
            hash = (hash << 1).wrapping_add(gear[bytes[at] as usize]);
            if hash & (if at < centre { strict } else { loose }) == 0 {
                return at;
            }
        }
        end
    }

    #[test]
    fn cuts_are_those_of_the_spec() {
        for rung in Rung::LADDER {
            let bytes = noise(rung.maximum() * 3 + 1);
            let mut rest = &bytes[..];
            for chunk in cut(&bytes, rung) {
                assert_eq!(chunk.len as usize, naive_cut(rest, rung));
                rest = &rest[chunk.len as usize..];
            }
            assert!(rest.is_empty());
            for len in [0, 1, rung.minimum(), rung.minimum() + 1, rung.average() + 1, rung.maximum() + 1] {
                let bytes = vec![7; len];
                assert_eq!(next_cut(&bytes, rung), naive_cut(&bytes, rung), "{len} equal bytes");
            }
        }
    }

    #[test]
    fn pieces_are_cut_like_the_whole() {
        let bytes = noise(100_001);
        for rung in [Rung(9), Rung(13)] {
            for step in [1, 777, 70_000] {
                let mut chunker = Chunker::new(rung);
                let mut chunks = Vec::new();
                for piece in bytes.chunks(step) {
                    chunker.handle_input(piece);
                    chunks.extend(std::iter::from_fn(|| chunker.poll_chunk()));
                }
                chunker.handle_end();
                chunks.extend(std::iter::from_fn(|| chunker.poll_chunk()));
                assert_eq!(chunks, cut(&bytes, rung).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn rungs_follow_the_length() {
        assert_eq!(Rung::for_len(0).log2(), 9);
        assert_eq!(Rung::for_len(1 << 60).log2(), 17);
        assert_eq!(Rung::new(10), Err(UnknownRung { log2: 10 }));
    }
}
