//! Decodes a part into staging files, while its bytes arrive.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use driblet_core::directory::{Manifest, PlannedPart};
use driblet_core::{Basis, Decoder, Event, Limits, Version, VersionHasher};

use super::error::{InvalidCause, PullDirectoryError};
use super::local::Local;
use super::part_file::{Arrival, PartReader};
use super::requests::Counters;
use super::staging::Staging;
use super::tree::Tree;
use crate::client::PullError;
use crate::transfer::{NetworkCause, ProtocolCause};

/// Bytes of the delta that one call reads.
const PIECE: u64 = 64 << 10;

/// What all parts of a pull share.
pub(super) struct Parts {
    /// The manifest that the parts' basis files are of.
    pub(super) old: Option<Arc<Manifest>>,
    pub(super) new: Arc<Manifest>,
    pub(super) parts: Vec<PlannedPart>,
    pub(super) local: Local,
    pub(super) tree: Mutex<Tree>,
    pub(super) staging: Staging,
    /// The versions that are to be staged, and are not yet.
    pub(super) wanted: HashSet<Version>,
    pub(super) counters: Arc<Counters>,
}

impl Parts {
    /// Whether a part has files that are wanted.
    pub(super) fn is_wanted(&self, part: &PlannedPart) -> bool {
        part.files.iter().any(|index| self.wanted.contains(&self.new.entry(*index).version))
    }

    /// Decodes the part, and stages its wanted files.
    pub(super) fn decode(
        &self,
        part: &PlannedPart,
        reader: &PartReader,
        arrival: &Arrival,
        report: &dyn Fn(),
    ) -> Result<(), PullDirectoryError> {
        let limits = Limits::new().target(part.len);
        let mut decoder = Decoder::new(Basis::of(&part.basis, part.basis_len), limits);
        let mut bases = Bases::new(self, part)?;
        let mut files = Files { parts: self, rest: &part.files, current: None };
        let (mut at, mut piece, mut basis) = (0, Vec::new(), Vec::new());
        loop {
            match decoder.poll_event().map_err(undecoded)? {
                Event::NeedInput => {
                    let arrived = arrival.beyond(at);
                    let len = (arrived.len - at).min(PIECE);
                    if len == 0 && !arrived.is_whole {
                        return Err(PullError::network("reading a part", NetworkCause::CutOff).into());
                    }
                    if len == 0 {
                        decoder.handle_end();
                        continue;
                    }
                    piece.resize(len as usize, 0);
                    let read = reader.read(&mut piece, at);
                    read.map_err(|error| PullDirectoryError::store("cannot read a part", error))?;
                    decoder.handle_input(&piece);
                    at += len;
                }
                Event::NeedBasis(range) => {
                    basis.resize((range.end - range.start) as usize, 0);
                    bases.read(&mut basis, range)?;
                    decoder.handle_basis(&basis);
                }
                Event::Output(bytes) => {
                    files.take(bytes)?;
                    report();
                }
                Event::Same => {
                    return Err(PullDirectoryError::invalid(InvalidCause::OtherLength {
                        expected: part.len,
                        found: part.basis_len,
                    }));
                }
                Event::Done => break,
            }
        }
        let found = decoder.header().map_or(0, |header| header.len());
        files
            .finish()
            .ok_or_else(|| PullDirectoryError::invalid(InvalidCause::OtherLength { expected: part.len, found }))
    }
}

/// The files of a part, one after the other.
struct Files<'a> {
    parts: &'a Parts,
    rest: &'a [usize],
    current: Option<Current>,
}

/// The file that is being written.
struct Current {
    index: usize,
    hasher: VersionHasher,
    /// `None` if the file is not wanted.
    file: Option<File>,
    rest: u64,
}

impl Files<'_> {
    fn take(&mut self, mut bytes: &[u8]) -> Result<(), PullDirectoryError> {
        while !bytes.is_empty() {
            let mut current = match self.current.take() {
                Some(current) => current,
                None => self.begin()?,
            };
            let entry = self.parts.new.entry(current.index);
            let (now, later) = bytes.split_at((bytes.len() as u64).min(current.rest) as usize);
            current.hasher.update(now);
            if let Some(file) = &mut current.file {
                let written = file.write_all(now);
                written.map_err(|error| PullDirectoryError::store(format!("cannot stage {}", entry.path), error))?;
                self.parts.counters.done.fetch_add(now.len() as u64, Ordering::Relaxed);
            }
            current.rest -= now.len() as u64;
            bytes = later;
            if current.rest != 0 {
                self.current = Some(current);
                continue;
            }
            if current.hasher.finalize() != entry.version {
                return Err(PullDirectoryError::invalid(InvalidCause::OtherBytes { path: entry.path.to_owned() }));
            }
            self.parts.counters.files.fetch_add(u64::from(current.file.is_some()), Ordering::Relaxed);
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<Current, PullDirectoryError> {
        // The decoder gives out no more bytes than the part has.
        let Some((index, rest)) = self.rest.split_first() else {
            return Err(PullDirectoryError::invalid(InvalidCause::OtherLength { expected: 0, found: 1 }));
        };
        self.rest = rest;
        let entry = self.parts.new.entry(*index);
        let is_wanted = self.parts.wanted.contains(&entry.version);
        let file = is_wanted.then(|| self.parts.staging.create(&entry.version.to_string())).transpose();
        let file = file.map_err(|error| PullDirectoryError::store(format!("cannot stage {}", entry.path), error))?;
        Ok(Current { index: *index, hasher: VersionHasher::new(), file, rest: entry.len })
    }

    /// Whether all files are complete.
    fn finish(self) -> Option<()> {
        (self.current.is_none() && self.rest.is_empty()).then_some(())
    }
}

/// The basis files of a part, as if they were one file.
struct Bases<'a> {
    parts: &'a Parts,
    part: &'a PlannedPart,
    /// Where each file ends.
    ends: Vec<u64>,
    /// The file that was read last.
    open: Option<(usize, File)>,
}

impl<'a> Bases<'a> {
    fn new(parts: &'a Parts, part: &'a PlannedPart) -> Result<Bases<'a>, PullDirectoryError> {
        let lens = part.bases.iter().map(|index| parts.old.as_ref().map_or(0, |old| old.entry(*index).len));
        let ends = lens.scan(0, |end, len| {
            *end += len;
            Some(*end)
        });
        Ok(Bases { parts, part, ends: ends.collect(), open: None })
    }

    fn read(&mut self, mut into: &mut [u8], range: Range<u64>) -> Result<(), PullDirectoryError> {
        let mut at = range.start;
        while !into.is_empty() {
            let number = self.ends.partition_point(|end| *end <= at);
            let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
            let len = self.ends.get(number).map_or(0, |end| end - at).min(into.len() as u64);
            if len == 0 {
                // The decoder asks for no byte beyond the basis.
                return Err(unreadable("the basis", std::io::ErrorKind::UnexpectedEof.into()));
            }
            let (now, later) = into.split_at_mut(len as usize);
            let Some((path, file)) = self.open(number) else {
                return Err(unreadable("the basis", std::io::ErrorKind::NotFound.into()));
            };
            let read = file.and_then(|file| file.read_exact_at(now, at - start));
            read.map_err(|error| unreadable(path, error))?;
            at += len;
            into = later;
        }
        Ok(())
    }

    fn open(&mut self, number: usize) -> Option<(&'a str, std::io::Result<&File>)> {
        let version = self.parts.old.as_ref()?.entry(self.part.bases[number]).version;
        let path = self.parts.local.path_of(&version)?;
        if self.open.as_ref().is_none_or(|(open, _)| *open != number) {
            let mut tree = self.parts.tree.lock().unwrap_or_else(PoisonError::into_inner);
            match tree.file(path) {
                Ok(file) => self.open = Some((number, file)),
                Err(error) => return Some((path, Err(error))),
            }
        }
        Some((path, Ok(&self.open.as_ref()?.1)))
    }
}

fn unreadable(what: &str, error: std::io::Error) -> PullDirectoryError {
    PullDirectoryError::store(format!("cannot read {what}"), error)
}

fn undecoded(error: driblet_core::DecodeError) -> PullDirectoryError {
    PullError::protocol("a part is invalid", ProtocolCause::Decode(error)).into()
}
