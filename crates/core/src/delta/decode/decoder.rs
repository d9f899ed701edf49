//! The decoder: takes a delta in pieces of any length and gives out verified bytes.
//!
//! The decoder is a state machine without callbacks, because its callers stop at different places: when they read a
//! file, wait for a socket, or resume a broken transfer. Each state knows whether it needs bytes of the delta or bytes
//! of the basis.

use std::fmt;
use std::ops::Range;

#[cfg(feature = "containers")]
use crate::delta::containers::region::Inside;
use crate::delta::containers::region::{BasisUnpacker, ContainersHeader, ContainersRegion};
use crate::delta::decode::copy_region::{CopyRegion, CopyRegionHeader, PrefixLoader};
use crate::delta::decode::event::Event;
use crate::delta::dense::region::{DenseRegion, DenseRegionHeader, WindowLoader};
use crate::delta::error::{DecodeError, Halt};
use crate::delta::format::{
    CODEC_CONTAINERS, CODEC_DENSE, CODEC_PREDICTED, CODEC_STORED, CODEC_SUBSTITUTION, CODEC_ZSTD, LAST_REGION,
};
use crate::delta::header::{Basis, Header, Limits, TargetVerifier};
use crate::input_buffer::InputBuffer;
#[cfg(feature = "containers")]
use crate::verify::group::{GroupSize, Groups};
#[cfg(feature = "containers")]
use crate::version::Version;

/// Turns a delta and its basis into a verified target.
///
/// **After each `handle_…` call, poll until the event is not [`Event::Output`].** [`patch`](crate::patch) does all of
/// it in one call.
///
/// ```
/// use driblet_core::{Basis, Decoder, Event, Limits, Version};
///
/// // A delta for a first sync: a header, then one stored region.
/// let mut delta = vec![0xdb, 0x10];
/// delta.extend_from_slice(Version::of(b"driblet").as_bytes());
/// delta.push(7);
/// delta.extend_from_slice(Version::EMPTY.basis_id().as_bytes());
/// delta.push(0x80);
/// delta.extend_from_slice(b"driblet");
///
/// let mut decoder = Decoder::new(Basis::EMPTY, Limits::new().target(1 << 20));
/// let (mut pieces, mut output) = (delta.chunks(10), Vec::new());
/// loop {
///     match decoder.poll_event()? {
///         Event::NeedInput => match pieces.next() {
///             Some(piece) => decoder.handle_input(piece),
///             None => decoder.handle_end(),
///         },
///         Event::NeedBasis(range) => unreachable!("the basis is empty, so there is no {range:?}"),
///         Event::Output(verified) => output.extend_from_slice(verified),
///         Event::Done | Event::Same => break,
///     }
/// }
/// assert_eq!(output, b"driblet");
/// # Ok::<(), driblet_core::DecodeError>(())
/// ```
pub struct Decoder {
    basis: Basis,
    limits: Limits,
    input: InputBuffer,
    state: State,
    output: Option<TargetVerifier>,
    /// The basis position after the last copy.
    position: u64,
    reused: u64,
    /// Whether bytes of something else may follow the delta.
    followed: bool,
    /// In how many regions of unpacked containers the delta lies.
    depth: u32,
    failed: Option<DecodeError>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("basis", &self.basis)
            .field("limits", &self.limits)
            .field("header", &self.header())
            .field("reused", &self.reused)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder for a delta that is applied to `basis`.
    pub fn new(basis: Basis, limits: Limits) -> Decoder {
        Decoder {
            basis,
            limits,
            input: InputBuffer::default(),
            state: State::Header,
            output: None,
            position: 0,
            reused: 0,
            followed: false,
            depth: 0,
            failed: None,
        }
    }

    /// A decoder that is done where the delta ends, whatever follows it.
    pub(crate) fn followed(basis: Basis, limits: Limits) -> Decoder {
        Decoder { followed: true, ..Decoder::new(basis, limits) }
    }

    /// The bytes that came and were not read yet: after [`Event::Done`] those that follow the delta.
    pub(crate) fn unread(&self) -> &[u8] {
        self.input.unread()
    }

    /// Takes the next bytes of the delta. They may be split anywhere.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.input.push(bytes);
    }

    /// Call this when the delta has ended.
    pub fn handle_end(&mut self) {
        self.input.end();
    }

    /// Takes the bytes of the range that [`Event::NeedBasis`] asked for.
    pub fn handle_basis(&mut self, bytes: &[u8]) {
        let Some(range) = self.needed_basis() else { return };
        if range.end - range.start != bytes.len() as u64 {
            self.failed.get_or_insert(DecodeError::BasisShort { range, got: bytes.len() });
            return;
        }
        match (&mut self.state, &mut self.output) {
            (State::Prefix(loading), _) => loading.take(bytes),
            (State::Window(loading), _) => loading.take(bytes),
            (State::Unpacking(unpacking), _) => self.failed = unpacking.take(bytes).err(),
            (State::Ops(region), Some(output)) => match region.take_basis(bytes, output) {
                Ok(()) => self.reused += region.take_reused(),
                Err(error) => self.failed = Some(error),
            },
            _ => {}
        }
    }

    /// The next event.
    ///
    /// # Errors
    /// Fails if the delta is refused. An error is final: every later call returns it again.
    pub fn poll_event(&mut self) -> Result<Event<'_>, DecodeError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if let Some(output) = &mut self.output {
            output.release();
        }
        match self.advance() {
            Ok(Need::Input) => Ok(Event::NeedInput),
            Ok(Need::Basis(range)) => Ok(Event::NeedBasis(range)),
            Ok(Need::Release) => Ok(Event::Output(self.output.as_ref().map_or(&[], TargetVerifier::verified))),
            Ok(Need::Nothing) => Ok(if self.is_same() { Event::Same } else { Event::Done }),
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// The header of the delta, after the decoder has read and checked it.
    pub fn header(&self) -> Option<&Header> {
        self.output.as_ref().map(TargetVerifier::source)
    }

    /// How many bytes of the target were copied from the basis so far; of unpacked containers in proportion.
    pub fn reused(&self) -> u64 {
        self.reused
    }

    fn is_same(&self) -> bool {
        self.header().is_some_and(Header::is_same)
    }

    fn advance(&mut self) -> Result<Need, DecodeError> {
        loop {
            if let Some(output) = &mut self.output
                && output.is_full()
            {
                output.verify().map_err(|wrong| DecodeError::BadGroupHash { index: wrong.index })?;
                return Ok(Need::Release);
            }
            let step = self.step();
            match step {
                Ok(Some(wants)) => return Ok(wants),
                Ok(None) => {}
                Err(Halt::Refused(error)) => return Err(error),
                Err(Halt::Incomplete) if self.input.ended() => {
                    return Err(DecodeError::Truncated { at: self.input.received() });
                }
                Err(Halt::Incomplete) => return Ok(Need::Input),
            }
        }
    }

    /// Does the work of one state. `None` means that the next state can continue at once.
    fn step(&mut self) -> Result<Option<Need>, Halt> {
        let Some(output) = &mut self.output else {
            let mut reader = self.input.reader();
            let header = Header::parse(&mut reader, &self.basis, &self.limits)?;
            self.input.consume(reader.position());
            self.state = if header.is_same() || header.len() == 0 { State::End } else { State::Region };
            self.output = Some(TargetVerifier::new(header));
            return Ok(None);
        };
        match &mut self.state {
            State::Header | State::Region => {
                self.state = next_region(&mut self.input, output.left(), self.basis.len, self.depth)?;
            }
            State::Stored { left } => {
                let len = (self.input.unread().len() as u64).min(output.space() as u64).min(*left) as usize;
                if len == 0 {
                    return Err(Halt::Incomplete);
                }
                output.append(&self.input.unread()[..len]);
                self.input.consume(len);
                *left -= len as u64;
                if *left == 0 {
                    self.state = after_region(output);
                }
            }
            State::Announced(announced) => {
                self.state = State::Prefix(announced.load(&mut self.input, self.position, self.basis.len)?);
            }
            State::Prefix(loading) => match loading.wanted() {
                Some(range) => return Ok(Some(Need::Basis(range))),
                None => self.state = State::Ops(loading.finish()?),
            },
            State::Ops(region) => {
                if region.wants_new_bytes() {
                    region.read_new_bytes(&mut self.input, output)?;
                } else if region.give(output) || region.copy_covered(output)? {
                    self.reused += region.take_reused();
                } else if let Some(range) = region.wanted(output.space()) {
                    return Ok(Some(Need::Basis(range)));
                } else if region.is_complete() {
                    region.end(&mut self.input)?;
                    self.position = region.position();
                    self.state = after_region(output);
                }
            }
            State::AnnouncedDense(announced) => {
                self.state = State::Window(announced.load(&mut self.input)?);
            }
            State::Window(loading) => match loading.wanted() {
                Some(range) => return Ok(Some(Need::Basis(range))),
                None => self.state = State::Dense(loading.finish()),
            },
            State::Dense(region) => {
                region.decode(output)?;
                if region.is_complete() {
                    self.reused += region.finish()?;
                    self.state = after_region(output);
                }
            }
            State::AnnouncedContainers(announced) => {
                self.state = State::Unpacking(announced.load(&mut self.input)?);
            }
            State::Unpacking(unpacking) => match unpacking.wanted() {
                Some(range) => return Ok(Some(Need::Basis(range))),
                None => self.state = State::Containers(unpacking.finish()),
            },
            State::Containers(region) => {
                region.decode(&mut self.input, output)?;
                if region.is_complete() {
                    self.reused += region.reused();
                    self.state = after_region(output);
                }
            }
            State::End if self.followed => return Ok(Some(Need::Nothing)),
            State::End if !self.input.unread().is_empty() => {
                return Err(DecodeError::TrailingBytes { at: self.input.position() }.into());
            }
            State::End => return Ok(Some(if self.input.ended() { Need::Nothing } else { Need::Input })),
        }
        Ok(None)
    }

    fn needed_basis(&self) -> Option<Range<u64>> {
        match (&self.state, &self.output) {
            (State::Prefix(loading), _) => loading.wanted(),
            (State::Window(loading), _) => loading.wanted(),
            (State::Unpacking(unpacking), _) => unpacking.wanted(),
            (State::Ops(region), Some(output)) => region.wanted(output.space()),
            _ => None,
        }
    }
}

#[cfg(feature = "containers")]
impl Inside for Decoder {
    fn new(basis_len: u64, target_len: u64, depth: u32) -> Decoder {
        let size = GroupSize::SMALLEST;
        let groups = Groups { version: Version::EMPTY, len: target_len, size, values: Vec::new() };
        let output = TargetVerifier::unchecked(Header { groups, basis: Some(Version::EMPTY.basis_id()) });
        let basis = Basis { len: basis_len, ..Basis::EMPTY };
        let state = if target_len == 0 { State::End } else { State::Region };
        Decoder { state, output: Some(output), depth, ..Decoder::followed(basis, Limits::new()) }
    }

    fn handle_input(&mut self, bytes: &[u8]) {
        self.handle_input(bytes);
    }

    fn handle_basis(&mut self, bytes: &[u8]) {
        self.handle_basis(bytes);
    }

    fn poll_event(&mut self) -> Result<Event<'_>, DecodeError> {
        self.poll_event()
    }

    fn unread(&self) -> &[u8] {
        self.unread()
    }

    fn reused(&self) -> u64 {
        self.reused
    }
}

enum Need {
    Input,
    Basis(Range<u64>),
    Release,
    Nothing,
}

enum State {
    Header,
    Region,
    Stored {
        left: u64,
    },
    /// Waits for the ops of a region.
    Announced(CopyRegionHeader),
    /// Reads the prefix of a region from the basis.
    Prefix(PrefixLoader),
    /// Carries out the ops of a region.
    Ops(CopyRegion),
    /// Waits for the packed decisions of a dense region.
    AnnouncedDense(DenseRegionHeader),
    /// Reads the window of a dense region from the basis.
    Window(WindowLoader),
    /// Decodes a dense region.
    Dense(DenseRegion),
    /// Waits for the lists of streams of a region in codec 4.
    AnnouncedContainers(ContainersHeader),
    /// Reads the basis and unpacks it.
    Unpacking(BasisUnpacker),
    /// Decodes the unpacked target and packs it.
    Containers(ContainersRegion<Decoder>),
    End,
}

fn next_region(input: &mut InputBuffer, left: u64, basis_len: u64, depth: u32) -> Result<State, Halt> {
    let mut reader = input.reader();
    let tag = reader.u8()?;
    let span = if tag & LAST_REGION != 0 { left } else { reader.varint()? };
    if span == 0 || left < span || (span == left && tag & LAST_REGION == 0) {
        return Err(DecodeError::BadSpan { span, left }.into());
    }
    let state = match tag & !LAST_REGION {
        CODEC_STORED => State::Stored { left: span },
        CODEC_ZSTD => State::Announced(CopyRegionHeader::parse(&mut reader, span)?),
        CODEC_SUBSTITUTION => State::Announced(CopyRegionHeader::parse_substitution(&mut reader, span)?),
        CODEC_PREDICTED if cfg!(feature = "dense") => {
            State::Announced(CopyRegionHeader::parse_predicted(&mut reader, span)?)
        }
        CODEC_DENSE => State::AnnouncedDense(DenseRegionHeader::parse(&mut reader, span, basis_len)?),
        CODEC_CONTAINERS => State::AnnouncedContainers(ContainersHeader::parse(&mut reader, span, basis_len, depth)?),
        codec => return Err(DecodeError::BadCodec { codec }.into()),
    };
    let read = reader.position();
    input.consume(read);
    Ok(state)
}

fn after_region(output: &TargetVerifier) -> State {
    if output.left() == 0 { State::End } else { State::Region }
}
