//! Decodes a region in codec 1, 3 or 5: its header, its ops, its prefix, and the bytes that it makes.

use std::ops::Range;

use crate::delta::arithmetic::DecisionReader;
use crate::delta::decode::frame::FrameDecoder;
use crate::delta::error::{DecodeError, Halt, Limit};
use crate::delta::format::{BASIS_PIECE, MAX_DENSE, MAX_LEARNED, MAX_OPS_LEN, MAX_REACH, SUBSTITUTION_WORDS};
use crate::delta::header::TargetVerifier;
use crate::delta::op_coder::OpCoder;
use crate::delta::ops::{self, Op};
use crate::delta::predicted::Predictor;
use crate::delta::prefix::{self, PREFIX_START};
use crate::delta::substitution::decode::SubstitutionDecoder;
use crate::delta::substitution::token::TokenKind;
use crate::input_buffer::InputBuffer;
use crate::wire::ByteReader;

/// The most new bytes that one step makes.
const NEW_PIECE: usize = 1 << 17;
/// The most basis bytes that are asked for at once for several ranges.
const MAX_COVERED: u64 = 64 << 10;
/// The most basis bytes between two such ranges.
const MAX_BETWEEN: u64 = 4 << 10;

/// A range of the basis, and those of the next ones that lie close behind it.
fn with_close(first: Range<u64>, next: &mut dyn Iterator<Item = &Range<u64>>) -> Range<u64> {
    let is_close = |end: u64, range: &Range<u64>| {
        first.start <= range.start && range.end <= first.start + MAX_COVERED && range.start <= end + MAX_BETWEEN
    };
    let mut end = first.end;
    for range in next.filter(|range| !range.is_empty()) {
        if !is_close(end, range) {
            break;
        }
        end = end.max(range.end);
    }
    first.start..end
}

/// The numbers before the ops.
pub(crate) struct CopyRegionHeader {
    span: u64,
    reach: u64,
    form: OpsForm,
    /// Whether the new bytes are decisions too, in place of a frame.
    predicted: bool,
}

/// How the ops are encoded.
enum OpsForm {
    /// As varints. They are compressed if `packed_len` is not 0.
    Varints { ops_len: usize, packed_len: usize },
    /// As decisions. The decisions of the substituted copies follow them.
    Decisions { tokens: TokenKind, len: usize },
}

impl CopyRegionHeader {
    pub(crate) fn parse(reader: &mut ByteReader<'_>, span: u64) -> Result<CopyRegionHeader, Halt> {
        let reach = Limit::Reach.check(reader.varint()?, MAX_REACH)?;
        let ops_len = Limit::Ops.check(reader.varint()?, MAX_OPS_LEN)?;
        let packed_len = if ops_len == 0 { 0 } else { reader.varint()? };
        if packed_len != 0 && ops_len <= packed_len {
            return Err(DecodeError::BadOps { what: "the packed ops are not shorter" }.into());
        }
        let form = OpsForm::Varints { ops_len: ops_len as usize, packed_len: packed_len as usize };
        Ok(CopyRegionHeader { span, reach, form, predicted: false })
    }

    pub(crate) fn parse_substitution(reader: &mut ByteReader<'_>, span: u64) -> Result<CopyRegionHeader, Halt> {
        let tokens = match reader.varint()? {
            0 => TokenKind::Numbers,
            shape if shape == SUBSTITUTION_WORDS.into() => TokenKind::Words,
            _ => return Err(DecodeError::BadSubstitution { what: "its shape has unknown bits" }.into()),
        };
        let reach = Limit::Reach.check(reader.varint()?, MAX_REACH)?;
        let len = Limit::Packed.check(reader.varint()?, MAX_DENSE)? as usize;
        Ok(CopyRegionHeader { span, reach, form: OpsForm::Decisions { tokens, len }, predicted: false })
    }

    /// The header of a region in codec 5, which is that of a substitution region.
    pub(crate) fn parse_predicted(reader: &mut ByteReader<'_>, span: u64) -> Result<CopyRegionHeader, Halt> {
        Limit::Span.check(span, MAX_DENSE)?;
        Ok(CopyRegionHeader { predicted: true, ..CopyRegionHeader::parse_substitution(reader, span)? })
    }

    /// Reads the ops if all their bytes have come.
    pub(crate) fn load(&self, input: &mut InputBuffer, position: u64, basis_len: u64) -> Result<PrefixLoader, Halt> {
        let len = match self.form {
            OpsForm::Varints { ops_len, packed_len: 0 } => ops_len,
            OpsForm::Varints { packed_len: len, .. } | OpsForm::Decisions { len, .. } => len,
        };
        let bytes = input.reader().take(len)?;
        let (ops, substitution) = match self.form {
            OpsForm::Varints { packed_len: 0, .. } => (ops::decode(bytes, self.span, position, basis_len)?, None),
            OpsForm::Varints { ops_len, .. } => {
                (ops::decode(&FrameDecoder::decode_whole(bytes, ops_len)?, self.span, position, basis_len)?, None)
            }
            OpsForm::Decisions { tokens, .. } => {
                let mut decisions = DecisionReader::new(bytes.to_vec());
                let ops = OpCoder::new().read(&mut decisions, self.span, position, basis_len)?;
                let copied: u64 = ops.iter().filter(|op| !op.substituted).map(|op| op.copy.end - op.copy.start).sum();
                let left = self.span - ops::gap_bytes(&ops) - copied;
                (ops, Some(SubstitutionDecoder::new(tokens, decisions, left)))
            }
        };
        input.consume(len);
        Ok(PrefixLoader::new(self, ops, substitution, position, basis_len)?)
    }
}

/// A region whose prefix is being read.
pub(crate) struct PrefixLoader {
    ops: Vec<Op>,
    substitution: Option<SubstitutionDecoder>,
    ranges: Vec<Range<u64>>,
    prefix: Vec<u8>,
    predicted: bool,
}

impl PrefixLoader {
    fn new(
        header: &CopyRegionHeader,
        ops: Vec<Op>,
        substitution: Option<SubstitutionDecoder>,
        position: u64,
        basis_len: u64,
    ) -> Result<PrefixLoader, DecodeError> {
        let mut ranges = prefix::ranges(&ops, position, basis_len, header.reach)?;
        let total: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        if header.predicted {
            Limit::Prefix.check(total, MAX_LEARNED)?;
        }
        let mut prefix = Vec::new();
        if total != 0 {
            prefix.reserve_exact(total as usize + 1);
            prefix.push(PREFIX_START);
        }
        ranges.reverse();
        Ok(PrefixLoader { ops, substitution, ranges, prefix, predicted: header.predicted })
    }

    /// The next basis bytes of the prefix, with what lies between ranges that are close together.
    pub(crate) fn wanted(&self) -> Option<Range<u64>> {
        let first = self.ranges.last()?;
        let piece = first.start..first.end.min(first.start + BASIS_PIECE);
        Some(with_close(piece, &mut self.ranges.iter().rev().skip(1)))
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        let Some(start) = self.ranges.last().map(|range| range.start) else { return };
        let end = start + bytes.len() as u64;
        while let Some(range) = self.ranges.last_mut().filter(|range| range.start < end) {
            let now = (range.start - start) as usize..(range.end.min(end) - start) as usize;
            range.start = start + now.end as u64;
            self.prefix.extend_from_slice(&bytes[now]);
            self.ranges.pop_if(|range| range.is_empty());
        }
    }

    /// Returns the region. Its prefix must be complete.
    pub(crate) fn finish(&mut self) -> Result<CopyRegion, DecodeError> {
        let mut ops = std::mem::take(&mut self.ops);
        let substitution = self.substitution.take();
        let new_bytes = match ops::gap_bytes(&ops) {
            0 => NewBytes::None,
            len if self.predicted => NewBytes::Predicted(Box::new(Predictor::for_receiver(&self.prefix, len)?)),
            _ => NewBytes::Frame(FrameDecoder::new(&self.prefix)?),
        };
        let position = ops.last().map_or(0, |op| op.copy.end);
        ops.reverse();
        Ok(CopyRegion { ops, substitution, new_bytes, position, reused: 0, covered: Covered::default() })
    }
}

/// A region whose ops are being carried out. The list of ops is reversed, so the next op is the last.
pub(crate) struct CopyRegion {
    ops: Vec<Op>,
    substitution: Option<SubstitutionDecoder>,
    new_bytes: NewBytes,
    position: u64,
    reused: u64,
    covered: Covered,
}

/// Basis bytes that were asked for at once for several copies that lie close together. Asking takes longer than copying
/// some bytes in vain.
#[derive(Default)]
struct Covered {
    start: u64,
    bytes: Vec<u8>,
}

impl Covered {
    /// Where the bytes of a range are, if all of them are there.
    fn get(&self, range: &Range<u64>) -> Option<Range<usize>> {
        // As numbers of 64 bits: in WebAssembly a distance of 4 GiB would be 0 bytes.
        let from = range.start.checked_sub(self.start)?;
        let to = range.end - self.start;
        (to <= self.bytes.len() as u64).then_some(from as usize..to as usize)
    }
}

/// Where a region's new bytes come from.
enum NewBytes {
    None,
    Frame(FrameDecoder),
    /// From the decisions that also say what the substituted copies become.
    Predicted(Box<Predictor>),
}

impl CopyRegion {
    /// The basis position after the region.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes came from the basis since the last call.
    pub(crate) fn take_reused(&mut self) -> u64 {
        std::mem::take(&mut self.reused)
    }

    /// Whether the current op needs new bytes.
    pub(crate) fn wants_new_bytes(&self) -> bool {
        self.ops.last().is_some_and(|op| op.gap != 0)
    }

    /// The basis bytes that the current copy needs, if its gap is done and they are not there.
    pub(crate) fn wanted(&self, space: usize) -> Option<Range<u64>> {
        let range = self.copied(space).filter(|range| self.covered.get(range).is_none())?;
        Some(with_close(range, &mut self.ops.iter().rev().skip(1).map(|op| &op.copy)))
    }

    /// The basis bytes of the current copy, as far as there is space for them, if its gap is done.
    fn copied(&self, space: usize) -> Option<Range<u64>> {
        let op = self.ops.last().filter(|op| op.gap == 0 && !op.copy.is_empty())?;
        if op.substituted {
            let is_made = self.substitution.as_ref().is_none_or(|substitution| !substitution.made.bytes.is_empty());
            return (!is_made).then(|| op.copy.clone());
        }
        let len = BASIS_PIECE.min(space as u64).min(op.copy.end - op.copy.start);
        Some(op.copy.start..op.copy.start + len)
    }

    /// Takes the bytes that [`wanted`](CopyRegion::wanted) asked for.
    pub(crate) fn take_basis(&mut self, bytes: &[u8], output: &mut TargetVerifier) -> Result<(), DecodeError> {
        let Some(range) = self.copied(output.space()) else { return Ok(()) };
        let len = (range.end - range.start) as usize;
        if len < bytes.len() {
            self.covered.start = range.start;
            self.covered.bytes.clear();
            self.covered.bytes.extend_from_slice(bytes);
        }
        self.copy(&bytes[..len.min(bytes.len())], output)
    }

    /// Makes the current copy if its bytes are there. Returns whether they are.
    pub(crate) fn copy_covered(&mut self, output: &mut TargetVerifier) -> Result<bool, DecodeError> {
        let Some(at) = self.copied(output.space()).and_then(|range| self.covered.get(&range)) else { return Ok(false) };
        let bytes = std::mem::take(&mut self.covered.bytes);
        let copied = self.copy(&bytes[at], output);
        self.covered.bytes = bytes;
        copied.map(|()| true)
    }

    fn copy(&mut self, bytes: &[u8], output: &mut TargetVerifier) -> Result<(), DecodeError> {
        let Some(op) = self.ops.last_mut() else { return Ok(()) };
        if op.substituted {
            return self.substitution.as_mut().map_or(Ok(()), |substitution| substitution.substitute(bytes));
        }
        output.append(bytes);
        op.copy.start += bytes.len() as u64;
        self.reused += bytes.len() as u64;
        self.new_bytes.pass(bytes);
        self.drop_finished();
        Ok(())
    }

    /// Appends the bytes of a substituted copy, as far as the group has room. Returns whether there were any.
    pub(crate) fn give(&mut self, output: &mut TargetVerifier) -> bool {
        let (Some(op), Some(substitution)) = (self.ops.last_mut(), &mut self.substitution) else { return false };
        if substitution.made.bytes.is_empty() {
            return false;
        }
        if substitution.give(output) {
            let made = std::mem::take(&mut substitution.made);
            self.reused += made.kept;
            self.new_bytes.pass(&made.bytes);
            op.copy.start = op.copy.end;
            self.drop_finished();
        }
        true
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.ops.is_empty()
    }

    pub(crate) fn read_new_bytes(&mut self, input: &mut InputBuffer, output: &mut TargetVerifier) -> Result<(), Halt> {
        let Some(op) = self.ops.last_mut() else { return Ok(()) };
        let most = op.gap.min(NEW_PIECE as u64) as usize;
        let mut consumed = 0;
        let produced = output.fill(most, |room| match (&mut self.new_bytes, &mut self.substitution) {
            (NewBytes::Frame(frame), _) => {
                let progress = frame.step(input.unread(), room)?;
                consumed = progress.consumed;
                Ok(progress.produced)
            }
            (NewBytes::Predicted(predictor), Some(substitution)) => substitution.predict(predictor, room),
            _ => Ok(0),
        })?;
        op.gap -= produced as u64;
        input.consume(consumed);
        if matches!(&self.new_bytes, NewBytes::Frame(frame) if frame.ended()) && self.wants_new_bytes() {
            return Err(DecodeError::BadZstd { what: "the frame is too short" }.into());
        }
        self.drop_finished();
        if consumed == 0 && produced == 0 { Err(Halt::Incomplete) } else { Ok(()) }
    }

    /// Reads the rest of the region after its last op: nothing but the end of the frame.
    pub(crate) fn end(&mut self, input: &mut InputBuffer) -> Result<(), Halt> {
        if let Some(substitution) = &self.substitution {
            substitution.end()?;
        }
        let NewBytes::Frame(frame) = &mut self.new_bytes else { return Ok(()) };
        while !frame.ended() {
            if input.unread().is_empty() {
                return Err(Halt::Incomplete);
            }
            let step = frame.step(input.unread(), &mut [])?;
            input.consume(step.consumed);
            if step.consumed == 0 && !frame.ended() {
                return Err(DecodeError::BadZstd { what: "the frame is too long" }.into());
            }
        }
        Ok(())
    }

    fn drop_finished(&mut self) {
        self.ops.pop_if(|op| op.gap == 0 && op.copy.is_empty());
    }
}

impl NewBytes {
    /// Takes bytes of the target that a copy made.
    fn pass(&mut self, bytes: &[u8]) {
        if let NewBytes::Predicted(predictor) = self {
            predictor.pass(bytes);
        }
    }
}
