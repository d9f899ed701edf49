//! The ops of a region, from the runs that the basis and the target share.

use std::iter::{self, Peekable};
use std::ops::Range;

use super::match_finder::MatchFinder;
use super::options::EncodeOptions;
use super::plan::Span;
use crate::delta::ops::Op;
use crate::shared_run::SharedRun;

/// Shared runs, in target order.
type SharedRuns<'a> = Box<dyn Iterator<Item = SharedRun> + Send + 'a>;

/// The limits of one region.
#[derive(Clone, Copy)]
pub(super) struct RegionLimits {
    pub(super) ops: usize,
    /// New bytes: as many as the compressor gets at once.
    pub(super) gap_bytes: u64,
    /// Bytes of the target.
    pub(super) len: u64,
}

/// Turns shared runs into the ops of one region after the other.
pub(super) struct OpSource<'a> {
    runs: Peekable<SharedRuns<'a>>,
    target_len: u64,
}

/// The least distance in bytes between indexed positions of the basis, for interactive deltas. Most of their time goes
/// into the index; zstd finds what a coarser index misses.
const INTERACTIVE_STRIDE: usize = 8;
/// The least distance in bytes between indexed positions of the basis, for thorough deltas.
const THOROUGH_STRIDE: usize = 2;

impl<'a> OpSource<'a> {
    /// The ops by the runs that two files share. The index is built when the first run is wanted. If only the dense
    /// codec makes the delta, that is never.
    pub(super) fn between(basis: &'a [u8], target: &'a [u8], options: EncodeOptions) -> OpSource<'a> {
        let stride = if options.thorough { THOROUGH_STRIDE } else { INTERACTIVE_STRIDE };
        let runs = iter::once_with(move || MatchFinder::new(basis, target, options.budget, stride)).flatten();
        OpSource::new(Box::new(runs), target.len() as u64)
    }

    pub(super) fn new(runs: SharedRuns<'a>, target_len: u64) -> OpSource<'a> {
        OpSource { runs: runs.peekable(), target_len }
    }

    /// The ops of a region that begins at `start` in the target, where `position` is the basis position after the last
    /// copy.
    pub(super) fn next_ops(&mut self, start: u64, position: u64, most: RegionLimits) -> (Vec<Op>, Span) {
        let (mut ops, mut room) = (Vec::new(), most.gap_bytes);
        let (mut at, mut last) = (start, position);
        let end = self.target_len.min(start.saturating_add(most.len));
        while 0 < room && ops.len() < most.ops && at < end {
            let gap_end = self.runs.peek().map_or(end, |run| run.target.start.min(end));
            let gap = (gap_end - at).min(room);
            at += gap;
            room -= gap;
            let copy = self.next_copy(at, end).unwrap_or(last..last);
            at += copy.end - copy.start;
            last = copy.end;
            let is_end = copy.is_empty();
            ops.push(Op { gap, copy, substituted: false });
            if is_end {
                break;
            }
        }
        (ops, Span { start, end: at, position })
    }

    /// The basis range that the run at target position `at` copies, up to the target's `end`. The next region gets what
    /// remains of the run.
    fn next_copy(&mut self, at: u64, end: u64) -> Option<Range<u64>> {
        let run = self.runs.peek_mut().filter(|run| run.target.start == at && at < end)?;
        let len = run.target.end.min(end) - at;
        let basis = run.basis..run.basis + len;
        run.target.start += len;
        run.basis += len;
        self.runs.next_if(|run| run.target.is_empty());
        Some(basis)
    }
}
