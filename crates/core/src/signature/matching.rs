//! Matching: finds the basis among the chunks of a receiver whose version the server does not know.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use crate::shared_run::SharedRun;
use crate::signature::chunk::{Chunk, ChunkId};
use crate::signature::cuts::Cuts;
use crate::signature::matched_basis::{Layout, starts};
use crate::signature::runs::{Runs, RunsWriter};
use crate::signature::tag_alignment::{HeadPlace, HeadTags, align_tags};
use crate::signature::tags::Signature;
use crate::version::BasisId;

/// The tags that the server found among the chunks of its head, and the basis that these chunks make.
///
/// ```
/// use driblet_core::{ChunkSize, ChunkSizes, Cuts, MatchedBasis, Runs, Signature};
///
/// let (held, head) = (b"one driblet".repeat(999), [&b"one driblet".repeat(999)[..], b"more"].concat());
/// let sizes = ChunkSizes { sections: ChunkSize::new(10)?, chunks: ChunkSize::new(8)? };
/// let head_cuts = Cuts::of(&head, sizes);
///
/// // The receiver signs what it holds.
/// let chunks = Cuts::of(&held, sizes).describe(&head_cuts.list());
/// let signature = Signature::sign([7; 16], &chunks);
///
/// // The server matches the tags. Both sides lay out the same basis.
/// let matches = signature.match_chunks(&head_cuts);
/// let (runs, _) = Runs::decode(&matches.encode_runs(), signature.count())?.ok_or("more bytes are needed")?;
/// let basis = MatchedBasis::new(&runs, &chunks);
/// assert!(!basis.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Matches {
    runs: Runs,
    basis_id: BasisId,
    shared: Vec<SharedRun>,
    /// The pieces of the basis, in basis order.
    layout: Vec<SharedRun>,
    matched: u64,
}

impl Signature {
    /// Finds the tags of the receiver among the tags of the head's chunks and sections.
    ///
    /// This takes one keyed hash for each chunk of the head, and time n log n.
    pub fn match_chunks(&self, cuts: &Cuts) -> Matches {
        let (tagger, chunks) = (self.tagger(), cuts.chunks());
        let sections = cuts.sections().iter().enumerate();
        let head = HeadTags {
            chunks: chunks.iter().map(|chunk| tagger.tag(&chunk.id)).collect(),
            sections: sections.map(|(index, section)| (tagger.tag(&section.id), cuts.within(index))).collect(),
        };
        let found = align_tags(self.tags(), &head, self.bits());
        let starts = starts(chunks);

        let mut basis = Layout::default();
        let mut placed = Placed { at: vec![None; chunks.len()], sections: vec![false; head.sections.len()] };
        let mut layout: Vec<SharedRun> = Vec::new();
        let mut runs = RunsWriter::default();
        for found in found {
            runs.push(found.is_some());
            let Some(found) = found else { continue };
            let whole = match found {
                HeadPlace::Chunk(index) => &chunks[index],
                HeadPlace::Section(index) => &cuts.sections()[index],
            };
            let within = head.chunks_of(found);
            let start = starts[within.start];
            placed.place(found, within, basis.len, chunks);
            append(&mut layout, SharedRun { target: start..start + u64::from(whole.len), basis: basis.len });
            basis.push(whole);
        }

        // A chunk that the head has several times is in the basis at least once.
        let placed_chunks = chunks.iter().zip(&placed.at).filter_map(|(chunk, at)| Some((chunk.id, (*at)?)));
        let by_id: HashMap<ChunkId, u64> = placed_chunks.collect();
        let (mut shared, mut matched) = (Vec::new(), 0);
        for ((chunk, at), &start) in chunks.iter().zip(&placed.at).zip(&starts) {
            if let Some(basis) = at.or_else(|| by_id.get(&chunk.id).copied()) {
                matched += u64::from(chunk.len);
                append(&mut shared, SharedRun { target: start..start + u64::from(chunk.len), basis });
            }
        }
        Matches { runs: runs.finish(), basis_id: basis.basis_id(), shared, layout, matched }
    }
}

/// The basis position of each chunk of the head that was found.
struct Placed {
    at: Vec<Option<u64>>,
    sections: Vec<bool>,
}

impl Placed {
    /// Notes that a place of the head begins at `basis`. A section that was noted already is skipped.
    fn place(&mut self, found: HeadPlace, within: Range<usize>, mut basis: u64, chunks: &[Chunk]) {
        if let HeadPlace::Section(index) = found
            && std::mem::replace(&mut self.sections[index], true)
        {
            return;
        }
        for index in within {
            self.at[index].get_or_insert(basis);
            basis += u64::from(chunks[index].len);
        }
    }
}

impl fmt::Debug for Matches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Matches")
            .field("basis_id", &self.basis_id)
            .field("matched", &self.matched)
            .finish_non_exhaustive()
    }
}

impl Matches {
    /// How many bytes of the head the receiver holds already.
    pub fn matched_bytes(&self) -> u64 {
        self.matched
    }

    /// The basis id of the matched chunks: what the receiver's [`MatchedBasis`](crate::MatchedBasis) must have too. Two
    /// receivers with the same basis id can decode each other's deltas.
    pub fn basis_id(&self) -> BasisId {
        self.basis_id
    }

    /// Bytes of memory that the matches take.
    pub fn memory(&self) -> usize {
        self.runs.memory() + (self.shared.capacity() + self.layout.capacity()) * size_of::<SharedRun>()
    }

    /// The start of the matched answer: the runs, after their length.
    pub fn encode_runs(&self) -> Vec<u8> {
        self.runs.encode()
    }

    /// The start of an answer that uses no matches. The delta after it is made from the empty basis.
    pub fn encode_no_runs(&self) -> Vec<u8> {
        let mut runs = RunsWriter::default();
        (0..self.runs.count()).for_each(|_| runs.push(false));
        runs.finish().encode()
    }

    #[cfg_attr(not(feature = "encode"), allow(dead_code))]
    pub(crate) fn shared_runs(&self) -> &[SharedRun] {
        &self.shared
    }

    #[cfg_attr(not(feature = "encode"), allow(dead_code))]
    pub(crate) fn layout(&self) -> &[SharedRun] {
        &self.layout
    }
}

/// Appends a run, or lengthens the last run if this one continues it.
fn append(copies: &mut Vec<SharedRun>, copy: SharedRun) {
    match copies.last_mut() {
        Some(last) if last.target.end == copy.target.start && last.basis_end() == copy.basis => {
            last.target.end = copy.target.end;
        }
        _ => copies.push(copy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::random_bytes;
    use crate::signature::chunk::ChunkSize;
    use crate::signature::chunk_sizes::ChunkSizes;
    use crate::signature::matched_basis::MatchedBasis;

    fn layout(held: &[u8], head: &[u8]) -> (Matches, MatchedBasis, Vec<u8>) {
        let sizes = ChunkSizes { sections: ChunkSize::new(12).unwrap(), chunks: ChunkSize::new(9).unwrap() };
        let head = Cuts::of(head, sizes);
        let chunks = Cuts::of(held, sizes).describe(&head.list());
        let signature = Signature::sign([9; 16], &chunks);
        let matches = signature.match_chunks(&head);
        let bytes = matches.encode_runs();
        let (runs, consumed) = Runs::decode(&bytes, signature.count()).unwrap().unwrap();
        assert_eq!(consumed, bytes.len());
        let basis = MatchedBasis::new(&runs, &chunks);
        let mut laid_out = Vec::new();
        for piece in basis.locate(0..basis.len()) {
            laid_out.extend_from_slice(&held[piece.start as usize..piece.end as usize]);
        }
        (matches, basis, laid_out)
    }

    #[test]
    fn both_sides_lay_out_the_same_basis() {
        let old = random_bytes(1, 60_000);
        let repeated = [&old[..], &random_bytes(2, 9_000), &old[10_000..40_000]].concat();
        let new = [&old[..20_000], &random_bytes(3, 500), &old[20_000..], &old[..30_000]].concat();
        let (matches, basis, bytes) = layout(&repeated, &new);
        assert_eq!(matches.basis_id(), basis.basis_id());
        assert_eq!(bytes.len() as u64, basis.len());
        assert!(60_000 < matches.matched_bytes());
        for copy in matches.shared_runs() {
            let len = copy.target.end - copy.target.start;
            let from_basis = &bytes[copy.basis as usize..(copy.basis + len) as usize];
            assert_eq!(from_basis, &new[copy.target.start as usize..copy.target.end as usize]);
        }
    }

    #[test]
    fn nothing_in_common_is_an_empty_basis() {
        let (matches, basis, _) = layout(&random_bytes(1, 5_000), &random_bytes(7, 5_000));
        assert!(basis.is_empty());
        assert_eq!(matches.matched_bytes(), 0);
        assert_eq!(basis.basis_id(), crate::Version::EMPTY.basis_id());
        assert_eq!(matches.encode_no_runs(), matches.encode_runs());
    }
}
