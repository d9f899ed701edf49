//! Refuses regions in the dense codec, for receivers that do not ask for it. None of these types has a value.

use std::convert::Infallible;
use std::ops::Range;

use crate::delta::error::{DecodeError, Halt};
use crate::delta::format::CODEC_DENSE;
use crate::delta::header::TargetVerifier;
use crate::input_buffer::InputBuffer;
use crate::wire::ByteReader;

pub(crate) struct DenseRegionHeader(Infallible);
pub(crate) struct WindowLoader(Infallible);
pub(crate) struct DenseRegion(Infallible);

impl DenseRegionHeader {
    pub(crate) fn parse(_: &mut ByteReader<'_>, _: u64, _: u64) -> Result<DenseRegionHeader, Halt> {
        Err(DecodeError::BadCodec { codec: CODEC_DENSE }.into())
    }

    pub(crate) fn load(&self, _: &mut InputBuffer) -> Result<WindowLoader, Halt> {
        match self.0 {}
    }
}

impl WindowLoader {
    pub(crate) fn wanted(&self) -> Option<Range<u64>> {
        match self.0 {}
    }

    pub(crate) fn take(&mut self, _: &[u8]) {
        match self.0 {}
    }

    pub(crate) fn finish(&mut self) -> DenseRegion {
        match self.0 {}
    }
}

impl DenseRegion {
    pub(crate) fn decode(&mut self, _: &mut TargetVerifier) -> Result<(), DecodeError> {
        match self.0 {}
    }

    pub(crate) fn is_complete(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn finish(&self) -> Result<u64, DecodeError> {
        match self.0 {}
    }
}
