//! Refuses regions in codec 4, for receivers that do not ask for it. None of these types has a value.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::ops::Range;

use crate::delta::error::{DecodeError, Halt};
use crate::delta::format::CODEC_CONTAINERS;
use crate::delta::header::TargetVerifier;
use crate::input_buffer::InputBuffer;
use crate::wire::ByteReader;

pub(crate) struct ContainersHeader(Infallible);
pub(crate) struct BasisUnpacker(Infallible);
pub(crate) struct ContainersRegion<D>(Infallible, PhantomData<D>);

impl ContainersHeader {
    pub(crate) fn parse(_: &mut ByteReader<'_>, _: u64, _: u64, _: u32) -> Result<ContainersHeader, Halt> {
        Err(DecodeError::BadCodec { codec: CODEC_CONTAINERS }.into())
    }

    pub(crate) fn load(&self, _: &mut InputBuffer) -> Result<BasisUnpacker, Halt> {
        match self.0 {}
    }
}

impl BasisUnpacker {
    pub(crate) fn wanted(&self) -> Option<Range<u64>> {
        match self.0 {}
    }

    pub(crate) fn take(&mut self, _: &[u8]) -> Result<(), DecodeError> {
        match self.0 {}
    }

    pub(crate) fn finish<D>(&mut self) -> ContainersRegion<D> {
        match self.0 {}
    }
}

impl<D> ContainersRegion<D> {
    pub(crate) fn decode(&mut self, _: &mut InputBuffer, _: &mut TargetVerifier) -> Result<(), Halt> {
        match self.0 {}
    }

    pub(crate) fn is_complete(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn reused(&self) -> u64 {
        match self.0 {}
    }
}
