//! The server's side: a basis and a target go in, a delta comes out region by region.

mod following;

use std::iter::{self, Peekable};
use std::ops::Range;

use crate::delta::encode::compress::{
    FrameStream, level, level_after, level_at_once, level_from_nothing, level_from_nothing_at_leisure, level_within,
    pack,
};
use crate::delta::encode::match_finder::MatchFinder;
use crate::delta::format::{CODEC_STORED, CODEC_ZSTD, LAST_REGION, MAX_TARGET};
use crate::delta::header::Header;
use crate::delta::ops::{self, Op};
use crate::delta::reference::{self, PREFIX_START};
use crate::shared_run::SharedRun;
use crate::signature::matching::Matches;
use crate::verify::group::{self, GroupSize, Groups};
use crate::version::{BasisId, Version};
use crate::wire::put_varint;

/// New bytes in one region: what the compressor sees at once.
const MAX_GAP_BYTES: u64 = 16 << 20;
/// A target up to this length is compressed whole, so that it is stored where that is smaller.
const MAX_WHOLE: usize = 128 << 10;
/// How finely the basis is indexed at least: building the index is what takes time, and what a coarser one misses zstd finds.
const STRIDE_AT_ONCE: usize = 8;
/// The zstd level by which they are compared.
const COMPARE_LEVEL: i32 = 10;
/// The zstd level that shows whether copies alone can be worth more time.
const ESTIMATE_LEVEL: i32 = 3;
/// Bytes compressed so far from which on a glance must do.
const MANY_BYTES: usize = 4 << 20;
/// Targets that are longer may take longer, in proportion.
const ORDINARY: u64 = 32 << 20;
/// Ops in one region; each takes 20 bytes at most, so they stay within the format's limit.
const MAX_OPS: usize = 50_000;

/// What a delta may be made of; the receiver must have said that it reads it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Codec {
    /// What every receiver reads: copies and compressed bytes at the speed of memory, and where it is thorough, copies in which words
    /// or numbers were renamed, at some hundred megabytes in a second.
    #[default]
    Fast,
    /// The smallest delta: that, or a model that predicts every byte that changed, decoded at some megabytes of changes in a second.
    Dense,
    /// Whichever is verified sooner over a link of this many bits in a second.
    Auto {
        /// The link that is assumed.
        bits_per_second: u32,
    },
}

/// How an encoder may spend.
#[derive(Clone, Copy, Debug)]
pub struct EncodeOptions {
    /// Default: [`Codec::Fast`].
    pub codec: Codec,
    /// Bytes of working memory, besides the basis and the target themselves. Default: 512 MiB.
    ///
    /// Half goes into the index of the basis, which is sampled more coarsely where the basis is large for it; the rest bounds the compressor.
    pub budget: usize,
    /// Whether each way is tried and the best one kept, for what nobody waits for: some megabytes of target in a second.
    /// Default: `false`.
    pub thorough: bool,
}

impl Default for EncodeOptions {
    fn default() -> EncodeOptions {
        EncodeOptions { codec: Codec::Fast, budget: 512 << 20, thorough: false }
    }
}

/// Makes the delta from a basis to a target.
///
/// Time is linear in both; memory is the options' budget and at most one region of output.
pub struct Encoder<'a> {
    basis: BasisBytes<'a>,
    target: &'a [u8],
    copies: Peekable<Box<dyn Iterator<Item = SharedRun> + Send + 'a>>,
    options: EncodeOptions,
    /// Bytes that were compressed so far, with what stood before them.
    compressed: u64,
    header: Option<Header>,
    /// The target's only region, while it is compressed from nothing.
    stream: Option<FrameStream>,
    at: u64,
    position: u64,
}

impl<'a> Encoder<'a> {
    /// The delta from one version to another; both are hashed. The empty basis makes it the compressed target.
    pub fn new(basis: &'a [u8], target: &'a [u8], options: EncodeOptions) -> Encoder<'a> {
        Encoder::between(basis, Version::of(basis), target, None, options)
    }

    /// As [`new`](Encoder::new), where both versions are known to be those of the bytes: of the target, only what the delta carries to
    /// verify its groups is hashed, and nothing where one group holds it.
    pub fn of_versions(
        (basis, from): (&'a [u8], Version),
        (target, to): (&'a [u8], Version),
        options: EncodeOptions,
    ) -> Encoder<'a> {
        Encoder::between(basis, from, target, Some(to), options)
    }

    fn between(
        basis: &'a [u8],
        from: Version,
        target: &'a [u8],
        to: Option<Version>,
        options: EncodeOptions,
    ) -> Encoder<'a> {
        let stride = if options.thorough { 2 } else { STRIDE_AT_ONCE };
        // Built when the first copy is wanted: where the basis is followed, after the plan for that has been let go, or never.
        let copies = iter::once_with(move || MatchFinder::new(basis, target, options.budget, stride)).flatten();
        let group = if basis.is_empty() { GroupSize::fine(target.len() as u64) } else { GroupSize::LARGEST };
        let header = header(target, to, group, from.basis_id());
        Encoder::with(BasisBytes::Whole(basis), target, Box::new(copies), options, header)
    }

    /// The delta from what a signature matched; `target` is the head whose chunks it was matched with.
    pub fn matched(matches: &'a Matches, target: &'a [u8], options: EncodeOptions) -> Encoder<'a> {
        let header = header(target, None, GroupSize::LARGEST, matches.basis_id());
        let copies = Box::new(matches.copies().iter().cloned());
        let basis = BasisBytes::Matched { layout: matches.layout(), target };
        Encoder::with(basis, target, copies, options, header)
    }

    /// The next bytes of the delta: the header, then one region after the other; `None` after the last.
    pub fn poll_output(&mut self) -> Result<Option<Vec<u8>>, EncodeError> {
        if let Some(header) = self.header.take() {
            if MAX_TARGET < header.len() {
                return Err(EncodeError::TooLong { len: header.len(), max: MAX_TARGET });
            }
            let mut out = Vec::new();
            header.write(&mut out);
            return Ok(Some(out));
        }
        if let Some(stream) = &mut self.stream {
            return stream.next(self.target);
        }
        if self.at == 0 && self.streams() {
            return self.begin_stream().map(Some);
        }
        if self.at == self.target.len() as u64 {
            return Ok(None);
        }
        match self.followable() {
            Some(basis) => self.next_followed(basis),
            None => self.next_fast(),
        }
        .map(Some)
    }

    /// Whether the target is one region whose frame is given out as it is compressed: from nothing, for a receiver that waits.
    fn streams(&self) -> bool {
        !self.options.thorough && self.basis.len() == 0 && MAX_WHOLE < self.target.len()
    }

    fn begin_stream(&mut self) -> Result<Vec<u8>, EncodeError> {
        self.stream = Some(FrameStream::new(self.target.len(), level_from_nothing(self.target.len()))?);
        self.at = self.target.len() as u64;
        let mut out = self.begin(CODEC_ZSTD, 0);
        // Neither a reference nor ops.
        out.extend([0, 0]);
        Ok(out)
    }

    /// The next region in codec 0 or 1.
    fn next_fast(&mut self) -> Result<Vec<u8>, EncodeError> {
        let (start, position) = (self.at, self.position);
        let found = self.next_ops(MAX_OPS, u64::MAX);
        self.fast(found, start, position)
    }

    fn fast(&mut self, found: Vec<Op>, start: u64, position: u64) -> Result<Vec<u8>, EncodeError> {
        let ops = if self.options.thorough { self.worthwhile(found, start, position)?.ops } else { found };
        self.position = ops.last().map_or(position, |op| op.copy.end);
        self.region(&ops, start, position)
    }

    fn with(
        basis: BasisBytes<'a>,
        target: &'a [u8],
        copies: Box<dyn Iterator<Item = SharedRun> + Send + 'a>,
        options: EncodeOptions,
        header: Header,
    ) -> Encoder<'a> {
        let copies = copies.peekable();
        Encoder {
            basis,
            target,
            copies,
            options,
            compressed: 0,
            header: Some(header),
            stream: None,
            at: 0,
            position: 0,
        }
    }

    /// The next ops: at most so many, for at most `span` bytes, and as the other limits of a region allow.
    fn next_ops(&mut self, most: usize, span: u64) -> Vec<Op> {
        let (mut ops, mut room) = (Vec::new(), MAX_GAP_BYTES);
        let end = (self.target.len() as u64).min(self.at.saturating_add(span));
        while 0 < room && ops.len() < most && self.at < end {
            let gap_end = self.copies.peek().map_or(end, |copy| copy.target.start.min(end));
            let gap = (gap_end - self.at).min(room);
            self.at += gap;
            room -= gap;
            let copy = self.next_copy(end).unwrap_or(self.position..self.position);
            self.at += copy.end - copy.start;
            self.position = copy.end;
            let pauses = copy.is_empty();
            ops.push(Op { gap, copy, substituted: false });
            if pauses {
                break;
            }
        }
        ops
    }

    /// What the copy that goes on here takes from the basis, up to the target's `end`; what is beyond is left for the next region.
    fn next_copy(&mut self, end: u64) -> Option<Range<u64>> {
        let copy = self.copies.peek_mut().filter(|copy| copy.target.start == self.at && self.at < end)?;
        let len = copy.target.end.min(end) - self.at;
        let basis = copy.basis..copy.basis + len;
        copy.target.start += len;
        copy.basis += len;
        self.copies.next_if(|copy| copy.target.is_empty());
        Some(basis)
    }

    /// About how many bytes a region takes.
    fn estimate(&self, ops: &[Op], start: u64, position: u64, level: i32) -> Result<usize, EncodeError> {
        let gaps = self.gaps(ops, start);
        let (_, prefix) = self.reference(ops, position, gaps.len() as u64);
        Ok(pack(&gaps, &prefix, level)?.len() + pack(&ops::encode(ops, position), &[], level)?.len())
    }

    fn region(&mut self, ops: &[Op], start: u64, position: u64) -> Result<Vec<u8>, EncodeError> {
        let gaps = self.gaps(ops, start);
        let (reach, prefix) = self.reference(ops, position, gaps.len() as u64);
        let span = self.at - start;
        let level = self.level_for(span, gaps.len(), prefix.len());
        let packed_gaps = if gaps.is_empty() { Vec::new() } else { pack(&gaps, &prefix, level)? };
        let encoded_ops = ops::encode(ops, position);
        let stored = encoded_ops.is_empty() && gaps.len() <= packed_gaps.len();
        self.compressed += (gaps.len() + prefix.len()) as u64;
        let mut out = self.begin(if stored { CODEC_STORED } else { CODEC_ZSTD }, start);
        if stored {
            out.extend_from_slice(&gaps);
            return Ok(out);
        }
        put_varint(&mut out, reach);
        put_varint(&mut out, encoded_ops.len() as u64);
        if !encoded_ops.is_empty() {
            let packed = pack(&encoded_ops, &[], self.level_for(span, encoded_ops.len(), 0))?;
            let smaller = packed.len() < encoded_ops.len();
            put_varint(&mut out, if smaller { packed.len() as u64 } else { 0 });
            out.extend_from_slice(if smaller { &packed } else { &encoded_ops });
        }
        out.extend_from_slice(&packed_gaps);
        Ok(out)
    }

    /// A region's first bytes, up to where its codec's own begin.
    fn begin(&self, codec: u8, start: u64) -> Vec<u8> {
        let is_last = self.at == self.target.len() as u64;
        let mut out = vec![codec | if is_last { LAST_REGION } else { 0 }];
        if !is_last {
            put_varint(&mut out, self.at - start);
        }
        out
    }

    /// The zstd level for so many bytes after a prefix.
    fn level(&self, len: usize, prefix: usize) -> i32 {
        self.level_for(self.target.len() as u64, len, prefix)
    }

    /// The same, in a region that covers `span` bytes of the target.
    fn level_for(&self, span: u64, len: usize, prefix: usize) -> i32 {
        let budget = self.options.budget;
        match (&self.basis, self.options.thorough) {
            (BasisBytes::Whole([]), true) => level_from_nothing_at_leisure(self.target.len(), budget),
            (BasisBytes::Whole([]), false) => level_from_nothing(self.target.len()),
            (BasisBytes::Whole(_), true) => level(len + prefix, budget).min(level_after(self.compressed_of_share())),
            (BasisBytes::Whole(_), false) => level_at_once(len),
            // For one receiver, who waits for it, and gets no better one later.
            (BasisBytes::Matched { .. }, _) => level_within(span, len, prefix, budget),
        }
    }

    /// Bytes that were compressed so far, of a target of ordinary length: many regions get no more time in all than one of as many bytes.
    fn compressed_of_share(&self) -> usize {
        (self.compressed / (self.target.len() as u64 / ORDINARY).max(1)) as usize
    }

    /// The level by which the ways to say a region are compared.
    fn quick(&self) -> i32 {
        if self.compressed_of_share() < MANY_BYTES { COMPARE_LEVEL } else { ESTIMATE_LEVEL }
    }

    fn gaps(&self, ops: &[Op], start: u64) -> Vec<u8> {
        let mut gaps = Vec::with_capacity(ops::gap_bytes(ops) as usize);
        let mut at = start as usize;
        for op in ops {
            gaps.extend_from_slice(&self.target[at..at + op.gap as usize]);
            at += (op.gap + op.copy.end - op.copy.start) as usize;
        }
        gaps
    }

    /// The widest reach whose reference stays in proportion to what it serves, and the prefix it makes.
    fn reference(&self, ops: &[Op], position: u64, gap_bytes: u64) -> (u64, Vec<u8>) {
        const REACHES: [u64; 6] = [65536, 16384, 4096, 1024, 256, 64];
        let basis_len = self.basis.len();
        let worth = (4 * gap_bytes).clamp(1 << 18, (1 << 21).max(2 * gap_bytes));
        for reach in REACHES {
            let Ok(ranges) = reference::ranges(ops, position, basis_len, reach) else { continue };
            let total: u64 = ranges.iter().map(|range| range.end - range.start).sum();
            if total == 0 {
                break;
            }
            if total <= worth || reach == 64 {
                let mut prefix = Vec::with_capacity(total as usize + 1);
                prefix.push(PREFIX_START);
                ranges.into_iter().for_each(|range| self.basis.append(range, &mut prefix));
                return (reach, prefix);
            }
        }
        (0, Vec::new())
    }
}

/// The ops of a region of copies, and about how many bytes it takes.
struct Copies {
    ops: Vec<Op>,
    estimate: usize,
}

/// The answer to a receiver that holds the head already.
pub fn encode_same(version: Version, len: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let groups = Groups { version, len, size: GroupSize::LARGEST, values: Vec::new() };
    let header = Header { groups, basis: None };
    header.write(&mut out);
    out
}

fn header(target: &[u8], known: Option<Version>, size: GroupSize, basis_id: BasisId) -> Header {
    let values = group::chaining_values(target, size);
    let version = match known {
        _ if !values.is_empty() => group::merge(&values),
        Some(version) => version,
        None => Version::of(target),
    };
    Header { groups: Groups { version, len: target.len() as u64, size, values }, basis: Some(basis_id) }
}

/// The bytes of the basis, which for a matched one lie all over the target.
enum BasisBytes<'a> {
    Whole(&'a [u8]),
    Matched { layout: &'a [SharedRun], target: &'a [u8] },
}

impl BasisBytes<'_> {
    fn len(&self) -> u64 {
        match self {
            BasisBytes::Whole(bytes) => bytes.len() as u64,
            BasisBytes::Matched { layout, .. } => layout.last().map_or(0, SharedRun::basis_end),
        }
    }

    fn append(&self, range: Range<u64>, out: &mut Vec<u8>) {
        match self {
            BasisBytes::Whole(bytes) => out.extend_from_slice(&bytes[range.start as usize..range.end as usize]),
            BasisBytes::Matched { layout, target } => {
                let first = layout.partition_point(|piece| piece.basis_end() <= range.start);
                for piece in layout[first..].iter().take_while(|piece| piece.basis < range.end) {
                    let from = piece.target.start + range.start.saturating_sub(piece.basis);
                    let to = piece.target.end - piece.basis_end().saturating_sub(range.end);
                    out.extend_from_slice(&target[from as usize..to as usize]);
                }
            }
        }
    }
}

/// Why no delta could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// The target is longer than the format can say.
    #[error("a file of {len} bytes; a delta describes at most {max}")]
    TooLong {
        /// The target's length in bytes.
        len: u64,
        /// The format's limit.
        max: u64,
    },
    /// The compressor failed.
    #[error("zstd cannot compress: {what}")]
    Zstd {
        /// What it says.
        what: &'static str,
    },
}
