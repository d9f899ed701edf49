//! Short versions that are published together lie in one file, a segment. So publishing many files makes one file, and
//! costs one flush.
//!
//! A segment is written once, flushed, and never changed. When less than half of its bytes are needed, the next
//! publication writes these into its own segment, and the old one is removed once the index names the new one.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use driblet_core::Version;

use crate::disk;

/// The name of the folder.
const FOLDER: &str = "segments";
/// Bytes of one version in a segment's row: the version, and its length in little endian.
const ENTRY: usize = 36;

/// Where a version's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// The versions of a segment in the order of their bytes, each with its length.
pub(super) type SegmentVersions = Vec<(Version, u32)>;

/// A segment that is written and flushed, and not in the index yet.
#[derive(Debug)]
pub(super) struct NewSegment {
    pub(super) number: u64,
    pub(super) versions: SegmentVersions,
}

/// What the index knows of segments.
#[derive(Default)]
pub(super) struct SegmentIndex {
    places: HashMap<Version, Place>,
    segments: HashMap<u64, SegmentEntry>,
    /// The number of the newest segment.
    last: u64,
}

struct SegmentEntry {
    len: u64,
    /// Versions whose place it is, and their bytes.
    needed: usize,
    live: u64,
    versions: SegmentVersions,
    /// Whether its versions are being written into another segment.
    is_moving: bool,
}

impl SegmentIndex {
    pub(super) fn place(&self, version: &Version) -> Option<Place> {
        self.places.get(version).copied()
    }

    /// The length of a segment's file.
    pub(super) fn len(&self, segment: u64) -> Option<u64> {
        self.segments.get(&segment).map(|entry| entry.len)
    }

    /// A number that no segment had.
    pub(super) fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Adds a segment. Versions that had another place have this one from now on.
    pub(super) fn add(&mut self, segment: NewSegment) {
        let NewSegment { number, versions } = segment;
        self.last = self.last.max(number);
        let mut offset = 0;
        for (version, len) in &versions {
            let len = u64::from(*len);
            self.drop_place(version);
            self.places.insert(*version, Place { segment: number, offset, len });
            offset += len;
        }
        let (needed, live) = (versions.len(), offset);
        self.segments.insert(number, SegmentEntry { len: offset, needed, live, versions, is_moving: false });
    }

    /// Notes that a version is not needed any more.
    pub(super) fn drop_place(&mut self, version: &Version) {
        let Some(place) = self.places.remove(version) else { return };
        if let Some(entry) = self.segments.get_mut(&place.segment) {
            entry.needed -= 1;
            entry.live -= place.len;
        }
    }

    /// Removes the segments of which nothing is needed, and gives their numbers.
    pub(super) fn remove_empty(&mut self) -> Vec<u64> {
        let empty = self.segments.iter().filter(|(_, entry)| entry.needed == 0);
        let empty: Vec<u64> = empty.map(|(number, _)| *number).collect();
        empty.iter().for_each(|number| drop(self.segments.remove(number)));
        empty
    }

    /// Segments that nothing else moves, of which less than half is needed; or those with one of `forgotten`, however
    /// much is needed. They count as moving until [`settle`](SegmentIndex::settle).
    pub(super) fn take_sparse(&mut self, forgotten: &HashSet<Version>) -> Vec<u64> {
        let mut sparse = Vec::new();
        for (number, entry) in &mut self.segments {
            let has_forgotten = || entry.versions.iter().any(|(version, _)| forgotten.contains(version));
            if !entry.is_moving && (2 * entry.live < entry.len || has_forgotten()) {
                entry.is_moving = true;
                sparse.push(*number);
            }
        }
        sparse
    }

    /// Notes that segments are not being moved any more.
    pub(super) fn settle(&mut self, numbers: &[u64]) {
        for number in numbers {
            if let Some(entry) = self.segments.get_mut(number) {
                entry.is_moving = false;
            }
        }
    }

    /// The versions that are needed of a segment.
    pub(super) fn needed(&self, number: u64) -> Vec<(Version, Place)> {
        let versions = self.segments.get(&number).into_iter().flat_map(|entry| &entry.versions);
        let places = versions.filter_map(|(version, _)| Some((*version, self.place(version)?)));
        places.filter(|(_, place)| place.segment == number).collect()
    }

    /// Drops the places of all versions that are not needed.
    pub(super) fn retain(&mut self, is_needed: impl Fn(&Version) -> bool) {
        let unneeded: Vec<Version> = self.places.keys().filter(|version| !is_needed(version)).copied().collect();
        unneeded.iter().for_each(|version| self.drop_place(version));
    }

    pub(super) fn has(&self, number: u64) -> bool {
        self.segments.contains_key(&number)
    }
}

/// A row of the index: the versions of a segment.
pub(super) fn encode(versions: &SegmentVersions) -> Vec<u8> {
    let mut row = Vec::with_capacity(ENTRY * versions.len());
    for (version, len) in versions {
        row.extend_from_slice(version.as_bytes());
        row.extend_from_slice(&len.to_le_bytes());
    }
    row
}

/// Reads a row; `None` if it is damaged.
pub(super) fn decode(row: &[u8]) -> Option<SegmentVersions> {
    let (entries, rest) = row.as_chunks::<ENTRY>();
    let entry = |entry: &[u8; ENTRY]| {
        let (version, len) = entry.split_first_chunk::<32>()?;
        Some((Version::from_bytes(*version), u32::from_le_bytes(len.try_into().ok()?)))
    };
    rest.is_empty().then(|| entries.iter().map(entry).collect()).flatten()
}

/// The files of segments.
pub(super) struct SegmentFiles {
    folder: PathBuf,
    open: Mutex<HashMap<u64, Weak<File>>>,
}

impl SegmentFiles {
    /// The segments in a history's folder.
    pub(super) fn new(history: &Path) -> SegmentFiles {
        SegmentFiles { folder: history.join(FOLDER), open: Mutex::default() }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:016x}"))
    }

    /// The length of a segment's file; `None` if it is missing.
    pub(super) fn len(&self, number: u64) -> Option<u64> {
        fs::metadata(self.path(number)).ok().filter(fs::Metadata::is_file).map(|data| data.len())
    }

    /// Writes a segment durably: `write` writes its bytes.
    pub(super) fn write(&self, number: u64, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut file = tempfile::Builder::new().prefix(".tmp").tempfile_in(&self.folder)?;
        let mut writer = io::BufWriter::with_capacity(1 << 20, file.as_file_mut());
        write(&mut writer)?;
        writer.flush()?;
        drop(writer);
        file.as_file().sync_data()?;
        file.persist(self.path(number)).map_err(|error| error.error)?;
        File::open(&self.folder)?.sync_all()
    }

    /// Opens a segment.
    pub(super) fn open(&self, number: u64) -> io::Result<Arc<File>> {
        let mut open = self.opened();
        if let Some(file) = open.get(&number).and_then(Weak::upgrade) {
            return Ok(file);
        }
        let file = Arc::new(File::open(self.path(number))?);
        open.retain(|_, file| file.strong_count() != 0);
        open.insert(number, Arc::downgrade(&file));
        Ok(file)
    }

    /// Removes a segment, if it is there. Whoever has it open can still read it.
    pub(super) fn remove(&self, number: u64) -> io::Result<()> {
        self.opened().remove(&number);
        disk::remove(&self.path(number))
    }

    /// Removes all files that are no segment of the index.
    pub(super) fn remove_all_but(&self, is_known: impl Fn(u64) -> bool) -> io::Result<()> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let number = entry.file_name().to_str().and_then(|name| u64::from_str_radix(name, 16).ok());
            let is_named = number.is_some_and(|number| is_known(number) && self.path(number) == entry.path());
            if !is_named {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<u64, Weak<File>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u64) -> Version {
        Version::of(&number.to_le_bytes())
    }

    fn segment(number: u64, versions: &[(u64, u32)]) -> NewSegment {
        NewSegment { number, versions: versions.iter().map(|(number, len)| (version(*number), *len)).collect() }
    }

    #[test]
    fn rows_go_both_ways() {
        let versions = segment(1, &[(1, 0), (2, 70_000), (3, u32::MAX)]).versions;
        let row = encode(&versions);
        assert_eq!(decode(&row), Some(versions));
        assert_eq!(decode(&row[1..]), None);
        assert_eq!(decode(&[]), Some(vec![]));
    }

    #[test]
    fn a_segment_goes_when_nothing_of_it_is_needed() {
        let mut index = SegmentIndex::default();
        index.add(segment(1, &[(1, 10), (2, 0), (3, 30)]));
        assert_eq!(index.place(&version(3)), Some(Place { segment: 1, offset: 10, len: 30 }));
        index.drop_place(&version(1));
        index.drop_place(&version(3));
        assert_eq!(index.remove_empty(), [0; 0], "the empty version is needed");
        index.drop_place(&version(2));
        assert_eq!(index.remove_empty(), [1]);
        assert_eq!(index.next_number(), 2, "no number is used twice");
    }

    #[test]
    fn a_sparse_segment_is_moved_once() {
        let mut index = SegmentIndex::default();
        index.add(segment(1, &[(1, 10), (2, 10), (3, 10)]));
        index.drop_place(&version(1));
        assert_eq!(index.take_sparse(&HashSet::new()), [0; 0]);
        index.drop_place(&version(2));
        assert_eq!(index.take_sparse(&HashSet::new()), [1]);
        assert_eq!(index.take_sparse(&HashSet::new()), [0; 0], "it is being moved");
        let needed = index.needed(1);
        assert_eq!(needed, [(version(3), Place { segment: 1, offset: 20, len: 10 })]);
        index.add(segment(2, &[(3, 10), (4, 5)]));
        assert_eq!(index.remove_empty(), [1]);
        assert_eq!(index.place(&version(3)), Some(Place { segment: 2, offset: 0, len: 10 }));
        assert_eq!(index.take_sparse(&HashSet::from([version(4)])), [2], "a forgotten version must go");
        index.settle(&[2]);
        assert_eq!(index.take_sparse(&HashSet::from([version(4)])), [2]);
    }
}
