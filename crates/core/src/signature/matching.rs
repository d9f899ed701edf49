//! Finding the basis among the chunks of a receiver whose version is unknown.

use std::collections::HashMap;
use std::ops::Range;

use crate::signature::chunk::{Chunk, ChunkId, Cuts};
use crate::signature::tag_alignment::{Found, Head, align};
use crate::signature::tags::Signature;
use crate::version::BasisId;
use crate::wire::{Reader, Stop, put_varint};

/// The most bytes that runs may take.
const MAX_RUNS_LEN: u64 = 8 << 20;

/// What the server found: which tags are those of chunks of its head, and the basis that follows from it.
pub struct Matches {
    runs: Runs,
    basis_id: BasisId,
    copies: Vec<Copy>,
    /// The basis, laid out: each piece of it, in basis order.
    layout: Vec<Copy>,
    matched: u64,
}

/// A run of the head that stands in the basis too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Copy {
    pub(crate) head: Range<u64>,
    pub(crate) basis: u64,
}

impl Copy {
    /// Where it ends in the basis.
    pub(crate) fn basis_end(&self) -> u64 {
        self.basis + (self.head.end - self.head.start)
    }
}

impl Signature {
    /// Finds the receiver's tags among those of the head's chunks and sections.
    ///
    /// Costs a keyed hash for each of the head's chunks, and time n log n.
    pub fn match_chunks(&self, cuts: &Cuts) -> Matches {
        let (tagger, chunks) = (self.tagger(), cuts.chunks());
        let sections = cuts.sections().iter().enumerate();
        let head = Head {
            chunks: chunks.iter().map(|chunk| tagger.tag(&chunk.id)).collect(),
            sections: sections.map(|(index, section)| (tagger.tag(&section.id), cuts.within(index))).collect(),
        };
        let found = align(self.tags(), &head, self.bits());
        let starts = starts(chunks);

        let mut basis = Layout::default();
        let mut placed = Placed { at: vec![None; chunks.len()], sections: vec![false; head.sections.len()] };
        let mut layout: Vec<Copy> = Vec::new();
        let mut runs = RunsWriter::default();
        for found in found {
            runs.push(found.is_some());
            let Some(found) = found else { continue };
            let whole = match found {
                Found::Chunk(index) => &chunks[index],
                Found::Section(index) => &cuts.sections()[index],
            };
            let within = head.chunks_of(found);
            let start = starts[within.start];
            placed.place(found, within, basis.len, chunks);
            append(&mut layout, Copy { head: start..start + u64::from(whole.len), basis: basis.len });
            basis.push(whole);
        }

        // What the head has more than once is in the basis once at least.
        let placed_chunks = chunks.iter().zip(&placed.at).filter_map(|(chunk, at)| Some((chunk.id, (*at)?)));
        let by_id: HashMap<ChunkId, u64> = placed_chunks.collect();
        let (mut copies, mut matched) = (Vec::new(), 0);
        for ((chunk, at), &start) in chunks.iter().zip(&placed.at).zip(&starts) {
            if let Some(basis) = at.or_else(|| by_id.get(&chunk.id).copied()) {
                matched += u64::from(chunk.len);
                append(&mut copies, Copy { head: start..start + u64::from(chunk.len), basis });
            }
        }
        Matches { runs: runs.finish(), basis_id: basis.basis_id(), copies, layout, matched }
    }
}

/// Where in the basis the head's chunks are.
struct Placed {
    at: Vec<Option<u64>>,
    sections: Vec<bool>,
}

impl Placed {
    /// Notes that what was found stands at `basis`; a section that is noted already costs nothing.
    fn place(&mut self, found: Found, within: Range<usize>, mut basis: u64, chunks: &[Chunk]) {
        if let Found::Section(index) = found
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

/// A basis as it grows: its length, and the hash over its chunk ids.
#[derive(Default)]
struct Layout {
    len: u64,
    ids: blake3::Hasher,
}

impl Layout {
    fn push(&mut self, chunk: &Chunk) {
        self.ids.update(chunk.id.as_bytes());
        self.len += u64::from(chunk.len);
    }

    fn basis_id(&self) -> BasisId {
        BasisId::of_hash(self.ids.finalize().as_bytes())
    }
}

impl Matches {
    /// How many bytes of the head need not travel.
    pub fn matched_bytes(&self) -> u64 {
        self.matched
    }

    /// The start of the answer: the runs, with their length before them.
    pub fn encode_runs(&self) -> Vec<u8> {
        self.runs.encode()
    }

    /// The start of an answer that makes nothing of the matches and goes on with the delta from the empty basis.
    pub fn encode_no_runs(&self) -> Vec<u8> {
        let mut runs = RunsWriter::default();
        (0..self.runs.count()).for_each(|_| runs.push(false));
        runs.finish().encode()
    }

    #[cfg_attr(not(feature = "encode"), allow(dead_code))]
    pub(crate) fn copies(&self) -> &[Copy] {
        &self.copies
    }

    #[cfg_attr(not(feature = "encode"), allow(dead_code))]
    pub(crate) fn layout(&self) -> &[Copy] {
        &self.layout
    }

    #[cfg_attr(not(feature = "encode"), allow(dead_code))]
    pub(crate) fn basis_id(&self) -> BasisId {
        self.basis_id
    }
}

/// Which tags of a signature matched, as run lengths: unmatched, matched, unmatched, …
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Runs(Vec<u64>);

impl Runs {
    /// Reads the start of a matched answer to a signature of `count` tags.
    ///
    /// Gives the runs and how many bytes they took, or `None` where more bytes are needed.
    pub fn decode(bytes: &[u8], count: u64) -> Result<Option<(Runs, usize)>, RunsError> {
        let mut reader = Reader::new(bytes);
        let len = match reader.varint() {
            Ok(len) => len,
            Err(Stop::Incomplete) => return Ok(None),
            Err(Stop::BadVarint) => return Err(RunsError::BadVarint),
        };
        if MAX_RUNS_LEN < len {
            return Err(RunsError::TooLong { len, limit: MAX_RUNS_LEN });
        }
        let Ok(body) = reader.take(len as usize) else { return Ok(None) };
        let consumed = reader.position();
        let mut reader = Reader::new(body);
        let (mut runs, mut sum) = (Vec::new(), 0u64);
        while !reader.is_empty() {
            let run = match reader.varint() {
                Ok(run) => run,
                Err(Stop::Incomplete) => return Err(RunsError::Cut { len }),
                Err(Stop::BadVarint) => return Err(RunsError::BadVarint),
            };
            if run == 0 && !runs.is_empty() {
                return Err(RunsError::EmptyRun { index: runs.len() });
            }
            sum = sum.saturating_add(run);
            runs.push(run);
        }
        if sum != count {
            return Err(RunsError::Sum { sum, count });
        }
        Ok(Some((Runs(runs), consumed)))
    }

    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.0.iter().for_each(|&run| put_varint(&mut body, run));
        let mut out = Vec::with_capacity(body.len() + 4);
        put_varint(&mut out, body.len() as u64);
        out.extend_from_slice(&body);
        out
    }

    fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The indices of the tags that matched, ascending.
    pub fn matched(&self) -> impl Iterator<Item = usize> + '_ {
        let mut start = 0;
        let ranges = self.0.iter().map(move |&run| {
            let range = start as usize..(start + run) as usize;
            start += run;
            range
        });
        ranges.skip(1).step_by(2).flatten()
    }
}

#[derive(Default)]
struct RunsWriter {
    done: Vec<u64>,
    run: u64,
    matched: bool,
}

impl RunsWriter {
    fn push(&mut self, matched: bool) {
        if matched != self.matched {
            self.done.push(self.run);
            self.run = 0;
            self.matched = matched;
        }
        self.run += 1;
    }

    fn finish(mut self) -> Runs {
        if self.run != 0 {
            self.done.push(self.run);
        }
        Runs(self.done)
    }
}

/// The basis as the receiver lays it out: its matched chunks, in their order.
#[derive(Debug)]
pub struct MatchedBasis {
    /// Where each piece begins in the basis, and what it is of what the receiver holds. Neighbours are merged.
    pieces: Vec<(u64, Range<u64>)>,
    len: u64,
    basis_id: BasisId,
}

impl MatchedBasis {
    /// Lays out the basis. `chunks` are those that were signed; `runs` were decoded with their count.
    pub fn new(runs: &Runs, chunks: &[Chunk]) -> MatchedBasis {
        let starts = starts(chunks);
        let mut pieces: Vec<(u64, Range<u64>)> = Vec::new();
        let mut basis = Layout::default();
        for index in runs.matched() {
            let Some(chunk) = chunks.get(index) else { break };
            let held = starts[index]..starts[index] + u64::from(chunk.len);
            match pieces.last_mut() {
                Some((_, last)) if last.end == held.start => last.end = held.end,
                _ => pieces.push((basis.len, held)),
            }
            basis.push(chunk);
        }
        MatchedBasis { pieces, len: basis.len, basis_id: basis.basis_id() }
    }

    /// The basis' length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing matched.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What the header of a delta against it must say.
    pub fn basis_id(&self) -> BasisId {
        self.basis_id
    }

    /// Where a range of the basis lies in what the receiver holds, in basis order; clipped to the basis.
    pub fn locate(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let first = self.pieces.partition_point(|(at, held)| at + (held.end - held.start) <= range.start);
        self.pieces[first..].iter().map_while(move |(at, held)| {
            let from = range.start.max(*at);
            let to = range.end.min(at + (held.end - held.start));
            (from < to).then(|| held.start + (from - at)..held.start + (to - at))
        })
    }
}

/// Where each chunk begins.
fn starts(chunks: &[Chunk]) -> Vec<u64> {
    let mut at = 0;
    let start = |chunk: &Chunk| {
        at += u64::from(chunk.len);
        at - u64::from(chunk.len)
    };
    chunks.iter().map(start).collect()
}

/// Adds a copy, as part of the last one where it goes on from it.
fn append(copies: &mut Vec<Copy>, copy: Copy) {
    match copies.last_mut() {
        Some(last) if last.head.end == copy.head.start && last.basis_end() == copy.basis => {
            last.head.end = copy.head.end;
        }
        _ => copies.push(copy),
    }
}

/// Why the start of a matched answer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunsError {
    /// A number is no canonical varint.
    #[error("a run of the matched answer is not a varint in its shortest form")]
    BadVarint,
    /// The runs are longer than any may be.
    #[error("runs of {len} bytes announced, at most {limit} are taken")]
    TooLong {
        /// Bytes announced.
        len: u64,
        /// Bytes taken at most.
        limit: u64,
    },
    /// The length announced ends inside a run.
    #[error("the {len} bytes announced for the runs end inside one")]
    Cut {
        /// Bytes announced.
        len: u64,
    },
    /// A run after the first is empty.
    #[error("run {index} of the matched answer is empty")]
    EmptyRun {
        /// Its place, from 0.
        index: usize,
    },
    /// The runs do not speak of each tag once.
    #[error("the matched answer speaks of {sum} tags, the signature had {count}")]
    Sum {
        /// Tags spoken of.
        sum: u64,
        /// Tags sent.
        count: u64,
    },
}

impl RunsError {
    /// The reason's name in `spec/vectors.json`.
    pub fn reason(&self) -> &'static str {
        match self {
            RunsError::BadVarint => "bad-varint",
            RunsError::TooLong { .. } => "limit-runs",
            RunsError::Cut { .. } | RunsError::EmptyRun { .. } | RunsError::Sum { .. } => "bad-runs",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::random_bytes;
    use crate::signature::chunk::ChunkSize;
    use crate::signature::chunk_sizes::ChunkSizes;

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
        for copy in matches.copies() {
            let len = copy.head.end - copy.head.start;
            let from_basis = &bytes[copy.basis as usize..(copy.basis + len) as usize];
            assert_eq!(from_basis, &new[copy.head.start as usize..copy.head.end as usize]);
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

    #[test]
    fn runs_that_do_not_add_up_are_refused() {
        assert_eq!(Runs::decode(&[2, 1, 2], 3), Ok(Some((Runs(vec![1, 2]), 3))));
        assert_eq!(Runs::decode(&[2, 1], 3), Ok(None));
        assert_eq!(Runs::decode(&[2, 1, 2], 4), Err(RunsError::Sum { sum: 3, count: 4 }));
        assert_eq!(Runs::decode(&[3, 1, 0, 2], 3), Err(RunsError::EmptyRun { index: 1 }));
        let long = RunsError::TooLong { len: 1 << 35, limit: MAX_RUNS_LEN };
        assert_eq!(Runs::decode(&[0x80, 0x80, 0x80, 0x80, 0x80, 1], 3), Err(long));
    }
}
