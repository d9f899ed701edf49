//! What the folder holds now.

use std::collections::HashMap;
use std::io;
use std::ops::Range;

use driblet_core::Version;
use driblet_core::directory::Manifest;

use super::names::Selection;
use super::record::{Record, UNKNOWN};
use crate::disk::hash;
use crate::fingerprint::{self, Fingerprint};
use crate::tree::{Tree, fingerprint_of, is_absence, is_executable};

/// From this many files on, two threads look at them.
const MANY: usize = 2_000;

/// The files of a folder that are known.
#[derive(Default)]
pub(super) struct Local {
    pub(super) record: Option<Record>,
    /// For each file of the record, what stands at its path.
    states: Vec<FileState>,
    /// Files at paths of which there is no record, or that were changed.
    found: HashMap<String, FoundFile>,
    /// Where a version is held.
    places: HashMap<Version, Place>,
    /// Whether the record's fingerprints are out of date, although the files are as recorded.
    pub(super) is_stale: bool,
}

/// What stands at the path of a recorded file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FileState {
    /// No pull wrote the file.
    NotOurs,
    /// The recorded bytes.
    Unchanged { executable: bool },
    /// Something else.
    Changed,
    /// Nothing.
    Missing,
}

/// A file that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FoundFile {
    pub(super) version: Version,
    pub(super) len: u64,
    pub(super) executable: bool,
    /// What the file looked like when it was read.
    pub(super) stamp: Fingerprint,
}

enum Place {
    Recorded(u32),
    Found(String),
}

impl Local {
    /// Compares the folder with the record. Files that look as recorded are not read.
    pub(super) fn scan(tree: &mut Tree, record: Option<Record>) -> io::Result<Local> {
        let mut local = Local::default();
        let Some(mut record) = record else { return Ok(local) };
        for (index, looked) in look_at_all(tree, &record)?.into_iter().enumerate() {
            let entry = record.manifest.entry(index);
            let state = match looked {
                Looked::As(state) => state,
                Looked::ChangedFile => match read(tree, entry.path)? {
                    Some(file) if file.version == entry.version => {
                        record.stamps[index] = file.stamp;
                        local.is_stale = true;
                        FileState::Unchanged { executable: file.executable }
                    }
                    Some(file) => {
                        local.found.insert(entry.path.to_owned(), file);
                        FileState::Changed
                    }
                    None => FileState::Changed,
                },
            };
            if let FileState::Unchanged { .. } = state {
                local.places.entry(record.manifest.entry(index).version).or_insert(Place::Recorded(index as u32));
            }
            local.states.push(state);
        }
        for (path, file) in &local.found {
            local.places.entry(file.version).or_insert_with(|| Place::Found(path.clone()));
        }
        local.record = Some(record);
        Ok(local)
    }

    /// Reads what stands at the paths of a manifest, where the record does not say it.
    pub(super) fn read_at_paths(&mut self, tree: &mut Tree, new: &Manifest, selection: &Selection) -> io::Result<()> {
        let mut next = 0;
        for (entry, included) in new.entries().zip(&selection.included) {
            if !included || self.at_next(entry.path, &mut next).is_some() {
                continue;
            }
            if tree.look(entry.path)?.is_none_or(|found| !found.is_file()) {
                continue;
            }
            if let Some(file) = read(tree, entry.path)? {
                self.places.entry(file.version).or_insert_with(|| Place::Found(entry.path.to_owned()));
                self.found.insert(entry.path.to_owned(), file);
            }
        }
        Ok(())
    }

    /// The file at a path, if its bytes are known.
    pub(super) fn at(&self, path: &str) -> Option<FoundFile> {
        self.at_next(path, &mut 0)
    }

    /// As [`at`](Local::at), for many paths in order: `next` is the index in the record that is looked at first.
    pub(super) fn at_next(&self, path: &str, next: &mut usize) -> Option<FoundFile> {
        if let Some(found) = self.found.get(path) {
            return Some(*found);
        }
        let record = self.record.as_ref()?;
        let manifest = &record.manifest;
        let is_next = *next < manifest.len() && manifest.entry(*next).path == path;
        let index = if is_next { *next } else { manifest.find(path)? };
        *next = index + 1;
        let FileState::Unchanged { executable } = self.states[index] else { return None };
        let entry = manifest.entry(index);
        Some(FoundFile { version: entry.version, len: entry.len, executable, stamp: record.stamps[index] })
    }

    /// The path of a file with this version.
    pub(super) fn path_of(&self, version: &Version) -> Option<&str> {
        match self.places.get(version)? {
            Place::Recorded(index) => Some(self.record.as_ref()?.manifest.entry(*index as usize).path),
            Place::Found(path) => Some(path),
        }
    }

    /// The recorded files and what stands at their paths.
    pub(super) fn recorded(&self) -> impl Iterator<Item = (&str, FileState)> {
        let record = self.record.as_ref();
        let paths = record.into_iter().flat_map(|record| record.manifest.entries().map(|entry| entry.path));
        paths.zip(self.states.iter().copied())
    }
}

/// What one look shows of a recorded file.
#[derive(Clone, Copy)]
enum Looked {
    As(FileState),
    /// A file that does not look as recorded. Its bytes may still be the same.
    ChangedFile,
}

/// Looks at all recorded files, in two threads if they are many: most of the time is the system's.
fn look_at_all(tree: &mut Tree, record: &Record) -> io::Result<Vec<Looked>> {
    let count = record.manifest.len();
    if count < MANY {
        return look_at(tree, record, 0..count);
    }
    let mut other = tree.again()?;
    std::thread::scope(|threads| {
        let second = threads.spawn(|| look_at(&mut other, record, count / 2..count));
        let mut looked = look_at(tree, record, 0..count / 2)?;
        let second = second.join().map_err(|_| io::Error::other("a thread that looks at files ended early"))?;
        looked.extend(second?);
        Ok(looked)
    })
}

fn look_at(tree: &mut Tree, record: &Record, indices: Range<usize>) -> io::Result<Vec<Looked>> {
    let look = |index| {
        let found = tree.look(record.manifest.entry(index).path)?;
        Ok(match found {
            _ if !record.is_ours(index) => Looked::As(FileState::NotOurs),
            None => Looked::As(FileState::Missing),
            Some(found) if record.is_unchanged(index, &fingerprint_of(&found)) => {
                Looked::As(FileState::Unchanged { executable: is_executable(&found) })
            }
            Some(found) if !found.is_file() => Looked::As(FileState::Changed),
            Some(_) => Looked::ChangedFile,
        })
    };
    indices.map(look).collect()
}

/// Reads and hashes a file; `None` if it is not there or may not be read.
fn read(tree: &mut Tree, path: &str) -> io::Result<Option<FoundFile>> {
    let mut file = match tree.file(path) {
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput) => {
            return Ok(None);
        }
        file => file?,
    };
    use std::os::unix::fs::MetadataExt;
    let before = file.metadata()?;
    let stamp = Fingerprint::of(&before);
    // A write just before and one just after the file was read may have the same stamp.
    let is_settled = stamp.age(fingerprint::now()).is_some_and(|age| stamp.granularity() < age);
    let (version, len) = hash(&mut file)?;
    let stamp = if is_settled { stamp } else { UNKNOWN };
    Ok(Some(FoundFile { version, len, executable: before.mode() & 0o100 != 0, stamp }))
}
