//! Files that are cut into sections and chunks.

use std::fmt;
use std::ops::Range;

use crate::signature::chunk::{Chunk, cut, next_cut};
use crate::signature::chunk_sizes::ChunkSizes;

/// The sections of a file, and their chunks.
///
/// ```
/// use driblet_core::{ChunkSize, ChunkSizes, Cuts};
///
/// let file = b"some driblets of a file ".repeat(99);
/// let cuts = Cuts::of(&file, ChunkSizes { sections: ChunkSize::new(10)?, chunks: ChunkSize::new(8)? });
/// assert!(cuts.sections().len() <= cuts.chunks().len());
/// # Ok::<(), driblet_core::UnknownChunkSize>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cuts {
    sizes: ChunkSizes,
    sections: Vec<Chunk>,
    chunks: Vec<Chunk>,
    /// For each section, the number of chunks up to its end.
    ends: Vec<u32>,
}

impl Cuts {
    /// Cuts a whole file.
    pub fn of(bytes: &[u8], sizes: ChunkSizes) -> Cuts {
        let mut cuts = Cuts::none(sizes);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (section, after) = rest.split_at(next_cut(rest, sizes.sections));
            cuts.push(section);
            rest = after;
        }
        cuts
    }

    /// The sizes at which the file was cut.
    pub fn sizes(&self) -> ChunkSizes {
        self.sizes
    }

    /// The sections, each as one chunk.
    pub fn sections(&self) -> &[Chunk] {
        &self.sections
    }

    /// The chunks of all sections, in file order.
    pub fn chunks(&self) -> &[Chunk] {
        &self.chunks
    }

    /// The indices of the chunks of one section.
    pub(crate) fn within(&self, section: usize) -> Range<usize> {
        let start = if section == 0 { 0 } else { self.ends[section - 1] };
        start as usize..self.ends[section] as usize
    }

    /// Bytes of memory that the cuts take.
    pub fn memory(&self) -> usize {
        size_of_val(&*self.sections) + size_of_val(&*self.chunks) + size_of_val(&*self.ends)
    }

    fn none(sizes: ChunkSizes) -> Cuts {
        Cuts { sizes, sections: Vec::new(), chunks: Vec::new(), ends: Vec::new() }
    }

    fn push(&mut self, section: &[u8]) {
        self.chunks.extend(cut(section, self.sizes.chunks));
        self.sections.push(Chunk::of(section));
        self.ends.push(self.chunks.len() as u32);
    }
}

/// Cuts a file piece by piece. It holds less than one maximal section, besides the last piece.
///
/// ```
/// use driblet_core::{ChunkSize, ChunkSizes, Chunker, Cuts};
///
/// let file = b"some driblets of a file ".repeat(99);
/// let sizes = ChunkSizes { sections: ChunkSize::new(10)?, chunks: ChunkSize::new(8)? };
/// let mut chunker = Chunker::new(sizes);
/// file.chunks(100).for_each(|piece| chunker.handle_input(piece));
/// assert_eq!(chunker.finish(), &Cuts::of(&file, sizes));
/// # Ok::<(), driblet_core::UnknownChunkSize>(())
/// ```
pub struct Chunker {
    held: Vec<u8>,
    cuts: Cuts,
}

impl fmt::Debug for Chunker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunker")
            .field("sizes", &self.cuts.sizes)
            .field("held", &self.held.len())
            .field("sections", &self.cuts.sections.len())
            .finish_non_exhaustive()
    }
}

impl Chunker {
    /// A chunker at the start of a file.
    pub fn new(sizes: ChunkSizes) -> Chunker {
        Chunker { held: Vec::new(), cuts: Cuts::none(sizes) }
    }

    /// Takes the next bytes of the file.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
        self.take(self.cuts.sizes.sections.maximum());
    }

    /// Ends the file and returns all its cuts.
    pub fn finish(&mut self) -> &Cuts {
        self.take(1);
        &self.cuts
    }

    /// Cuts off sections while at least `certain` bytes are held. So many bytes make the end of the next section
    /// certain.
    fn take(&mut self, certain: usize) {
        let mut at = 0;
        while certain <= self.held.len() - at {
            let rest = &self.held[at..];
            let len = next_cut(rest, self.cuts.sizes.sections);
            self.cuts.push(&rest[..len]);
            at += len;
        }
        self.held.drain(..at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::random_bytes;
    use crate::signature::chunk::ChunkSize;

    fn sizes(sections: u8, chunks: u8) -> ChunkSizes {
        ChunkSizes { sections: ChunkSize::new(sections).unwrap(), chunks: ChunkSize::new(chunks).unwrap() }
    }

    #[test]
    fn pieces_are_cut_like_the_whole() {
        let bytes = random_bytes(1, 100_001);
        for sizes in [sizes(10, 8), sizes(13, 9)] {
            let whole = Cuts::of(&bytes, sizes);
            assert_eq!(whole.chunks().iter().map(|chunk| chunk.len as usize).sum::<usize>(), bytes.len());
            assert_eq!(whole.within(whole.sections().len() - 1).end, whole.chunks().len());
            for step in [1, 777, 70_000] {
                let mut chunker = Chunker::new(sizes);
                bytes.chunks(step).for_each(|piece| chunker.handle_input(piece));
                assert_eq!(chunker.finish(), &whole);
            }
        }
    }
}
