//! Decodes a region in the dense codec, which makes the smallest deltas: an arithmetic coder whose model predicts each
//! byte from the basis and learns which words were renamed.
//!
//! `model` is the format: both sides run it step by step. It uses `follower` (which byte the basis predicts), `tokens`
//! (what is followed in one piece), `shifts` (by how much numbers moved), `recall` (what followed the same bytes before),
//! `jumps`, and `mix` (one probability from many contexts). Any change in these files, or in `wasm`, changes the format. Only `encode` is free to change.

use std::ops::Range;

use super::buffer::buffer;
use super::model::Model;
use super::tokens::Followed;
use crate::delta::arithmetic::DecisionReader;
use crate::delta::error::{DecodeError, Halt, Limit};
use crate::delta::format::{BASIS_PIECE, DENSE_PART, DENSE_WASM, DENSE_WORDS, MAX_DENSE};
use crate::delta::header::TargetVerifier;
use crate::input_buffer::InputBuffer;
use crate::wire::ByteReader;

/// The number of bytes of the target that [`DenseRegion::decode`] makes in one call, as far as the region has so many.
const PIECE: usize = 1 << 16;

/// The largest memory exponent that a region may announce. It bounds the tables of a decoder to some 30 MiB.
const MAX_MEMORY: u64 = 13;

/// The numbers before the decisions.
pub(crate) struct DenseRegionHeader {
    span: usize,
    window: Range<u64>,
    followed: Followed,
    memory: u32,
    packed_len: usize,
}

impl DenseRegionHeader {
    pub(crate) fn parse(reader: &mut ByteReader<'_>, span: u64, basis_len: u64) -> Result<DenseRegionHeader, Halt> {
        let span = Limit::Span.check(span, MAX_DENSE)? as usize;
        let shape = reader.varint()?;
        let window = if shape & DENSE_PART == 0 {
            0..basis_len
        } else {
            let (start, len) = (reader.varint()?, reader.varint()?);
            let end = start.checked_add(len).filter(|end| *end <= basis_len);
            start..end.ok_or(DecodeError::CopyOutsideBasis { start: start.into(), len, basis: basis_len })?
        };
        Limit::DenseWindow.check(window.end - window.start, MAX_DENSE)?;
        let followed = Followed { words: shape & DENSE_WORDS != 0, wasm: shape & DENSE_WASM != 0 };
        let memory = (shape & !DENSE_WASM) >> 2;
        if MAX_MEMORY < memory {
            return Err(DecodeError::BadDense { what: "its shape has unknown bits" }.into());
        }
        let packed_len = Limit::Packed.check(reader.varint()?, MAX_DENSE)? as usize;
        Ok(DenseRegionHeader { span, window, followed, memory: memory as u32, packed_len })
    }

    /// Takes the packed decisions if all their bytes have come.
    pub(crate) fn load(&self, input: &mut InputBuffer) -> Result<WindowLoader, Halt> {
        let packed = input.reader().take(self.packed_len)?.to_vec();
        input.consume(self.packed_len);
        let len = (self.window.end - self.window.start) as usize;
        let window = buffer(len, self.span);
        let left = self.window.clone();
        Ok(WindowLoader { span: self.span, followed: self.followed, memory: self.memory, packed, window, left })
    }
}

/// A dense region whose window is being read.
pub(crate) struct WindowLoader {
    span: usize,
    followed: Followed,
    memory: u32,
    packed: Vec<u8>,
    window: Vec<u8>,
    left: Range<u64>,
}

impl WindowLoader {
    /// The next basis bytes of the window.
    pub(crate) fn wanted(&self) -> Option<Range<u64>> {
        (!self.left.is_empty()).then(|| self.left.start..self.left.end.min(self.left.start + BASIS_PIECE))
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) {
        self.window.extend_from_slice(bytes);
        self.left.start += bytes.len() as u64;
    }

    /// Returns the region. Its window must be complete.
    pub(crate) fn finish(&mut self) -> DenseRegion {
        let window = std::mem::take(&mut self.window);
        DenseRegion {
            model: Box::new(Model::new(window, self.span, self.followed, self.memory)),
            reader: DecisionReader::new(std::mem::take(&mut self.packed)),
            given: 0,
        }
    }
}

/// A dense region that is being decoded.
pub(crate) struct DenseRegion {
    model: Box<Model>,
    reader: DecisionReader,
    /// How many bytes of the target were given out.
    given: usize,
}

impl DenseRegion {
    /// Makes the next bytes, and gives out as many as the group has room for.
    pub(crate) fn decode(&mut self, output: &mut TargetVerifier) -> Result<(), DecodeError> {
        let until = self.given + PIECE;
        while !self.model.is_complete() && self.model.target().len() < until {
            let outside = DecodeError::BadDense { what: "the pointer jumps outside the window" };
            self.model.step(&mut self.reader).map_err(|_| outside)?;
            if self.reader.is_overdrawn() {
                return Err(DecodeError::BadDense { what: "the decisions end too soon" });
            }
        }
        let ready = &self.model.target()[self.given..];
        let ready = &ready[..ready.len().min(output.space())];
        output.append(ready);
        self.given += ready.len();
        Ok(())
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.model.is_complete() && self.given == self.model.target().len()
    }

    /// How many bytes were predicted from the window. Fails if decisions are left over.
    pub(crate) fn finish(&self) -> Result<u64, DecodeError> {
        if self.reader.is_spent() {
            Ok(self.model.followed())
        } else {
            Err(DecodeError::BadDense { what: "decisions are left over" })
        }
    }
}
