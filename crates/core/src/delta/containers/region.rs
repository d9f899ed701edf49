//! Decodes a region in codec 4.

use std::ops::Range;

use super::packing::{Deflater, pack, unpack};
use super::stream::{Stream, Streams};
use crate::delta::decode::event::Event;
use crate::delta::decode::frame::FrameDecoder;
use crate::delta::error::{DecodeError, Halt, Limit};
use crate::delta::format::{BASIS_PIECE, MAX_STREAM_LISTS, MAX_UNPACKED, MAX_UNPACKINGS};
use crate::delta::header::TargetVerifier;
use crate::input_buffer::InputBuffer;
use crate::wire::ByteReader;

/// The numbers before the lists of streams.
pub(crate) struct ContainersHeader {
    span: u64,
    basis_len: u64,
    /// How deep this region lies in others of this codec.
    depth: u32,
    lists_len: usize,
    packed_len: usize,
}

impl ContainersHeader {
    pub(crate) fn parse(
        reader: &mut ByteReader<'_>,
        span: u64,
        basis_len: u64,
        depth: u32,
    ) -> Result<ContainersHeader, Halt> {
        if depth == MAX_UNPACKINGS {
            return Err(DecodeError::BadContainers { what: "it lies too deep in others" }.into());
        }
        Limit::Unpacked.check(span.max(basis_len), MAX_UNPACKED)?;
        let lists_len = Limit::StreamLists.check(reader.varint()?, MAX_STREAM_LISTS)? as usize;
        let packed_len = reader.varint()? as usize;
        if packed_len != 0 && lists_len <= packed_len {
            return Err(DecodeError::BadContainers { what: "the packed lists are not shorter" }.into());
        }
        Ok(ContainersHeader { span, basis_len, depth, lists_len, packed_len })
    }

    /// Takes the lists if all their bytes have come.
    pub(crate) fn load(&self, input: &mut InputBuffer) -> Result<BasisUnpacker, Halt> {
        let len = if self.packed_len == 0 { self.lists_len } else { self.packed_len };
        let lists = input.reader().take(len)?.to_vec();
        input.consume(len);
        let lists = match self.packed_len {
            0 => lists,
            _ => FrameDecoder::decode_whole(&lists, self.lists_len)?,
        };
        let mut reader = ByteReader::new(&lists);
        let basis_streams = Streams::parse(&mut reader, self.basis_len, false)?;
        let target_streams = Streams::parse(&mut reader, self.span, true)?;
        if !reader.is_empty() {
            return Err(DecodeError::BadContainers { what: "bytes follow the lists of streams" }.into());
        }
        let Streams { list, unpacked_len } = basis_streams;
        Ok(BasisUnpacker {
            streams: list.into_iter(),
            unpacked: Vec::with_capacity(unpacked_len),
            packed: None,
            next: 0,
            basis_len: self.basis_len as usize,
            gap_end: 0,
            target: Some(target_streams),
            span: self.span as usize,
            depth: self.depth,
        }
        .at_next_stream())
    }
}

/// A region whose basis is being read and unpacked.
pub(crate) struct BasisUnpacker {
    streams: std::vec::IntoIter<Stream>,
    unpacked: Vec<u8>,
    /// The stream that is being read, and its bytes so far.
    packed: Option<(Stream, Vec<u8>)>,
    /// The basis position up to which it was read.
    next: usize,
    basis_len: usize,
    /// Where the bytes before the next stream end.
    gap_end: usize,
    target: Option<Streams>,
    span: usize,
    depth: u32,
}

impl BasisUnpacker {
    fn at_next_stream(mut self) -> BasisUnpacker {
        self.take_next_stream();
        self
    }

    fn take_next_stream(&mut self) {
        self.packed = self.streams.next().map(|stream| (stream, Vec::new()));
        self.gap_end = self.packed.as_ref().map_or(self.basis_len, |(stream, _)| self.next + stream.gap);
    }

    /// The next bytes of the basis.
    pub(crate) fn wanted(&self) -> Option<Range<u64>> {
        let end = match &self.packed {
            _ if self.next < self.gap_end => self.gap_end,
            Some((stream, _)) => self.gap_end + stream.packed,
            None => return None,
        };
        Some(self.next as u64..(end as u64).min(self.next as u64 + BASIS_PIECE))
    }

    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        if self.next < self.gap_end {
            self.unpacked.extend_from_slice(bytes);
            self.next += bytes.len();
            return Ok(());
        }
        self.next += bytes.len();
        if let Some((stream, packed)) = &mut self.packed {
            packed.extend_from_slice(bytes);
            if packed.len() == stream.packed {
                unpack(stream, packed, &mut self.unpacked)
                    .ok_or(DecodeError::BadContainers { what: "a stream of the basis does not decode" })?;
                self.take_next_stream();
            }
        }
        Ok(())
    }

    /// Returns the region. The basis must be unpacked.
    pub(crate) fn finish<D: Inside>(&mut self) -> ContainersRegion<D> {
        let target = self.target.take().unwrap_or_default();
        let basis = std::mem::take(&mut self.unpacked);
        ContainersRegion {
            inner: Box::new(D::new(basis.len() as u64, target.unpacked_len as u64, self.depth + 1)),
            basis,
            unpacked: Vec::with_capacity(target.unpacked_len),
            streams: target.list.into_iter(),
            is_decoded: false,
            deflater: Deflater::default(),
            read: 0,
            made: Vec::new(),
            given: 0,
            span: self.span as u64,
            left: self.span,
        }
    }
}

/// Decodes the regions inside: a decoder of deltas, whose own regions can be of this kind.
pub(crate) trait Inside {
    /// `depth` is how deep the regions lie in those of this codec. Nothing is verified.
    fn new(basis_len: u64, target_len: u64, depth: u32) -> Self;
    fn handle_input(&mut self, bytes: &[u8]);
    fn handle_basis(&mut self, bytes: &[u8]);
    fn poll_event(&mut self) -> Result<Event<'_>, DecodeError>;
    /// The bytes that came and were not read: after the end those behind the regions.
    fn unread(&self) -> &[u8];
    fn reused(&self) -> u64;
}

/// A region that is being decoded.
pub(crate) struct ContainersRegion<D> {
    /// Decodes the unpacked target.
    inner: Box<D>,
    basis: Vec<u8>,
    unpacked: Vec<u8>,
    streams: std::vec::IntoIter<Stream>,
    is_decoded: bool,
    deflater: Deflater,
    /// How many bytes of the unpacked target were packed.
    read: usize,
    /// The bytes that are given out next, and how many of them were.
    made: Vec<u8>,
    given: usize,
    span: u64,
    /// How many bytes of the region were not made yet.
    left: usize,
}

impl<D: Inside> ContainersRegion<D> {
    /// Does the next piece of work.
    pub(crate) fn decode(&mut self, input: &mut InputBuffer, output: &mut TargetVerifier) -> Result<(), Halt> {
        if !self.is_decoded {
            return self.decode_unpacked(input);
        }
        if self.given == self.made.len() {
            self.make_next()?;
        }
        let piece = &self.made[self.given..];
        let piece = &piece[..piece.len().min(output.space())];
        output.append(piece);
        self.given += piece.len();
        Ok(())
    }

    /// Decodes the unpacked target up to the next event.
    fn decode_unpacked(&mut self, input: &mut InputBuffer) -> Result<(), Halt> {
        match self.inner.poll_event()? {
            Event::NeedInput if input.unread().is_empty() => return Err(Halt::Incomplete),
            Event::NeedInput => {
                let len = input.unread().len();
                self.inner.handle_input(input.unread());
                input.consume(len);
            }
            Event::NeedBasis(range) => {
                self.inner.handle_basis(&self.basis[range.start as usize..range.end as usize]);
            }
            Event::Output(bytes) => self.unpacked.extend_from_slice(bytes),
            Event::Done | Event::Same => {
                input.give_back(self.inner.unread().len());
                (self.is_decoded, self.basis) = (true, Vec::new());
            }
        }
        Ok(())
    }

    /// Makes the bytes before the next stream, and the stream.
    fn make_next(&mut self) -> Result<(), DecodeError> {
        self.made.clear();
        self.given = 0;
        let Some(stream) = self.streams.next() else {
            self.made.extend_from_slice(&self.unpacked[self.read..]);
            (self.read, self.left) = (self.unpacked.len(), 0);
            return Ok(());
        };
        let begin = self.read + stream.gap;
        self.made.extend_from_slice(&self.unpacked[self.read..begin]);
        self.read = begin + stream.content;
        let packed = pack(&stream, &self.unpacked[begin..self.read], &mut self.deflater);
        self.made
            .append(&mut packed.ok_or(DecodeError::BadContainers { what: "a stream of the target does not pack" })?);
        self.left -= stream.gap + stream.packed;
        Ok(())
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.is_decoded && self.left == 0 && self.given == self.made.len()
    }

    /// How many bytes of the region were copied from the basis, by the part of the unpacked target that was.
    pub(crate) fn reused(&self) -> u64 {
        let unpacked = self.unpacked.len().max(1) as u64;
        self.inner.reused() * self.span / unpacked
    }
}
