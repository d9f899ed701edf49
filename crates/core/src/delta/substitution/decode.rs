//! Decodes the substituted copies of a region.

use super::coder::TokenCoder;
use super::substituted_bytes::SubstitutedBytes;
use super::token::TokenKind;
use crate::delta::arithmetic::DecisionReader;
use crate::delta::decode::frame::FrameProgress;
use crate::delta::error::DecodeError;
use crate::delta::header::TargetVerifier;

/// Makes the bytes of substituted copies, and holds those that are not given out yet.
pub(crate) struct SubstitutionDecoder {
    pub(crate) tokens: TokenKind,
    coder: TokenCoder,
    decisions: DecisionReader,
    /// How many bytes of the region the substituted copies still have to make.
    left: u64,
    pub(crate) made: SubstitutedBytes,
    /// The differences of the current copy, of which `come` bytes have come.
    differences: Vec<u8>,
    come: usize,
    given: usize,
}

impl SubstitutionDecoder {
    pub(crate) fn new(tokens: TokenKind, decisions: DecisionReader, left: u64) -> SubstitutionDecoder {
        let coder = TokenCoder::new(tokens);
        let (made, differences) = (SubstitutedBytes::default(), Vec::new());
        SubstitutionDecoder { tokens, coder, decisions, left, made, differences, come: 0, given: 0 }
    }

    pub(crate) fn substitute(&mut self, from: &[u8]) -> Result<(), DecodeError> {
        let made = self.coder.substitute(&mut self.decisions, from, None)?;
        self.check_decisions()?;
        let left = self.left.checked_sub(made.bytes.len() as u64);
        self.left = left.ok_or(DecodeError::BadOps { what: "they exceed their region" })?;
        self.differences = vec![0; made.plain.iter().map(ExactSizeIterator::len).sum()];
        (self.made, self.come, self.given) = (made, 0, 0);
        Ok(())
    }

    /// How many differences have not come.
    pub(crate) fn missing(&self) -> usize {
        self.differences.len() - self.come
    }

    /// Reads differences. When they are complete, adds them to the bytes of the copy.
    pub(crate) fn add_differences(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> Result<FrameProgress, DecodeError>,
    ) -> Result<FrameProgress, DecodeError> {
        let step = read(&mut self.differences[self.come..])?;
        self.come += step.produced;
        if self.missing() == 0 {
            let mut differences = self.differences.as_slice();
            for plain in self.made.plain.drain(..) {
                let (these, rest) = differences.split_at(plain.len());
                for (byte, difference) in self.made.bytes[plain].iter_mut().zip(these) {
                    *byte = byte.wrapping_add(*difference);
                    self.made.kept -= u64::from(*difference != 0);
                }
                differences = rest;
            }
        }
        Ok(step)
    }

    /// Gives out bytes, as far as the group has room. Returns whether all have been given out.
    pub(crate) fn give(&mut self, output: &mut TargetVerifier) -> bool {
        let rest = &self.made.bytes[self.given..];
        let now = rest.len().min(output.space());
        output.append(&rest[..now]);
        self.given += now;
        now == rest.len()
    }

    pub(crate) fn check_decisions(&self) -> Result<(), DecodeError> {
        let overdrawn = self.decisions.is_overdrawn();
        let ended = DecodeError::BadSubstitution { what: "the decisions end too soon" };
        if overdrawn { Err(ended) } else { Ok(()) }
    }

    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if self.left != 0 {
            return Err(DecodeError::BadOps { what: "they do not fill their region" });
        }
        if self.decisions.is_spent() {
            Ok(())
        } else {
            Err(DecodeError::BadSubstitution { what: "decisions are left over" })
        }
    }
}
