//! Stands for the model of codec 5 where a receiver does not ask for that codec. It has no value.

use std::convert::Infallible;

use crate::delta::arithmetic::DecisionCoder;
use crate::delta::error::DecodeError;
use crate::delta::format::CODEC_PREDICTED;

pub(crate) struct Predictor(Infallible);

impl Predictor {
    pub(crate) fn for_receiver(_: &[u8], _: u64) -> Result<Predictor, DecodeError> {
        Err(DecodeError::BadCodec { codec: CODEC_PREDICTED })
    }

    pub(crate) fn pass(&mut self, _: &[u8]) {
        match self.0 {}
    }

    pub(crate) fn code(&mut self, _: &mut impl DecisionCoder, _: u8) -> u8 {
        match self.0 {}
    }
}
