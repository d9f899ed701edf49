//! Decodes the substituted copies of a region.

use super::coder::{SubstitutedBytes, TokenCoder};
use super::token::TokenKind;
use crate::delta::arithmetic::DecisionReader;
use crate::delta::error::DecodeError;
use crate::delta::header::TargetVerifier;
use crate::delta::predicted::Predictor;

/// Makes the bytes of substituted copies, and holds those that are not given out yet.
pub(crate) struct SubstitutionDecoder {
    coder: TokenCoder,
    decisions: DecisionReader,
    /// How many bytes of the region the substituted copies still have to make.
    left: u64,
    pub(crate) made: SubstitutedBytes,
    given: usize,
}

impl SubstitutionDecoder {
    pub(crate) fn new(tokens: TokenKind, decisions: DecisionReader, left: u64) -> SubstitutionDecoder {
        SubstitutionDecoder {
            coder: TokenCoder::new(tokens),
            decisions,
            left,
            made: SubstitutedBytes::default(),
            given: 0,
        }
    }

    pub(crate) fn substitute(&mut self, from: &[u8]) -> Result<(), DecodeError> {
        let made = self.coder.substitute(&mut self.decisions, from, None)?;
        self.check_decisions()?;
        let left = self.left.checked_sub(made.bytes.len() as u64);
        self.left = left.ok_or(DecodeError::BadOps { what: "they exceed their region" })?;
        (self.made, self.given) = (made, 0);
        Ok(())
    }

    /// Makes new bytes, all for which there is room. Returns how many.
    pub(crate) fn predict(&mut self, predictor: &mut Predictor, room: &mut [u8]) -> Result<usize, DecodeError> {
        room.iter_mut().for_each(|byte| *byte = predictor.code(&mut self.decisions, 0));
        self.check_decisions()?;
        Ok(room.len())
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
