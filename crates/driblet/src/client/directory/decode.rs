//! Decodes a part into staging files, while its bytes arrive.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use driblet_core::Version;
use driblet_core::directory::{Manifest, PartError, PartsDecoder, PartsEvent, PlannedPart};

use super::error::PullDirectoryError;
use super::local::Local;
use super::part_file::{Arrival, PartReader};
use super::requests::Counters;
use super::staging::Staging;
use crate::client::PullError;
use crate::disk::LastFile;
use crate::transfer::{NetworkCause, ProtocolCause};
use crate::tree::Tree;

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
        let mut decoder = PartsDecoder::new(vec![part.clone()], self.old.clone(), self.new.clone());
        let mut held = HeldFile { parts: self, open: LastFile::default() };
        let mut staged: Option<File> = None;
        let (mut at, mut piece, mut basis) = (0, Vec::new(), Vec::new());
        loop {
            match decoder.poll_event().map_err(undecoded)? {
                PartsEvent::NeedInput => {
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
                PartsEvent::NeedBasis { file, range } => {
                    basis.resize((range.end - range.start) as usize, 0);
                    held.read(file, &mut basis, range.start)?;
                    decoder.handle_basis(&basis);
                }
                PartsEvent::Output { file, bytes, is_last } => {
                    self.stage(file, bytes, is_last, &mut staged)?;
                    report();
                }
                PartsEvent::Done => return Ok(()),
            }
        }
    }

    /// Writes the next bytes of a file, if it is wanted. The files come one after the other.
    fn stage(
        &self,
        file: usize,
        bytes: &[u8],
        is_last: bool,
        staged: &mut Option<File>,
    ) -> Result<(), PullDirectoryError> {
        let entry = self.new.entry(file);
        if !self.wanted.contains(&entry.version) {
            return Ok(());
        }
        let mut write = || {
            let mut into = match staged.take() {
                Some(into) => into,
                None => self.staging.create(&entry.version.to_string())?,
            };
            into.write_all(bytes)?;
            *staged = Some(into).filter(|_| !is_last);
            Ok(())
        };
        write().map_err(|error| PullDirectoryError::store(format!("cannot stage {}", entry.path), error))?;
        self.counters.done.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.counters.files.fetch_add(u64::from(is_last), Ordering::Relaxed);
        Ok(())
    }
}

/// Reads files of the old manifest, wherever the folder has them.
struct HeldFile<'a> {
    parts: &'a Parts,
    open: LastFile,
}

impl HeldFile<'_> {
    fn read(&mut self, index: usize, into: &mut [u8], at: u64) -> Result<(), PullDirectoryError> {
        let version = self.parts.old.as_ref().map(|old| old.entry(index).version);
        let Some(path) = version.and_then(|version| self.parts.local.path_of(&version)) else {
            return Err(unreadable("the basis", std::io::ErrorKind::NotFound.into()));
        };
        let open = || self.parts.tree.lock().unwrap_or_else(PoisonError::into_inner).file(path);
        self.open.read_at(index, into, at, open).map_err(|error| unreadable(path, error))
    }
}

fn unreadable(what: &str, error: std::io::Error) -> PullDirectoryError {
    PullDirectoryError::store(format!("cannot read {what}"), error)
}

fn undecoded(error: PartError) -> PullDirectoryError {
    match error {
        PartError::Decode(error) => PullError::protocol("a part is invalid", ProtocolCause::Decode(error)).into(),
        error => PullDirectoryError::invalid(error),
    }
}
