//! What planning and writing a region both need: the basis, the target, and how much compression may cost.

use super::basis_bytes::BasisBytes;
use super::levels;
use super::options::EncodeOptions;
use crate::delta::ops::{self, Op};
use crate::delta::prefix::{self, PREFIX_START};

/// The zstd level of rough estimates, which show whether a method can be worth more time.
pub(super) const ESTIMATE_LEVEL: i32 = 3;
/// The zstd level by which the methods for one region are compared.
const COMPARE_LEVEL: i32 = 10;
/// After this many compressed bytes for each [`ORDINARY_LEN`], methods are compared by [`ESTIMATE_LEVEL`].
const MANY_BYTES: usize = 12 << 20;
/// The length in bytes of the targets for which the limits of time are made. A target of twice the length may take
/// twice the time.
const ORDINARY_LEN: u64 = 32 << 20;

/// The most new bytes in one region.
const MAX_GAP_BYTES: u64 = 16 << 20;
/// The same in a delta that many receivers get and none waits for. At the start of a region the compressor finds less.
const MAX_SHARED_GAP_BYTES: u64 = 64 << 20;
/// The least budget in bytes for that many: the bytes themselves, what becomes of them at several levels, and the tables.
const SHARED_GAP_BUDGET: usize = 512 << 20;

pub(super) struct Context<'a> {
    pub(super) basis: BasisBytes<'a>,
    pub(super) target: &'a [u8],
    pub(super) options: EncodeOptions,
    /// The [work](levels::work) for all copy regions so far.
    pub(super) compressed: u64,
    /// How often both sides were unpacked.
    pub(super) depth: u32,
}

/// The basis bytes under which zstd compresses new bytes, or from which a model learns to predict them.
#[derive(Default)]
pub(super) struct Prefix {
    /// How far the prefix reaches around each gap, as the region says it.
    pub(super) reach: u64,
    pub(super) bytes: Vec<u8>,
}

impl Context<'_> {
    pub(super) fn target_len(&self) -> u64 {
        self.target.len() as u64
    }

    /// The most new bytes in one region.
    pub(super) fn max_gap_bytes(&self) -> u64 {
        match &self.basis {
            BasisBytes::Whole([]) | BasisBytes::Matched { .. }
                if self.options.thorough && SHARED_GAP_BUDGET <= self.options.budget =>
            {
                MAX_SHARED_GAP_BYTES
            }
            _ => MAX_GAP_BYTES,
        }
    }

    /// The new bytes of a region that begins at `start`.
    pub(super) fn gaps(&self, ops: &[Op], start: u64) -> Vec<u8> {
        let mut gaps = Vec::with_capacity(ops::gap_bytes(ops) as usize);
        let mut at = start as usize;
        for op in ops {
            gaps.extend_from_slice(&self.target[at..at + op.gap as usize]);
            at += (op.gap + op.copy_len()) as usize;
        }
        gaps
    }

    /// The prefix with the widest reach whose length stays in proportion to the new bytes, or the narrowest.
    pub(super) fn prefix(&self, ops: &[Op], position: u64, gap_bytes: u64) -> Prefix {
        const NARROWEST: u64 = 64;
        let most = (4 * gap_bytes).clamp(1 << 18, (1 << 21).max(2 * gap_bytes));
        let within = self.prefix_within(ops, position, most, &[65536, 16384, 4096, 1024, 256]);
        within.or_else(|| self.prefix_within(ops, position, u64::MAX, &[NARROWEST])).unwrap_or_default()
    }

    /// The prefix with the first of these reaches that has at most so many bytes.
    pub(super) fn prefix_within(&self, ops: &[Op], position: u64, most: u64, reaches: &[u64]) -> Option<Prefix> {
        let basis_len = self.basis.len();
        reaches.iter().find_map(|reach| {
            let ranges = prefix::ranges(ops, position, basis_len, *reach).ok()?;
            let len: u64 = ranges.iter().map(|range| range.end - range.start).sum();
            (1..=most).contains(&len).then(|| {
                let mut bytes = Vec::with_capacity(len as usize + 1);
                bytes.push(PREFIX_START);
                ranges.into_iter().for_each(|range| self.basis.append(range, &mut bytes));
                Prefix { reach: *reach, bytes }
            })
        })
    }

    /// The first `len` bytes of the prefix with this reach, or all of them.
    pub(super) fn prefix_start(&self, ops: &[Op], position: u64, reach: u64, len: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![PREFIX_START];
        for range in prefix::ranges(ops, position, self.basis.len(), reach).ok()? {
            let left = (len - bytes.len()) as u64;
            let end = range.end.min(range.start + left);
            self.basis.append(range.start..end, &mut bytes);
        }
        (1 < bytes.len()).then_some(bytes)
    }

    /// The level for `len` bytes after a prefix, in a region that covers `span` bytes of the target.
    pub(super) fn level(&self, span: u64, len: usize, prefix: usize) -> i32 {
        let budget = self.options.budget;
        match (&self.basis, self.options.thorough) {
            (BasisBytes::Whole([]), true) => levels::shared(self.target.len(), budget),
            (BasisBytes::Whole([]), false) => levels::first_sync(self.target.len()),
            (BasisBytes::Whole(_), true) => {
                levels::thorough(len, prefix, budget).min(levels::after(self.compressed_per_share()))
            }
            (BasisBytes::Whole(_), false) => levels::interactive(len),
            // Often no better one is made later.
            (BasisBytes::Matched { .. }, false) => levels::matched(span, len, prefix, budget),
            (BasisBytes::Matched { .. }, true) => {
                levels::shared(self.target.len(), budget).max(levels::matched(span, len, prefix, budget))
            }
        }
    }

    /// The level by which the methods for one region are compared.
    pub(super) fn compare_level(&self) -> i32 {
        if self.compressed_per_share() < MANY_BYTES { COMPARE_LEVEL } else { ESTIMATE_LEVEL }
    }

    /// Bytes that were compressed so far for each [`ORDINARY_LEN`] bytes of the target, so that many regions together
    /// get no more time than one region with as many bytes.
    fn compressed_per_share(&self) -> usize {
        (self.compressed / (self.target_len() / ORDINARY_LEN).max(1)) as usize
    }
}
