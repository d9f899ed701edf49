//! The basis that matched chunks make.

use std::ops::Range;

use crate::signature::chunk::Chunk;
use crate::signature::runs::Runs;
use crate::version::BasisId;

/// The basis of a matched delta, as the receiver lays it out: its matched chunks, in their order.
///
/// ```
/// # #[cfg(feature = "encode")] {
/// use driblet_core::{Basis, ChunkSizes, Cuts, Decoder, EncodeOptions, Encoder, Event, Limits};
/// use driblet_core::{MatchedBasis, Runs, Signature};
///
/// let (held, head) = (b"one driblet".repeat(999), [&b"one driblet".repeat(999)[..], b"more"].concat());
/// let head_cuts = Cuts::of(&head, ChunkSizes::of(&head));
///
/// // The receiver cuts what it holds at the head's sizes, and signs it.
/// let chunks = Cuts::of(&held, head_cuts.sizes()).describe(&head_cuts.list());
/// let signature = Signature::sign([7; 16], &chunks);
/// assert_eq!(Signature::count_of(&chunks), signature.count());
///
/// // The server answers with the runs and a delta. If nothing matches, the delta has the empty basis.
/// let matches = signature.match_chunks(&head_cuts);
/// let is_match = 0 < matches.matched_bytes();
/// let mut answer = if is_match { matches.encode_runs() } else { matches.encode_no_runs() };
/// let mut encoder = match is_match {
///     true => Encoder::matched(&matches, &head, EncodeOptions::new()),
///     false => Encoder::new(&[], &head, EncodeOptions::new()),
/// };
/// while let Some(piece) = encoder.poll_output()? {
///     answer.extend_from_slice(&piece);
/// }
///
/// // The receiver lays out the same basis, and finds its bytes in the held file.
/// let (runs, consumed) = Runs::decode(&answer, signature.count())?.ok_or("more bytes are needed")?;
/// let basis = MatchedBasis::new(&runs, &chunks);
/// let mut decoder = Decoder::new(Basis::matched(&basis), Limits::new());
/// decoder.handle_input(&answer[consumed..]);
/// decoder.handle_end();
/// let mut output = Vec::new();
/// loop {
///     match decoder.poll_event()? {
///         Event::NeedBasis(range) => {
///             let pieces = basis.locate(range).map(|piece| &held[piece.start as usize..piece.end as usize]);
///             decoder.handle_basis(&pieces.collect::<Vec<_>>().concat());
///         }
///         Event::Output(verified) => output.extend_from_slice(verified),
///         Event::Done => break,
///         Event::NeedInput | Event::Same => unreachable!("the decoder has all input, and named no version"),
///     }
/// }
/// assert_eq!(output, head);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MatchedBasis {
    /// Where each piece begins in the basis, and its range in the held file. Adjacent pieces are merged.
    pieces: Vec<(u64, Range<u64>)>,
    len: u64,
    basis_id: BasisId,
}

impl MatchedBasis {
    /// Lays out the basis. `chunks` are the signed chunks; `runs` were decoded with their count.
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

    /// The length of the basis in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no chunk matched.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The basis id that the delta's header must have.
    pub fn basis_id(&self) -> BasisId {
        self.basis_id
    }

    /// The ranges of the held file that make up a range of the basis, in basis order. The range is clipped to the
    /// basis.
    pub fn locate(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let first = self.pieces.partition_point(|(at, held)| at + (held.end - held.start) <= range.start);
        self.pieces[first..].iter().map_while(move |(at, held)| {
            let from = range.start.max(*at);
            let to = range.end.min(at + (held.end - held.start));
            (from < to).then(|| held.start + (from - at)..held.start + (to - at))
        })
    }
}

/// A basis that grows chunk by chunk: its length, and the hash of its chunk ids.
#[derive(Default)]
pub(super) struct Layout {
    pub(super) len: u64,
    ids: blake3::Hasher,
}

impl Layout {
    pub(super) fn push(&mut self, chunk: &Chunk) {
        self.ids.update(chunk.id.as_bytes());
        self.len += u64::from(chunk.len);
    }

    pub(super) fn basis_id(&self) -> BasisId {
        BasisId::of_hash(self.ids.finalize().as_bytes())
    }
}

/// The position of each chunk.
pub(super) fn starts(chunks: &[Chunk]) -> Vec<u64> {
    let mut at = 0;
    let start = |chunk: &Chunk| {
        at += u64::from(chunk.len);
        at - u64::from(chunk.len)
    };
    chunks.iter().map(start).collect()
}
