//! Which versions each path has, in a file that survives being killed.
//!
//! redb keeps it: a transaction is durable when it is committed, and an interrupted one never was.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use driblet_core::Version;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};

use super::{HistoryError, Limits, Seen};
use crate::fingerprint::Fingerprint;

const PATHS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("paths");

/// The newest version of a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) version: Version,
    pub(crate) len: u64,
    /// Grows by one at every change.
    pub(crate) counter: u64,
    pub(crate) seen: Seen,
}

pub(super) struct Index {
    path: PathBuf,
    database: Database,
    rows: HashMap<String, Row>,
    /// How many paths name each version.
    names: HashMap<Version, usize>,
    /// Bytes of all versions; one that several paths share counts once.
    total: u64,
    /// Orders publications over all paths.
    sequence: u64,
}

/// One path's versions, newest first.
#[derive(Clone, Serialize, Deserialize)]
struct Row {
    counter: u64,
    fingerprint: Fingerprint,
    read: i64,
    /// The file is not there any more.
    #[serde(default)]
    gone: bool,
    versions: Vec<Entry>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Entry {
    #[serde(with = "hex")]
    version: Version,
    len: u64,
    sequence: u64,
}

/// Rows as they were before a change.
type Before = HashMap<String, Option<Row>>;

impl Index {
    /// Opens the index and drops what `is_whole` says is no longer there.
    pub(super) fn open(folder: &Path, is_whole: impl Fn(&Version, u64) -> bool) -> Result<Index, HistoryError> {
        let path = folder.join("index.redb");
        // redb panics at a page of no kind that it knows.
        let opened = catch_unwind(AssertUnwindSafe(|| Index::read(folder, path.clone(), is_whole)));
        opened.unwrap_or_else(|_| {
            let source = redb::Error::Corrupted("a page of it makes no sense".into());
            Err(HistoryError::Index { path, source: Box::new(source) })
        })
    }

    fn read(folder: &Path, path: PathBuf, is_whole: impl Fn(&Version, u64) -> bool) -> Result<Index, HistoryError> {
        let database = Database::create(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => HistoryError::InUse { path: folder.to_path_buf() },
            error => HistoryError::Index { path: path.clone(), source: Box::new(error.into()) },
        })?;
        let (rows, names) = (HashMap::new(), HashMap::new());
        let mut index = Index { path, database, rows, names, total: 0, sequence: 0 };
        index.load(is_whole).map_err(|error| index.error(error))?;
        Ok(index)
    }

    pub(super) fn head(&self, path: &str) -> Option<Head> {
        let row = self.rows.get(path)?;
        let newest = row.versions.first()?;
        let seen = Seen { fingerprint: row.fingerprint, read: row.read };
        Some(Head { version: newest.version, len: newest.len, counter: row.counter, seen })
    }

    /// The versions of a path and their lengths, newest first.
    pub(super) fn versions(&self, path: &str) -> Vec<(Version, u64)> {
        self.rows.get(path).into_iter().flat_map(|row| &row.versions).map(|entry| (entry.version, entry.len)).collect()
    }

    /// Whether a version is one of this path's.
    pub(super) fn has(&self, path: &str, version: &Version) -> bool {
        self.rows.get(path).is_some_and(|row| row.versions.iter().any(|entry| entry.version == *version))
    }

    /// Whether any path names a version.
    pub(super) fn names(&self, version: &Version) -> bool {
        self.names.contains_key(version)
    }

    /// Every path that has versions.
    pub(super) fn paths(&self) -> Vec<String> {
        self.rows.iter().filter(|(_, row)| !row.versions.is_empty()).map(|(path, _)| path.clone()).collect()
    }

    /// Puts a version at the head of a path, durably, and gives the versions that no path names any more.
    pub(super) fn publish(
        &mut self,
        path: &str,
        version: Version,
        len: u64,
        seen: Seen,
        limits: Limits,
    ) -> Result<Vec<Version>, HistoryError> {
        let (counter, versions) =
            self.rows.get(path).map_or((0, Vec::new()), |row| (row.counter, row.versions.clone()));
        let mut row = Row { counter, fingerprint: seen.fingerprint, read: seen.read, gone: false, versions };
        if row.versions.first().is_none_or(|head| head.version != version) {
            self.sequence += 1;
            row.counter += 1;
            row.versions.retain(|entry| entry.version != version);
            row.versions.insert(0, Entry { version, len, sequence: self.sequence });
            row.versions.truncate(limits.versions.max(1));
        }
        let mut before = Before::new();
        self.change(path, row, &mut before);
        self.evict(limits.bytes, &mut before);
        self.commit(before)
    }

    /// Lets the head of a path go like any old version. Written down with the next publication: forgotten, it is noticed again.
    pub(super) fn gone(&mut self, path: &str) {
        if let Some(row) = self.rows.get_mut(path) {
            row.gone = true;
        }
    }

    /// Takes a version that is not whole from every path; says whether any had it.
    pub(super) fn forget(&mut self, version: &Version) -> Result<bool, HistoryError> {
        let mut before = Before::new();
        let paths: Vec<String> = self.rows.keys().filter(|path| self.has(path, version)).cloned().collect();
        for path in &paths {
            let mut row = self.rows[path].clone();
            row.keep(|entry| entry.version != *version);
            self.change(path, row, &mut before);
        }
        self.commit(before).map(|_| !paths.is_empty())
    }

    /// Drops the oldest versions that may go until the rest fits.
    fn evict(&mut self, limit: u64, before: &mut Before) {
        if self.total <= limit {
            return;
        }
        let old = |(path, row): (&String, &Row)| {
            let path = path.clone();
            row.old().to_vec().into_iter().map(move |entry| (entry.sequence, path.clone(), entry.version))
        };
        let mut old: Vec<(u64, String, Version)> = self.rows.iter().flat_map(old).collect();
        old.sort_unstable();
        for (_, path, version) in old {
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

    /// Sets a row and counts who names what; gives the row that was there.
    fn set(&mut self, path: &str, row: Option<Row>) -> Option<Row> {
        for entry in row.iter().flat_map(|row| &row.versions) {
            let names = self.names.entry(entry.version).or_insert(0);
            self.total += if *names == 0 { entry.len } else { 0 };
            *names += 1;
        }
        let was = match row {
            Some(row) => self.rows.insert(path.to_owned(), row),
            None => self.rows.remove(path),
        };
        for entry in was.iter().flat_map(|row| &row.versions) {
            if let Some(names) = self.names.get_mut(&entry.version) {
                *names -= 1;
                if *names == 0 {
                    self.names.remove(&entry.version);
                    self.total -= entry.len;
                }
            }
        }
        was
    }

    /// Makes changes durable, or takes them back; gives the versions that no path names any more.
    fn commit(&mut self, before: Before) -> Result<Vec<Version>, HistoryError> {
        if let Err(error) = self.store(before.keys()) {
            before.into_iter().for_each(|(path, row)| drop(self.set(&path, row)));
            return Err(self.error(error));
        }
        let was = before.into_values().flatten().flat_map(|row| row.versions).map(|entry| entry.version);
        let mut unnamed: Vec<Version> = was.filter(|version| !self.names(version)).collect();
        unnamed.sort_unstable();
        unnamed.dedup();
        Ok(unnamed)
    }

    fn load(&mut self, is_whole: impl Fn(&Version, u64) -> bool) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        write.open_table(PATHS)?;
        write.commit()?;
        let read = self.database.begin_read()?;
        for item in read.open_table(PATHS)?.iter()? {
            let (path, bytes) = item?;
            // A row that cannot be read is as good as none: the path is published anew.
            let Ok(mut row) = serde_json::from_slice::<Row>(bytes.value()) else { continue };
            row.keep(|entry| is_whole(&entry.version, entry.len));
            self.sequence = row.versions.iter().map(|entry| entry.sequence).max().unwrap_or(0).max(self.sequence);
            self.set(path.value(), Some(row));
        }
        Ok(())
    }

    fn store<'a>(&self, paths: impl Iterator<Item = &'a String>) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        {
            let mut table = write.open_table(PATHS)?;
            for path in paths {
                let bytes = serde_json::to_vec(&self.rows[path]).map_err(|error| redb::Error::Io(error.into()))?;
                table.insert(path.as_str(), bytes.as_slice())?;
            }
        }
        write.commit()?;
        Ok(())
    }

    fn error(&self, error: redb::Error) -> HistoryError {
        HistoryError::Index { path: self.path.clone(), source: Box::new(error) }
    }
}

impl Row {
    /// The versions that may go.
    fn old(&self) -> &[Entry] {
        if self.gone { &self.versions } else { self.versions.get(1..).unwrap_or_default() }
    }

    /// Drops versions that are not there any more. Where the head is one of them, the file counts as never read.
    fn keep(&mut self, is_there: impl Fn(&Entry) -> bool) {
        if !self.versions.first().is_some_and(&is_there) {
            self.read = 0;
        }
        self.versions.retain(is_there);
    }
}

/// Versions as text.
mod hex {
    use driblet_core::Version;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(version: &Version, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(version)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Version, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}
