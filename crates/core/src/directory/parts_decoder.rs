//! Decodes parts into their files.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::delta::PlannedPart;
use super::error::PartError;
use super::manifest::Manifest;
use crate::delta::{Basis, DecodeError, Decoder, Event, Limits};
use crate::version::VersionHasher;

/// Turns parts, one after the other, and the old files that they name into the new files. Each file is verified.
///
/// A directory delta in a file has all parts; each answer of a server has one. **After each `handle_…` call, poll until
/// the event is not [`PartsEvent::Output`].**
///
/// ```
/// # #[cfg(feature = "encode")] {
/// use std::sync::Arc;
///
/// use driblet_core::directory::{DirectoryDelta, FileEntry, Manifest, ManifestLimits, PartsDecoder, PartsEvent};
/// use driblet_core::directory::plan_parts;
/// use driblet_core::{EncodeOptions, Encoder, Version};
///
/// let manifest = |bytes: &[u8]| {
///     let (path, len, version) = ("a.txt".to_owned(), bytes.len() as u64, Version::of(bytes));
///     Manifest::new(vec![FileEntry { path, executable: false, len, version }])
/// };
/// let (old_bytes, new_bytes) = (b"one driblet".repeat(99), b"one more driblet".repeat(99));
/// let (old, new) = (manifest(&old_bytes)?, manifest(&new_bytes)?);
///
/// let parts = plan_parts(Some(&old), &new, &mut |_| None);
/// let mut bytes = DirectoryDelta::between(Some(&old), &new, &parts, EncodeOptions::new())?.encode();
/// let target = (&new_bytes[..], Version::of(&new_bytes));
/// let mut encoder = Encoder::of_versions((&old_bytes, parts[0].basis), target, EncodeOptions::new());
/// while let Some(piece) = encoder.poll_output()? {
///     bytes.extend(piece);
/// }
///
/// let (delta, len) = DirectoryDelta::parse(&bytes)?.expect("it is whole");
/// let (new, parts) = delta.apply(Some(&old), ManifestLimits::default())?;
/// let mut decoder = PartsDecoder::new(parts, Some(Arc::new(old)), Arc::new(new));
/// decoder.handle_input(&bytes[len..]);
/// decoder.handle_end();
/// let mut output = Vec::new();
/// loop {
///     match decoder.poll_event()? {
///         PartsEvent::NeedBasis { range, .. } => {
///             decoder.handle_basis(&old_bytes[range.start as usize..range.end as usize])
///         }
///         PartsEvent::Output { bytes, .. } => output.extend_from_slice(bytes),
///         PartsEvent::Done => break,
///         PartsEvent::NeedInput => unreachable!("the decoder has all input"),
///     }
/// }
/// assert_eq!(output, new_bytes);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PartsDecoder {
    old: Option<Arc<Manifest>>,
    new: Arc<Manifest>,
    /// The parts that follow the present one.
    parts: std::vec::IntoIter<PlannedPart>,
    part: Option<PartDecoder>,
    /// Bytes of which it is not known yet to which part they belong.
    input: Vec<u8>,
    /// How many bytes came.
    received: u64,
    has_ended: bool,
    failed: Option<PartError>,
}

/// What a [`PartsDecoder`] needs or gives out.
///
/// This enum is exhaustive on purpose: a caller that skips an event loses output or waits forever.
#[derive(Debug, PartialEq, Eq)]
pub enum PartsEvent<'a> {
    /// The decoder needs more bytes: call [`PartsDecoder::handle_input`] or [`PartsDecoder::handle_end`].
    NeedInput,
    /// The decoder needs bytes of a file, at most 1 MiB: call [`PartsDecoder::handle_basis`].
    NeedBasis {
        /// The file's index in the old manifest.
        file: usize,
        /// Which bytes of the file.
        range: Range<u64>,
    },
    /// The next bytes of a file. The files come one after the other.
    Output {
        /// The file's index in the new manifest.
        file: usize,
        /// The bytes, which the delta's hashes verify.
        bytes: &'a [u8],
        /// Whether the file is complete, and was found to have its version. Use no file before that.
        is_last: bool,
    },
    /// All files were given out, and the bytes ended where they should.
    Done,
}

impl PartsDecoder {
    /// A decoder for parts of the delta between these manifests.
    pub fn new(parts: Vec<PlannedPart>, old: Option<Arc<Manifest>>, new: Arc<Manifest>) -> PartsDecoder {
        let parts = parts.into_iter();
        PartsDecoder { old, new, parts, part: None, input: Vec::new(), received: 0, has_ended: false, failed: None }
    }

    /// Takes the next bytes. They may be split anywhere.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.received += bytes.len() as u64;
        match &mut self.part {
            Some(part) => part.decoder.handle_input(bytes),
            None => self.input.extend_from_slice(bytes),
        }
    }

    /// Call this when there are no more bytes.
    pub fn handle_end(&mut self) {
        self.has_ended = true;
        if let Some(part) = &mut self.part {
            part.decoder.handle_end();
        }
    }

    /// Takes the bytes that [`PartsEvent::NeedBasis`] asked for.
    pub fn handle_basis(&mut self, bytes: &[u8]) {
        if let Some(part) = &mut self.part {
            part.handle_basis(bytes);
        }
    }

    /// The next event.
    ///
    /// # Errors
    /// Fails if a part is refused, or if bytes follow the last one. An error is final: every later call returns it
    /// again.
    pub fn poll_event(&mut self) -> Result<PartsEvent<'_>, PartError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match self.advance() {
            Ok(Next::Input) => Ok(PartsEvent::NeedInput),
            Ok(Next::Basis(file, range)) => Ok(PartsEvent::NeedBasis { file, range }),
            Ok(Next::Output(file, range, is_last)) => {
                let bytes = self.part.as_ref().map_or(&[][..], |part| &part.verified[range]);
                Ok(PartsEvent::Output { file, bytes, is_last })
            }
            Ok(Next::Done) => Ok(PartsEvent::Done),
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    fn advance(&mut self) -> Result<Next, PartError> {
        loop {
            let Some(part) = &mut self.part else {
                match self.parts.next() {
                    Some(part) => self.begin(part),
                    None if !self.input.is_empty() => {
                        let at = self.received - self.input.len() as u64;
                        return Err(DecodeError::TrailingBytes { at }.into());
                    }
                    None if !self.has_ended => return Ok(Next::Input),
                    None => return Ok(Next::Done),
                }
                continue;
            };
            match part.advance(&self.new)? {
                Next::Done => {
                    // The next part begins where this one ends.
                    self.input = part.decoder.unread().to_vec();
                    self.part = None;
                }
                next => return Ok(next),
            }
        }
    }

    fn begin(&mut self, part: PlannedPart) {
        let mut part = PartDecoder::new(part, self.old.as_deref());
        part.decoder.handle_input(&std::mem::take(&mut self.input));
        if self.has_ended {
            part.decoder.handle_end();
        }
        self.part = Some(part);
    }
}

/// Decodes one part.
struct PartDecoder {
    part: PlannedPart,
    decoder: Decoder,
    /// Where each basis file ends in the basis.
    ends: Vec<u64>,
    /// The range of the basis that the decoder needs, and the bytes of it that came.
    wanted: Option<(Range<u64>, Vec<u8>)>,
    /// Verified bytes of the part, and how many of them were given out.
    verified: Vec<u8>,
    given: usize,
    /// How many files are complete, and the length and the hash of the next one so far.
    complete: usize,
    len: u64,
    hasher: VersionHasher,
}

impl PartDecoder {
    fn new(part: PlannedPart, old: Option<&Manifest>) -> PartDecoder {
        let lens = part.bases.iter().map(|index| old.map_or(0, |old| old.entry(*index).len));
        let ends = lens.scan(0, |end, len| {
            *end += len;
            Some(*end)
        });
        PartDecoder {
            decoder: Decoder::followed(Basis::of(&part.basis, part.basis_len), Limits::new().target(part.len)),
            ends: ends.collect(),
            part,
            wanted: None,
            verified: Vec::new(),
            given: 0,
            complete: 0,
            len: 0,
            hasher: VersionHasher::new(),
        }
    }

    fn handle_basis(&mut self, bytes: &[u8]) {
        let Some((_, asked)) = self.needed_basis() else { return };
        let Some((range, mut came)) = self.wanted.take() else { return };
        came.extend_from_slice(bytes);
        if asked.end - asked.start != bytes.len() as u64 {
            // The decoder fails, since these are not the bytes that it asked for.
            self.decoder.handle_basis(&[]);
        } else if came.len() as u64 == range.end - range.start {
            self.decoder.handle_basis(&came);
        } else {
            self.wanted = Some((range, came));
        }
    }

    fn advance(&mut self, new: &Manifest) -> Result<Next, PartError> {
        loop {
            if self.given < self.verified.len() {
                return self.next_output(new);
            }
            if let Some((file, range)) = self.needed_basis() {
                return Ok(Next::Basis(file, range));
            }
            match self.decoder.poll_event()? {
                Event::NeedInput => return Ok(Next::Input),
                Event::NeedBasis(range) => self.wanted = Some((range, Vec::new())),
                Event::Output(bytes) => {
                    self.verified.clear();
                    self.verified.extend_from_slice(bytes);
                    self.given = 0;
                }
                Event::Done if self.complete == self.part.files.len() => return Ok(Next::Done),
                Event::Done => {
                    let found = self.decoder.header().map_or(0, |header| header.len());
                    return Err(PartError::OtherLength { expected: self.part.len, found });
                }
                // A part has new files only.
                Event::Same => {
                    return Err(PartError::OtherLength { expected: self.part.len, found: self.part.basis_len });
                }
            }
        }
    }

    /// The file with the next bytes of the basis that are needed, and which bytes of the file.
    fn needed_basis(&self) -> Option<(usize, Range<u64>)> {
        let (range, came) = self.wanted.as_ref()?;
        let at = range.start + came.len() as u64;
        let number = self.ends.partition_point(|end| *end <= at);
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        // The decoder asks for no byte beyond the basis.
        let (file, end) = (*self.part.bases.get(number)?, range.end.min(*self.ends.get(number)?));
        Some((file, at - start..end - start))
    }

    fn next_output(&mut self, new: &Manifest) -> Result<Next, PartError> {
        let rest = self.verified.len() - self.given;
        let Some(file) = self.part.files.get(self.complete).copied() else {
            // The decoder gives out no more bytes than the part has.
            return Err(PartError::OtherLength { expected: self.part.len, found: self.part.len + rest as u64 });
        };
        let entry = new.entry(file);
        let start = self.given;
        self.given += (entry.len - self.len).min(rest as u64) as usize;
        self.hasher.update(&self.verified[start..self.given]);
        self.len += (self.given - start) as u64;
        let is_last = self.len == entry.len;
        if is_last {
            if std::mem::take(&mut self.hasher).finalize() != entry.version {
                return Err(PartError::OtherBytes { path: entry.path.to_owned() });
            }
            (self.complete, self.len) = (self.complete + 1, 0);
        }
        Ok(Next::Output(file, start..self.given, is_last))
    }
}

/// A [`PartsEvent`], without its bytes.
enum Next {
    Input,
    Basis(usize, Range<u64>),
    Output(usize, Range<usize>, bool),
    Done,
}

impl fmt::Debug for PartsDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartsDecoder")
            .field("parts", &self.parts.len())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
