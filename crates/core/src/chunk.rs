//! Content-defined chunks, cut alike on both sides.

use std::fmt;

use fastcdc::v2020;

use crate::rungs::Rungs;

/// A step of the ladder of chunk sizes that both sides know; named by log2 of its average size.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Rung(u8);

impl Rung {
    /// All rungs, smallest first: averages of 256 B to 128 KiB, each twice the one before.
    pub const LADDER: [Rung; 10] =
        [Rung(8), Rung(9), Rung(10), Rung(11), Rung(12), Rung(13), Rung(14), Rung(15), Rung(16), Rung(17)];

    /// The rung whose average is 2^`log2` bytes, if the ladder has it.
    pub fn new(log2: u8) -> Result<Rung, UnknownRung> {
        let rung = Rung(log2);
        if Rung::LADDER.contains(&rung) { Ok(rung) } else { Err(UnknownRung { log2 }) }
    }

    /// The largest rung of at most so many bytes on average, or the smallest of all.
    #[cfg(feature = "encode")]
    pub(crate) fn nearest(average: u64) -> Rung {
        let log2 = average.max(1).ilog2() as u8;
        Rung(log2.clamp(Rung::LADDER[0].0, Rung::LADDER[Rung::LADDER.len() - 1].0))
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

/// A file's sections and their chunks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cuts {
    rungs: Rungs,
    sections: Vec<Chunk>,
    chunks: Vec<Chunk>,
    /// The number of chunks up to each section's end.
    ends: Vec<u32>,
}

impl Cuts {
    /// Cuts a whole file.
    pub fn of(bytes: &[u8], rungs: Rungs) -> Cuts {
        let mut cuts = Cuts::none(rungs);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (section, after) = rest.split_at(next_cut(rest, rungs.sections));
            cuts.push(section);
            rest = after;
        }
        cuts
    }

    /// The rungs it was cut at.
    pub fn rungs(&self) -> Rungs {
        self.rungs
    }

    /// The sections, each as one chunk.
    pub fn sections(&self) -> &[Chunk] {
        &self.sections
    }

    /// The chunks of all sections.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The chunks of one section, by their index.
    pub(crate) fn within(&self, section: usize) -> std::ops::Range<usize> {
        let start = if section == 0 { 0 } else { self.ends[section - 1] };
        start as usize..self.ends[section] as usize
    }

    /// Bytes of memory that this takes.
    pub fn memory(&self) -> usize {
        size_of_val(&*self.sections) + size_of_val(&*self.chunks) + size_of_val(&*self.ends)
    }

    fn none(rungs: Rungs) -> Cuts {
        Cuts { rungs, sections: Vec::new(), chunks: Vec::new(), ends: Vec::new() }
    }

    fn push(&mut self, section: &[u8]) {
        self.chunks.extend(cut(section, self.rungs.chunks));
        self.sections.push(Chunk::of(section));
        self.ends.push(self.chunks.len() as u32);
    }
}

/// Cuts a file that comes piece by piece; holds less than one maximal section besides the last piece.
pub struct Chunker {
    held: Vec<u8>,
    cuts: Cuts,
}

impl Chunker {
    /// A chunker at the start of a file.
    pub fn new(rungs: Rungs) -> Chunker {
        Chunker { held: Vec::new(), cuts: Cuts::none(rungs) }
    }

    /// Takes the next bytes of the file.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        self.take(self.cuts.rungs.sections.maximum());
    }

    /// The file has ended: all its cuts.
    pub fn finish(&mut self) -> &Cuts {
        self.take(1);
        &self.cuts
    }

    /// Takes sections as long as at least so many bytes, which make their ends certain, are held.
    fn take(&mut self, certain: usize) {
        let mut at = 0;
        while certain <= self.held.len() - at {
            let rest = &self.held[at..];
            let len = next_cut(rest, self.cuts.rungs.sections);
            self.cuts.push(&rest[..len]);
            at += len;
        }
        self.held.drain(..at);
    }
}

fn next_cut(bytes: &[u8], rung: Rung) -> usize {
    let (strict, loose) = v2020::select_masks(rung.average(), v2020::Normalization::Level1);
    let (min, average, max) = (rung.minimum(), rung.average(), rung.maximum());
    v2020::cut(bytes, min, average, max, strict, loose, strict << 1, loose << 1).1
}

/// A chunk size that is not on the ladder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no rung has an average of 2^{log2} bytes; they are 2^8 to 2^17")]
pub struct UnknownRung {
    /// The size named.
    pub log2: u8,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::random_bytes;

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
            let bytes = random_bytes(1, rung.maximum() * 3 + 1);
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
        let bytes = random_bytes(1, 100_001);
        for rungs in [Rungs { sections: Rung(10), chunks: Rung(8) }, Rungs { sections: Rung(13), chunks: Rung(9) }] {
            let whole = Cuts::of(&bytes, rungs);
            assert_eq!(whole.chunks().iter().map(|chunk| chunk.len as usize).sum::<usize>(), bytes.len());
            assert_eq!(whole.within(whole.sections().len() - 1).end, whole.chunks().len());
            for step in [1, 777, 70_000] {
                let mut chunker = Chunker::new(rungs);
                bytes.chunks(step).for_each(|piece| chunker.handle_input(piece));
                assert_eq!(chunker.finish(), &whole);
            }
        }
    }

    #[test]
    fn the_ladder_ends_at_both_ends() {
        assert_eq!(Rung::new(7), Err(UnknownRung { log2: 7 }));
        assert_eq!(Rung::new(18), Err(UnknownRung { log2: 18 }));
    }
}
