//! The versions of each path, in memory and in a file.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use driblet_core::Version;
use tracing::warn;

use super::contract::{Head, HistoryLimits, HistorySize, Observation, PathVersions, VersionRecord};
use super::epoch::Epoch;
use super::error::{HistoryError, IndexError};
use super::index_file::{self, IndexFile};
use super::row::{Row, VersionEntry, is_directory};
use super::segments::{self, NewSegment, SegmentIndex};
use crate::causes::with_causes;

/// The versions and lengths of the files that a manifest names.
pub(super) type Contents = Arc<[(Version, u64)]>;

/// Entries of all manifests that are kept. Beyond that, old directory versions are evicted whatever their age.
const MAX_CONTENTS: usize = 1 << 21;
/// An old directory version is kept for this long after it was replaced, and for this long after a request for it, in
/// seconds.
const AFTER_REPLACED: i64 = 3600;
const AFTER_REQUEST: i64 = 600;

/// A version that becomes the head of a path.
#[derive(Clone, Copy)]
pub(super) struct Publication<'a> {
    pub(super) path: &'a str,
    pub(super) version: Version,
    pub(super) len: u64,
    pub(super) observation: Observation,
}

pub(super) struct Index {
    pub(super) epoch: Epoch,
    file: IndexFile,
    /// By path. The path of a directory ends with `/`; its versions are manifests.
    rows: HashMap<String, Row>,
    /// How many paths and manifests have each version, and its length.
    names: HashMap<Version, (usize, u64)>,
    /// Where short versions lie that were published together.
    pub(super) segments: SegmentIndex,
    /// The files of each manifest that a row has.
    contents: HashMap<Version, Contents>,
    /// When each directory version was last requested, in seconds since the epoch.
    requests: HashMap<Version, i64>,
    /// Bytes of all versions. A version that several paths share counts once.
    total: u64,
    /// The number of the last publication of any path.
    sequence: u64,
    /// How often versions were forgotten.
    pub(super) losses: u64,
}

/// What the history has on the disk and does not need any more.
#[derive(Debug, Default)]
pub(super) struct Unneeded {
    /// Versions that have a file of their own.
    pub(super) files: Vec<Version>,
    pub(super) segments: Vec<u64>,
}

/// Rows as they were before a change.
type Before = HashMap<String, Option<Row>>;

impl Index {
    /// Opens the index. Drops the versions that `is_whole` says are missing or damaged, and the manifests whose files
    /// are. `contents_of` reads a manifest.
    /// `segment_len` gives the length of a segment's file.
    pub(super) fn open(
        folder: &Path,
        segment_len: impl Fn(u64) -> Option<u64>,
        is_whole: impl Fn(&Version, u64) -> bool,
        contents_of: impl Fn(&Version) -> Option<Contents>,
    ) -> Result<Index, HistoryError> {
        let path = folder.join(index_file::NAME);
        // redb panics at a damaged page.
        let opened = catch_unwind(AssertUnwindSafe(|| Index::read(folder, segment_len, is_whole, contents_of)));
        opened.unwrap_or_else(|_| {
            let source = redb::Error::Corrupted("a page of the index is damaged".into());
            Err(HistoryError::Index { path, source: IndexError::new(source) })
        })
    }

    fn read(
        folder: &Path,
        segment_len: impl Fn(u64) -> Option<u64>,
        is_whole: impl Fn(&Version, u64) -> bool,
        contents_of: impl Fn(&Version) -> Option<Contents>,
    ) -> Result<Index, HistoryError> {
        let mut file = IndexFile::open(folder)?;
        let epoch = file.epoch().map_err(|error| file.error(error))?;
        let (rows, names) = (HashMap::new(), HashMap::new());
        let (segments, contents, requests) = (SegmentIndex::default(), HashMap::new(), HashMap::new());
        let mut index =
            Index { epoch, file, rows, names, segments, contents, requests, total: 0, sequence: 0, losses: 0 };
        index.load(segment_len, is_whole, contents_of).map_err(|error| index.file.error(error))?;
        Ok(index)
    }

    pub(super) fn head(&self, path: &str) -> Option<Head> {
        let row = self.rows.get(path)?;
        let newest = row.versions.first()?;
        let Row { fingerprint, read, settled, renumbered, .. } = *row;
        let observation = Observation { fingerprint, read, settled, renumbered };
        Some(Head { version: newest.version, len: newest.len, counter: row.counter, observation })
    }

    /// The versions of a path and their lengths, newest first.
    pub(super) fn versions(&self, path: &str) -> Vec<(Version, u64)> {
        self.rows.get(path).into_iter().flat_map(|row| &row.versions).map(|entry| (entry.version, entry.len)).collect()
    }

    /// Whether a version is one of this path's.
    pub(super) fn has(&self, path: &str, version: &Version) -> bool {
        self.rows.get(path).is_some_and(|row| row.versions.iter().any(|entry| entry.version == *version))
    }

    /// Whether any path or manifest has a version.
    pub(super) fn names(&self, version: &Version) -> bool {
        self.names.contains_key(version)
    }

    pub(super) fn size(&self) -> HistorySize {
        HistorySize { versions: self.names.len(), bytes: self.total }
    }

    /// Every path of a file that has versions.
    pub(super) fn paths(&self) -> Vec<String> {
        let files = self.rows.iter().filter(|(path, row)| !row.versions.is_empty() && !is_directory(path));
        files.map(|(path, _)| path.clone()).collect()
    }

    /// Notes that a directory version was requested. `now` is in seconds since the epoch.
    pub(super) fn requested(&mut self, version: Version, now: i64) {
        if self.contents.contains_key(&version) {
            self.requests.insert(version, now);
        }
    }

    /// Makes a manifest the head of a directory, in one durable step. Gives what nothing needs any more.
    pub(super) fn publish_directory(
        &mut self,
        publication: &Publication<'_>,
        contents: Contents,
        segment: Option<NewSegment>,
        limits: HistoryLimits,
        now: i64,
    ) -> Result<Unneeded, HistoryError> {
        self.contents.entry(publication.version).or_insert(contents);
        let result = self.publish(&[*publication], segment, limits, now);
        let kept: HashSet<Version> = self.directory_versions().collect();
        self.contents.retain(|version, _| kept.contains(version));
        self.requests.retain(|version, _| kept.contains(version));
        result
    }

    fn directory_versions(&self) -> impl Iterator<Item = Version> + '_ {
        let rows = self.rows.iter().filter(|(path, _)| is_directory(path));
        rows.flat_map(|(_, row)| row.versions.iter().map(|entry| entry.version))
    }

    /// Makes versions the heads of their paths, and adds a segment with some of them, all in one durable step. Gives what
    /// nothing needs any more. `now` is in seconds since the epoch.
    pub(super) fn publish(
        &mut self,
        publications: &[Publication<'_>],
        segment: Option<NewSegment>,
        limits: HistoryLimits,
        now: i64,
    ) -> Result<Unneeded, HistoryError> {
        let mut before = Before::new();
        for publication in publications {
            self.put(publication, limits.versions.max(1), now, &mut before);
        }
        self.evict(limits.bytes, now, &mut before);
        self.commit(before, segment)
    }

    fn put(&mut self, publication: &Publication<'_>, most: usize, now: i64, before: &mut Before) {
        let Publication { path, version, len, observation } = *publication;
        let (counter, mut versions) =
            self.rows.get(path).map_or((0, Vec::new()), |row| (row.counter, row.versions.clone()));
        let is_new = versions.first().is_none_or(|head| head.version != version);
        if is_new {
            self.sequence += 1;
            if let Some(head) = versions.first_mut() {
                head.replaced = now;
            }
            versions.retain(|entry| entry.version != version);
            versions.insert(0, VersionEntry { version, len, sequence: self.sequence, published: now, replaced: 0 });
            let is_directory = is_directory(path);
            let entries = |versions: &[VersionEntry]| -> usize {
                versions.iter().filter_map(|entry| self.contents.get(&entry.version)).map(|files| files.len()).sum()
            };
            while most < versions.len() || (is_directory && MAX_CONTENTS < entries(&versions)) {
                // A young directory version stays, as long as there are not too many.
                let is_young = |entry: &VersionEntry| is_directory && self.is_young(entry, now);
                let crowded = is_directory && MAX_CONTENTS < entries(&versions);
                let old = versions.iter().enumerate().skip(1).filter(|(_, entry)| crowded || !is_young(entry));
                // Of equal ones the oldest goes.
                let least = old.rev().min_by(|(_, a), (_, b)| a.worth(now).total_cmp(&b.worth(now)));
                let Some((place, _)) = least else { break };
                versions.remove(place);
            }
        }
        let counter = counter + u64::from(is_new);
        let Observation { fingerprint, read, settled, renumbered } = observation;
        self.change(path, Row { counter, fingerprint, read, settled, renumbered, gone: false, versions }, before);
    }

    /// Whether a directory version was replaced or requested a short time ago, so that receivers may be loading it.
    fn is_young(&self, entry: &VersionEntry, now: i64) -> bool {
        let requested = self.requests.get(&entry.version);
        now.saturating_sub(entry.replaced) < AFTER_REPLACED
            || requested.is_some_and(|requested| now.saturating_sub(*requested) < AFTER_REQUEST)
    }

    /// Lets the head of a path be evicted like an old version. The note is written with the next publication; after a
    /// restart, the next look at the path makes it again.
    pub(super) fn gone(&mut self, path: &str) {
        if let Some(row) = self.rows.get_mut(path) {
            row.gone = true;
        }
    }

    /// Removes versions from every path, and the manifests that name them. Gives the paths that had them, and what nothing
    /// needs any more.
    pub(super) fn forget(&mut self, versions: &HashSet<Version>) -> Result<(Vec<String>, Unneeded), HistoryError> {
        self.losses += 1;
        let mut before = Before::new();
        let names_one = |files: &Contents| files.iter().any(|(file, _)| versions.contains(file));
        let manifests = self.contents.iter().filter(|(_, files)| names_one(files)).map(|(manifest, _)| *manifest);
        let lost: HashSet<Version> = manifests.chain(versions.iter().copied()).collect();
        let has_lost = |row: &Row| row.versions.iter().any(|entry| lost.contains(&entry.version));
        let paths = self.rows.iter().filter(|(_, row)| has_lost(row)).map(|(path, _)| path.clone());
        let mut paths: Vec<String> = paths.collect();
        paths.sort_unstable();
        for path in &paths {
            let mut row = self.rows[path].clone();
            row.keep(|entry| !lost.contains(&entry.version));
            self.change(path, row, &mut before);
        }
        self.commit(before, None).map(|unneeded| (paths, unneeded))
    }

    /// The versions of a path, or of all, with their times.
    pub(super) fn list(&self, path: Option<&str>) -> Vec<PathVersions> {
        let wanted = self
            .rows
            .iter()
            .filter(|(key, row)| !row.versions.is_empty() && path.is_none_or(|path| key.as_str() == path));
        let record = |(at, entry): (usize, &VersionEntry)| VersionRecord {
            version: entry.version,
            len: entry.len,
            published: entry.published,
            replaced: (at != 0).then_some(entry.replaced),
        };
        let list = wanted.map(|(path, row)| PathVersions {
            path: path.clone(),
            versions: row.versions.iter().enumerate().map(record).collect(),
        });
        let mut list: Vec<PathVersions> = list.collect();
        list.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        list
    }

    /// The paths whose head is one of these versions, or a manifest that names one, unless the file there is gone.
    pub(super) fn heads_among(&self, versions: &HashSet<Version>) -> Vec<String> {
        let has_one = |head: &VersionEntry| {
            let files = self.contents.get(&head.version).into_iter().flat_map(|files| files.iter());
            versions.contains(&head.version) || files.into_iter().any(|(file, _)| versions.contains(file))
        };
        let rows = self.rows.iter().filter(|(_, row)| !row.gone && row.versions.first().is_some_and(has_one));
        let mut paths: Vec<String> = rows.map(|(path, _)| path.clone()).collect();
        paths.sort_unstable();
        paths
    }

    /// Evicts old versions, the least valuable first, until the rest fits the limit.
    fn evict(&mut self, limit: u64, now: i64, before: &mut Before) {
        if self.total <= limit {
            return;
        }
        let old = |(path, row): (&String, &Row)| {
            let path = path.clone();
            row.old()
                .to_vec()
                .into_iter()
                .map(move |entry| (entry.worth(now), entry.sequence, path.clone(), entry.version))
        };
        let mut old: Vec<(f64, u64, String, Version)> = self.rows.iter().flat_map(old).collect();
        old.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (_, _, path, version) in old {
            if self.total <= limit {
                break;
            }
            let mut row = self.rows[&path].clone();
            row.versions.retain(|entry| entry.version != version);
            self.change(&path, row, before);
        }
    }

    fn change(&mut self, path: &str, row: Row, before: &mut Before) {
        let was = self.set(path, Some(row));
        before.entry(path.to_owned()).or_insert(was);
    }

    /// Sets a row, and counts the holders of each version. Gives the row that was there.
    fn set(&mut self, path: &str, row: Option<Row>) -> Option<Row> {
        let new = row.as_ref().map(|row| row.versions.clone()).unwrap_or_default();
        let was = match row {
            Some(row) => self.rows.insert(path.to_owned(), row),
            None => self.rows.remove(path),
        };
        let old = was.as_ref().map(|row| &*row.versions).unwrap_or_default();
        let only_in = |versions: &[VersionEntry], others: &[VersionEntry]| -> Vec<VersionEntry> {
            let is_other = |entry: &&VersionEntry| others.iter().all(|other| other.version != entry.version);
            versions.iter().filter(is_other).copied().collect()
        };
        for entry in only_in(&new, old) {
            self.each_of(&entry, |index, version, len| {
                let holders = index.names.entry(version).or_insert((0, len));
                index.total += if holders.0 == 0 { len } else { 0 };
                holders.0 += 1;
            });
        }
        for entry in only_in(old, &new) {
            self.each_of(&entry, |index, version, _| {
                let Some(holders) = index.names.get_mut(&version) else { return };
                holders.0 -= 1;
                if let (0, len) = *holders {
                    index.names.remove(&version);
                    index.total -= len;
                }
            });
        }
        was
    }

    /// Calls a function with a version and, if it is a manifest, with each of its files.
    fn each_of(&mut self, entry: &VersionEntry, mut call: impl FnMut(&mut Index, Version, u64)) {
        call(self, entry.version, entry.len);
        if let Some(files) = self.contents.get(&entry.version).cloned() {
            files.iter().for_each(|(version, len)| call(self, *version, *len));
        }
    }

    /// Adds a segment to which needed versions were moved. Gives what nothing needs any more.
    pub(super) fn moved(&mut self, segment: NewSegment) -> Result<Unneeded, HistoryError> {
        self.commit(Before::new(), Some(segment))
    }

    /// Makes changes durable, or undoes them. Gives what nothing needs any more.
    fn commit(&mut self, before: Before, segment: Option<NewSegment>) -> Result<Unneeded, HistoryError> {
        let row = segment.as_ref().map(|segment| (segment.number, segments::encode(&segment.versions)));
        if let Err(error) = self.store(before.keys(), row, &[]) {
            before.into_iter().for_each(|(path, row)| drop(self.set(&path, row)));
            return Err(self.file.error(error));
        }
        let unnamed = self.unnamed(before);
        if let Some(segment) = segment {
            let versions: Vec<Version> = segment.versions.iter().map(|(version, _)| *version).collect();
            self.segments.add(segment);
            // Something may have evicted a version while the segment was written.
            let unneeded = versions.iter().filter(|version| !self.names.contains_key(version));
            unneeded.for_each(|version| self.segments.drop_place(version));
        }
        let (placed, files) = unnamed.into_iter().partition(|version| self.segments.place(version).is_some());
        let (placed, files): (Vec<Version>, Vec<Version>) = (placed, files);
        placed.iter().for_each(|version| self.segments.drop_place(version));
        let segments = self.segments.remove_empty();
        // If this fails, the next start finds rows of segments without files, and drops them.
        if !segments.is_empty()
            && let Err(error) = self.store(std::iter::empty(), None, &segments)
        {
            let error = self.file.error(error);
            warn!(error = with_causes(&error), "the rows of segments that are not needed cannot be removed");
        }
        Ok(Unneeded { files, segments })
    }

    /// The versions that rows had before a change, and that nothing has any more.
    fn unnamed(&self, before: Before) -> Vec<Version> {
        let was = before.into_values().flatten().flat_map(|row| row.versions).map(|entry| entry.version);
        let unnamed: Vec<Version> = was.filter(|version| !self.names(version)).collect();
        let files = unnamed.iter().filter_map(|version| self.contents.get(version)).flat_map(|files| files.iter());
        let files: Vec<Version> = files.map(|(file, _)| *file).filter(|file| !self.names(file)).collect();
        let mut unnamed = [unnamed, files].concat();
        unnamed.sort_unstable();
        unnamed.dedup();
        unnamed
    }

    fn load(
        &mut self,
        segment_len: impl Fn(u64) -> Option<u64>,
        is_whole: impl Fn(&Version, u64) -> bool,
        contents_of: impl Fn(&Version) -> Option<Contents>,
    ) -> Result<(), redb::Error> {
        let mut lost = Vec::new();
        let segments = self.file.segments()?;
        for (number, row) in segments {
            match segments::decode(&row) {
                Some(versions)
                    if segment_len(number) == Some(versions.iter().map(|(_, len)| u64::from(*len)).sum()) =>
                {
                    self.segments.add(NewSegment { number, versions });
                }
                _ => lost.push(number),
            }
        }
        let is_whole = |version: &Version, len, segments: &SegmentIndex| match segments.place(version) {
            Some(place) => place.len == len,
            None => is_whole(version, len),
        };
        for (path, mut row) in self.file.rows()? {
            row.keep(|entry| is_whole(&entry.version, entry.len, &self.segments));
            if is_directory(&path) {
                // Files that a manifest before names need not be looked at again.
                let is_there = |(file, len): &(Version, u64)| {
                    self.names.contains_key(file) || is_whole(file, *len, &self.segments)
                };
                let read = row.versions.iter().filter_map(|entry| Some((entry.version, contents_of(&entry.version)?)));
                let whole: HashMap<_, _> = read.filter(|(_, files)| files.iter().all(is_there)).collect();
                row.keep(|entry| whole.contains_key(&entry.version));
                self.contents.extend(whole);
            }
            self.sequence = row.versions.iter().map(|entry| entry.sequence).max().unwrap_or(0).max(self.sequence);
            self.set(&path, Some(row));
        }
        let names = &self.names;
        self.segments.retain(|version| names.contains_key(version));
        lost.extend(self.segments.remove_empty());
        self.store(std::iter::empty(), None, &lost)
    }

    /// Writes the rows of paths, adds the row of a segment, and removes those of others, in one transaction.
    fn store<'a>(
        &mut self,
        paths: impl Iterator<Item = &'a String>,
        segment: Option<(u64, Vec<u8>)>,
        removed: &[u64],
    ) -> Result<(), redb::Error> {
        let rows = paths.map(|path| (path.as_str(), &self.rows[path]));
        self.file.write(rows, segment, removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::Fingerprint;

    const DAY: i64 = 86_400;
    const LIMITS: HistoryLimits = HistoryLimits { versions: 4, bytes: 1 << 20 };

    /// An index in a folder of its own.
    fn index() -> (tempfile::TempDir, Index) {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::open(folder.path(), |_| None, |_, _| true, |_| None).unwrap();
        (folder, index)
    }

    fn version(number: u64) -> Version {
        Version::of(&number.to_le_bytes())
    }

    fn publish(index: &mut Index, path: &str, number: u64, limits: HistoryLimits, now: i64) {
        let observation = Observation { fingerprint: Fingerprint::NONE, read: 0, settled: true, renumbered: false };
        let publication = Publication { path, version: version(number), len: 100, observation };
        index.publish(&[publication], None, limits, now).unwrap();
    }

    fn kept(index: &Index, path: &str) -> Vec<u64> {
        let versions = index.versions(path).into_iter();
        versions.map(|(kept, _)| (0..100).find(|number| version(*number) == kept).unwrap()).collect()
    }

    #[test]
    fn of_equals_the_oldest_goes() {
        let (_folder, mut index) = index();
        (0..8).for_each(|number| publish(&mut index, "a", number, LIMITS, DAY));
        assert_eq!(kept(&index, "a"), [7, 6, 5, 4], "all at one moment");
        (8..20).for_each(|number| publish(&mut index, "a", number, LIMITS, DAY * (number as i64 - 6)));
        assert_eq!(kept(&index, "a"), [19, 18, 17, 16], "one a day");
    }

    #[test]
    fn versions_of_a_moment_do_not_push_out_one_that_lived() {
        let (_folder, mut index) = index();
        publish(&mut index, "a", 0, LIMITS, DAY);
        publish(&mut index, "a", 1, LIMITS, 3 * DAY);
        // A file that was written slowly, and published eleven times meanwhile.
        (2..13).for_each(|number| publish(&mut index, "a", number, LIMITS, 4 * DAY + number as i64));
        assert_eq!(kept(&index, "a"), [12, 11, 1, 0]);
        // That version does not stay for ever: these were the head as long, and later.
        (13..30).for_each(|number| publish(&mut index, "a", number, LIMITS, (3 * number as i64 - 34) * DAY));
        assert_eq!(kept(&index, "a"), [29, 28, 27, 26]);
    }

    #[test]
    fn beyond_the_bytes_of_all_those_of_a_moment_go_first() {
        let (_folder, mut index) = index();
        let limits = HistoryLimits { versions: 100, bytes: 500 };
        publish(&mut index, "a", 0, limits, DAY);
        publish(&mut index, "a", 1, limits, 2 * DAY);
        (10..16).for_each(|number| publish(&mut index, "b", number, limits, 2 * DAY + 60 + number as i64));
        assert_eq!((kept(&index, "a"), kept(&index, "b")), (vec![1, 0], vec![15, 14, 13]));
    }

    #[test]
    fn a_clock_that_goes_back_harms_nothing() {
        let (_folder, mut index) = index();
        for (number, now) in [(0, i64::MAX), (1, 0), (2, i64::MIN), (3, DAY), (4, -DAY), (5, 0)] {
            publish(&mut index, "a", number, LIMITS, now);
        }
        assert_eq!(kept(&index, "a").len(), 4);
        assert_eq!(kept(&index, "a")[0], 5);
    }

    #[test]
    fn what_cannot_be_written_is_taken_back_and_works_later() {
        let (_folder, mut index) = index();
        publish(&mut index, "a", 0, LIMITS, DAY);
        // The state of the index after an error of the disk.
        let file = std::mem::replace(&mut index.file, IndexFile::failed("/nowhere/index.redb".into()));
        let observation = Observation { fingerprint: Fingerprint::NONE, read: 0, settled: true, renumbered: false };
        let publication = Publication { path: "a", version: version(1), len: 100, observation };
        assert!(index.publish(&[publication], None, LIMITS, DAY).is_err());
        assert_eq!(kept(&index, "a"), [0]);
        index.file = file;
        publish(&mut index, "a", 2, LIMITS, DAY);
        assert_eq!(kept(&index, "a"), [2, 0]);
    }
}
