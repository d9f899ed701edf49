//! Which versions each path has, in a file that survives being killed.
//!
//! redb keeps it: a transaction is durable when it is committed, and an interrupted one never was.

use std::collections::{HashMap, HashSet};
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

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    version: String,
    len: u64,
    sequence: u64,
}

impl Index {
    /// Opens the index and drops what `is_whole` says is no longer there.
    pub(super) fn open(folder: &Path, is_whole: impl Fn(&Version, u64) -> bool) -> Result<Index, HistoryError> {
        let path = folder.join("index.redb");
        let database = Database::create(&path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => HistoryError::InUse { path: folder.to_path_buf() },
            error => HistoryError::Index { path: path.clone(), source: Box::new(error.into()) },
        })?;
        let mut index = Index { path, database, rows: HashMap::new(), sequence: 0 };
        index.load(is_whole).map_err(|error| index.error(error))?;
        Ok(index)
    }

    pub(super) fn head(&self, path: &str) -> Option<Head> {
        let row = self.rows.get(path)?;
        let newest = row.versions.first()?;
        let seen = Seen { fingerprint: row.fingerprint, read: row.read };
        Some(Head { version: newest.version()?, len: newest.len, counter: row.counter, seen })
    }

    /// Whether a version is one of this path's.
    pub(super) fn has(&self, path: &str, version: &Version) -> bool {
        let name = version.to_string();
        self.rows.get(path).is_some_and(|row| row.versions.iter().any(|entry| entry.version == name))
    }

    /// Every version that a path names.
    pub(super) fn named(&self) -> HashSet<Version> {
        self.rows.values().flat_map(|row| &row.versions).filter_map(Entry::version).collect()
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
        let before = self.named();
        let mut changed = HashMap::new();
        let mut row = self.rows.get(path).cloned().unwrap_or(Row {
            counter: 0,
            fingerprint: seen.fingerprint,
            read: seen.read,
            gone: false,
            versions: Vec::new(),
        });
        (row.fingerprint, row.read, row.gone) = (seen.fingerprint, seen.read, false);
        let name = version.to_string();
        if row.versions.first().is_none_or(|head| head.version != name) {
            self.sequence += 1;
            row.counter += 1;
            row.versions.retain(|entry| entry.version != name);
            row.versions.insert(0, Entry { version: name, len, sequence: self.sequence });
            row.versions.truncate(limits.versions.max(1));
        }
        changed.insert(path.to_owned(), row);
        self.evict(limits.bytes, &mut changed);
        self.store(&changed).map_err(|error| self.error(error))?;
        self.rows.extend(changed);
        let after = self.named();
        Ok(before.into_iter().filter(|version| !after.contains(version)).collect())
    }

    /// Every path that has versions.
    pub(super) fn paths(&self) -> Vec<String> {
        self.rows.iter().filter(|(_, row)| !row.versions.is_empty()).map(|(path, _)| path.clone()).collect()
    }

    /// Lets the head of a path go like any old version. Written down with the next publication: forgotten, it is noticed again.
    pub(super) fn gone(&mut self, path: &str) {
        if let Some(row) = self.rows.get_mut(path) {
            row.gone = true;
        }
    }

    /// Takes a version that is not whole from every path; says whether any had it.
    pub(super) fn forget(&mut self, version: &Version) -> Result<bool, HistoryError> {
        let name = version.to_string();
        let mut changed: HashMap<String, Row> = HashMap::new();
        for (path, row) in &self.rows {
            if row.versions.iter().any(|entry| entry.version == name) {
                let mut row = row.clone();
                row.keep(|entry| entry.version != name);
                changed.insert(path.clone(), row);
            }
        }
        let had = !changed.is_empty();
        self.store(&changed).map_err(|error| self.error(error))?;
        self.rows.extend(changed);
        Ok(had)
    }

    /// Drops the oldest versions that are no head until the rest fits; a version that several paths share counts once.
    fn evict(&self, limit: u64, changed: &mut HashMap<String, Row>) {
        let rows = || self.rows.iter().filter(|(path, _)| !changed.contains_key(*path)).chain(&*changed);
        let mut uses: HashMap<&str, (usize, u64)> = HashMap::new();
        for entry in rows().flat_map(|(_, row)| &row.versions) {
            uses.entry(&entry.version).or_insert((0, entry.len)).0 += 1;
        }
        let mut total: u64 = uses.values().map(|(_, len)| len).sum();
        if total <= limit {
            return;
        }
        let mut old: Vec<(String, Entry)> =
            rows().flat_map(|(path, row)| row.old().iter().map(|entry| (path.clone(), entry.clone()))).collect();
        old.sort_by_key(|(_, entry)| entry.sequence);
        let mut uses: HashMap<String, usize> =
            uses.into_iter().map(|(name, (count, _))| (name.to_owned(), count)).collect();
        for (path, entry) in old {
            if total <= limit {
                break;
            }
            let row = changed.entry(path.clone()).or_insert_with(|| self.rows[&path].clone());
            row.versions.retain(|kept| kept.version != entry.version);
            if let Some(count) = uses.get_mut(&entry.version) {
                *count -= 1;
                total -= if *count == 0 { entry.len } else { 0 };
            }
        }
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
            row.keep(|entry| entry.version().is_some_and(|version| is_whole(&version, entry.len)));
            self.sequence = row.versions.iter().map(|entry| entry.sequence).max().unwrap_or(0).max(self.sequence);
            self.rows.insert(path.value().to_owned(), row);
        }
        Ok(())
    }

    fn store(&self, rows: &HashMap<String, Row>) -> Result<(), redb::Error> {
        let write = self.database.begin_write()?;
        {
            let mut table = write.open_table(PATHS)?;
            for (path, row) in rows {
                let bytes = serde_json::to_vec(row).map_err(|error| redb::Error::Io(error.into()))?;
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

impl Entry {
    fn version(&self) -> Option<Version> {
        self.version.parse().ok()
    }
}
