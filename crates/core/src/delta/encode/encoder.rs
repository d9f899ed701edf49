//! The encoder: a basis and a target go in, a delta comes out region by region.

use std::fmt;

use super::basis_bytes::BasisBytes;
use super::compress::FrameStream;
use super::context::Context;
use super::error::EncodeError;
use super::levels;
use super::op_source::OpSource;
use super::options::EncodeOptions;
use super::region_writer;
use super::regions::Regions;
use crate::delta::format::MAX_TARGET;
use crate::delta::header::Header;
use crate::shared_run::SharedRun;
use crate::signature::matching::Matches;
use crate::verify::group::{self, GroupSize, Groups};
use crate::version::{BasisId, Version};

/// The length in bytes of the longest first sync that is compressed as a whole before any of it is given out. If zstd
/// does not shorten it, it is written in codec 0 (stored). A longer one is given out while it is compressed.
const MAX_WHOLE: usize = 128 << 10;

/// Makes the delta from a basis to a target.
///
/// **Poll until `None`.** Time is linear in both lengths. Memory is the options' budget and at most one region of
/// output. [`diff`](crate::diff) does all of it in one call.
///
/// ```
/// use driblet_core::{EncodeOptions, Encoder, patch};
///
/// let (old, new) = (b"one driblet".repeat(99), b"one more driblet".repeat(99));
/// let mut encoder = Encoder::new(&old, &new, EncodeOptions::new());
/// let mut delta = Vec::new();
/// while let Some(bytes) = encoder.poll_output()? {
///     delta.extend_from_slice(&bytes);
/// }
/// assert_eq!(patch(&old, &delta)?, new);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Encoder<'a> {
    header: Option<Header>,
    body: DeltaBody<'a>,
}

/// What follows the header.
enum DeltaBody<'a> {
    Regions(Regions<'a>),
    /// One region, whose frame is given out as it is compressed: a first sync for a receiver that waits.
    Stream {
        target: &'a [u8],
        stream: Option<FrameStream>,
    },
}

impl fmt::Debug for Encoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("header", &self.header).finish_non_exhaustive()
    }
}

impl<'a> Encoder<'a> {
    /// Encodes the delta from one file to another. Both are hashed. An empty basis gives a delta for a first sync.
    pub fn new(basis: &'a [u8], target: &'a [u8], options: EncodeOptions) -> Encoder<'a> {
        Encoder::between(basis, Version::of(basis), target, None, options)
    }

    /// Encodes the delta from one file to another whose versions the caller knows, so that neither is hashed again as a
    /// whole. The encoder hashes the groups of a target that is longer than one group.
    ///
    /// The versions must be those of the bytes; otherwise receivers refuse the delta.
    ///
    /// ```
    /// use driblet_core::{Basis, Decoder, EncodeOptions, Encoder, Event, Limits, Version};
    ///
    /// let old = b"one driblet".repeat(99);
    /// let new = [&old[..], b"and one more"].concat();
    /// let (from, to) = (Version::of(&old), Version::of(&new));
    /// let mut encoder = Encoder::of_versions((&old, from), (&new, to), EncodeOptions::new());
    /// let mut decoder = Decoder::new(Basis::of(&from, old.len() as u64), Limits::new());
    /// while let Some(piece) = encoder.poll_output()? {
    ///     decoder.handle_input(&piece);
    /// }
    /// decoder.handle_end();
    /// loop {
    ///     match decoder.poll_event()? {
    ///         Event::NeedBasis(range) => decoder.handle_basis(&old[range.start as usize..range.end as usize]),
    ///         Event::Output(verified) => assert_eq!(verified, new),
    ///         Event::Done => break,
    ///         Event::NeedInput | Event::Same => unreachable!("the decoder has all input, and the versions differ"),
    ///     }
    /// }
    /// assert_eq!(decoder.reused(), old.len() as u64, "all but the last bytes were copied from the basis");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_versions(
        (basis, from): (&'a [u8], Version),
        (target, to): (&'a [u8], Version),
        options: EncodeOptions,
    ) -> Encoder<'a> {
        Encoder::between(basis, from, target, Some(to), options)
    }

    /// Encodes the delta from one file to another where the caller knows the shared runs. The runs are in the order of
    /// the target and do not overlap.
    pub(crate) fn with_runs(
        basis: &'a [u8],
        target: &'a [u8],
        runs: Vec<SharedRun>,
        options: EncodeOptions,
    ) -> Encoder<'a> {
        let header = header(target, None, GroupSize::LARGEST, Version::of(basis).basis_id());
        Encoder::with(
            header,
            BasisBytes::Whole(basis),
            target,
            OpSource::new(Box::new(runs.into_iter()), target.len() as u64),
            options,
        )
    }

    /// Encodes the delta from the chunks that a signature matched. `target` must be the file that
    /// [`match_chunks`](crate::Signature::match_chunks) was given the cuts of. All receivers with the same
    /// [basis id](Matches::basis_id) can decode it. Of the options [`codec`](EncodeOptions::codec) does not matter.
    pub fn matched(matches: &'a Matches, target: &'a [u8], options: EncodeOptions) -> Encoder<'a> {
        let header = header(target, None, GroupSize::LARGEST, matches.basis_id());
        let source = OpSource::new(Box::new(matches.shared_runs().iter().cloned()), target.len() as u64);
        let basis = BasisBytes::Matched { layout: matches.layout(), target };
        Encoder::with(header, basis, target, source, options)
    }

    fn between(
        basis: &'a [u8],
        from: Version,
        target: &'a [u8],
        to: Option<Version>,
        options: EncodeOptions,
    ) -> Encoder<'a> {
        let size = if basis.is_empty() { GroupSize::fine(target.len() as u64) } else { GroupSize::LARGEST };
        let header = header(target, to, size, from.basis_id());
        let source = OpSource::between(basis, target, options);
        Encoder::with(header, BasisBytes::Whole(basis), target, source, options)
    }

    fn with(
        header: Header,
        basis: BasisBytes<'a>,
        target: &'a [u8],
        source: OpSource<'a>,
        options: EncodeOptions,
    ) -> Encoder<'a> {
        let body = if !options.thorough && basis.len() == 0 && MAX_WHOLE < target.len() {
            DeltaBody::Stream { target, stream: None }
        } else {
            DeltaBody::Regions(Regions::new(Context { basis, target, options, compressed: 0, depth: 0 }, source))
        };
        Encoder { header: Some(header), body }
    }

    /// The next bytes of the delta: the header, then one region after the other; `None` after the last.
    ///
    /// # Errors
    /// Fails if the target is longer than the format can describe, or if the compressor gets no memory.
    pub fn poll_output(&mut self) -> Result<Option<Vec<u8>>, EncodeError> {
        if let Some(header) = self.header.take() {
            if MAX_TARGET < header.len() {
                return Err(EncodeError::TooLong { len: header.len(), max: MAX_TARGET });
            }
            let mut out = Vec::new();
            header.write(&mut out);
            return Ok(Some(out));
        }
        match &mut self.body {
            DeltaBody::Regions(regions) => Ok(regions.next()?.map(|encoded| encoded.bytes)),
            DeltaBody::Stream { target, stream: Some(stream) } => stream.next(target),
            DeltaBody::Stream { target, stream } => {
                let len = target.len();
                *stream = Some(FrameStream::new(len, levels::first_sync(len))?);
                Ok(Some(region_writer::write_before_frame(len as u64)))
            }
        }
    }
}

/// The delta that tells a receiver that it holds the head already.
///
/// ```
/// use driblet_core::{Basis, Decoder, Event, Limits, Version, encode_same};
///
/// let held = Version::of(b"one driblet");
/// let mut decoder = Decoder::new(Basis::of(&held, 11), Limits::new());
/// decoder.handle_input(&encode_same(held, 11));
/// decoder.handle_end();
/// assert_eq!(decoder.poll_event()?, Event::Same);
/// # Ok::<(), driblet_core::DecodeError>(())
/// ```
pub fn encode_same(version: Version, len: u64) -> Vec<u8> {
    let mut out = Vec::new();
    let groups = Groups { version, len, size: GroupSize::LARGEST, values: Vec::new() };
    Header { groups, basis: None }.write(&mut out);
    out
}

fn header(target: &[u8], known: Option<Version>, size: GroupSize, basis_id: BasisId) -> Header {
    let values = group::chaining_values(target, size);
    let version = match known {
        _ if !values.is_empty() => group::merge(&values),
        Some(version) => version,
        None => Version::of(target),
    };
    Header { groups: Groups { version, len: target.len() as u64, size, values }, basis: Some(basis_id) }
}
