//! A region in codec 1 on its way in: its numbers, its reference, its ops.

use std::ops::Range;

use super::error::{DecodeError, Halt, Limit};
use super::frame::Frame;
use super::input::Input;
use super::ops::{self, Op};
use super::reference::{self, PREFIX_START};
use super::verify::Verifier;
use super::{MAX_OPS_LEN, MAX_REACH};
use crate::wire::Reader;

/// The most basis bytes asked for at once.
const BASIS_PIECE: u64 = 1 << 20;
/// The most bytes decompressed in one step.
const FRAME_PIECE: usize = 1 << 17;

/// The numbers before the ops.
pub(crate) struct Announced {
    span: u64,
    reach: u64,
    ops_len: usize,
    packed_len: usize,
}

impl Announced {
    pub(crate) fn parse(reader: &mut Reader<'_>, span: u64) -> Result<Announced, Halt> {
        let reach = Limit::Reach.check(reader.varint()?, MAX_REACH)?;
        let ops_len = Limit::Ops.check(reader.varint()?, MAX_OPS_LEN)?;
        let packed_len = if ops_len == 0 { 0 } else { reader.varint()? };
        if packed_len != 0 && ops_len <= packed_len {
            return Err(DecodeError::BadOps { what: "packed they are not shorter" }.into());
        }
        Ok(Announced { span, reach, ops_len: ops_len as usize, packed_len: packed_len as usize })
    }

    /// Reads the ops when they have come whole.
    pub(crate) fn load(&self, input: &mut Input, position: u64, basis_len: u64) -> Result<Loading, Halt> {
        let len = if self.packed_len == 0 { self.ops_len } else { self.packed_len };
        let bytes = input.reader().take(len)?;
        let ops = if self.packed_len == 0 {
            ops::decode(bytes, self.span, position, basis_len)
        } else {
            ops::decode(&Frame::decode_whole(bytes, self.ops_len)?, self.span, position, basis_len)
        }?;
        input.consume(len);
        Ok(Loading::new(self.reach, ops, position, basis_len)?)
    }
}

/// A region while its reference is read.
pub(crate) struct Loading {
    ops: Vec<Op>,
    ranges: Vec<Range<u64>>,
    prefix: Vec<u8>,
}

impl Loading {
    fn new(reach: u64, ops: Vec<Op>, position: u64, basis_len: u64) -> Result<Loading, DecodeError> {
        let mut ranges = reference::ranges(&ops, position, basis_len, reach)?;
        let total: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        let mut prefix = Vec::new();
        if total != 0 {
            prefix.reserve_exact(total as usize + 1);
            prefix.push(PREFIX_START);
        }
        ranges.reverse();
        Ok(Loading { ops, ranges, prefix })
    }

    /// The basis bytes that the reference wants next.
    pub(crate) fn wanted(&self) -> Option<Range<u64>> {
        self.ranges.last().map(|range| range.start..range.end.min(range.start + BASIS_PIECE))
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.prefix.extend_from_slice(bytes);
        if let Some(range) = self.ranges.last_mut() {
            range.start += bytes.len() as u64;
            if range.is_empty() {
                self.ranges.pop();
            }
        }
    }

    /// The region with its reference complete.
    pub(crate) fn finish(&mut self) -> Result<Region, DecodeError> {
        let mut ops = std::mem::take(&mut self.ops);
        let frame = if ops::gap_bytes(&ops) == 0 { None } else { Some(Frame::new(&self.prefix)?) };
        let position = ops.last().map_or(0, |op| op.copy.end);
        ops.reverse();
        Ok(Region { ops, frame, position })
    }
}

/// A region while its ops are carried out; the next op is the last of the list.
pub(crate) struct Region {
    ops: Vec<Op>,
    frame: Option<Frame>,
    position: u64,
}

impl Region {
    /// Basis position after the region.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// New bytes that the op at hand still wants.
    pub(crate) fn gap_left(&self) -> u64 {
        self.ops.last().map_or(0, |op| op.gap)
    }

    /// The basis bytes that the copy at hand wants next, when its gap is done.
    pub(crate) fn wanted(&self, space: usize) -> Option<Range<u64>> {
        let op = self.ops.last().filter(|op| op.gap == 0 && !op.copy.is_empty())?;
        let len = BASIS_PIECE.min(space as u64).min(op.copy.end - op.copy.start);
        Some(op.copy.start..op.copy.start + len)
    }

    pub(crate) fn copied(&mut self, len: u64) {
        if let Some(op) = self.ops.last_mut() {
            op.copy.start += len;
        }
        self.drop_finished();
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.ops.is_empty()
    }

    pub(crate) fn decode_gap(&mut self, input: &mut Input, output: &mut Verifier) -> Result<(), Halt> {
        let (Some(op), Some(frame)) = (self.ops.last_mut(), &mut self.frame) else { return Ok(()) };
        let step = frame.step(input.unread(), output.room(op.gap.min(FRAME_PIECE as u64) as usize))?;
        output.filled(step.produced);
        input.consume(step.consumed);
        op.gap -= step.produced as u64;
        if frame.ended() && op.gap != 0 {
            return Err(DecodeError::BadZstd { what: "the gaps' frame ends before the gaps are full" }.into());
        }
        self.drop_finished();
        if step.consumed == 0 && step.produced == 0 { Err(Halt::Incomplete) } else { Ok(()) }
    }

    /// Reads what remains of the frame when no gap wants bytes any more: nothing but its end.
    pub(crate) fn end_frame(&mut self, input: &mut Input) -> Result<(), Halt> {
        let Some(frame) = &mut self.frame else { return Ok(()) };
        while !frame.ended() {
            if input.unread().is_empty() {
                return Err(Halt::Incomplete);
            }
            let step = frame.step(input.unread(), &mut [])?;
            input.consume(step.consumed);
            if step.consumed == 0 && !frame.ended() {
                return Err(DecodeError::BadZstd { what: "the gaps' frame goes on after the gaps are full" }.into());
            }
        }
        Ok(())
    }

    fn drop_finished(&mut self) {
        self.ops.pop_if(|op| op.gap == 0 && op.copy.is_empty());
    }
}
