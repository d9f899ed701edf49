//! The index on the disk: a redb database. A committed transaction is durable, and an interrupted one has no effect.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::epoch::Epoch;
use super::error::{HistoryError, IndexError};
use super::row::Row;

/// The versions of each segment, by its number.
const SEGMENTS: TableDefinition<'static, u64, &[u8]> = TableDefinition::new("segments");
/// What each path has, as JSON.
const PATHS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("paths");
/// The epoch, under its name.
const META: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("meta");
const EPOCH: &str = "epoch";

/// The name of the file in the history's folder.
pub(super) const NAME: &str = "index.redb";

/// Bytes of the database that stay in memory. Its rows are read once, so these can be few.
const CACHED_PAGES: usize = 8 << 20;
/// How many bytes say that a file is a redb database. They are the first, and are written last when one is made.
const MAGIC: usize = 9;

pub(super) struct IndexFile {
    path: PathBuf,
    /// `None` after a failed write: redb must be opened again then.
    database: Option<Database>,
}

impl IndexFile {
    /// Opens the index of a history's folder, or makes it.
    pub(super) fn open(folder: &Path) -> Result<IndexFile, HistoryError> {
        let path = folder.join(NAME);
        let in_use = || HistoryError::InUse { path: folder.to_path_buf() };
        let opened = match open_database(&path) {
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(in_use()),
            Err(_) if was_begun(&path) => {
                empty(&path).map_err(|_| in_use())?;
                open_database(&path)
            }
            opened => opened,
        };
        let database = opened.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => in_use(),
            error => HistoryError::Index { path: path.clone(), source: IndexError::new(error.into()) },
        })?;
        let mut file = IndexFile { path, database: Some(database) };
        // Makes the tables of a new index.
        file.write(std::iter::empty(), None, &[]).map_err(|error| file.error(error))?;
        Ok(file)
    }

    /// The epoch of the history, made if it is new.
    pub(super) fn epoch(&mut self) -> Result<Epoch, redb::Error> {
        let write = self.opened()?.begin_write()?;
        let known = {
            let mut meta = write.open_table(META)?;
            let known = meta.get(EPOCH)?.and_then(|bytes| bytes.value().try_into().ok());
            match known {
                Some(bytes) => bytes,
                None => {
                    let mut bytes = [0; 8];
                    getrandom::fill(&mut bytes).map_err(|error| redb::Error::Io(io::Error::other(error)))?;
                    meta.insert(EPOCH, &bytes[..])?;
                    bytes
                }
            }
        };
        write.commit()?;
        Ok(Epoch::new(known))
    }

    /// Every segment's number and row.
    pub(super) fn segments(&mut self) -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
        let read = self.opened()?.begin_read()?;
        let mut segments = Vec::new();
        for item in read.open_table(SEGMENTS)?.iter()? {
            let (number, row) = item?;
            segments.push((number.value(), row.value().to_vec()));
        }
        Ok(segments)
    }

    /// Every path and what it has. A row that cannot be read is skipped: its path is published again.
    pub(super) fn rows(&mut self) -> Result<Vec<(String, Row)>, redb::Error> {
        let read = self.opened()?.begin_read()?;
        let mut rows = Vec::new();
        for item in read.open_table(PATHS)?.iter()? {
            let (path, bytes) = item?;
            rows.extend(serde_json::from_slice(bytes.value()).ok().map(|row| (path.value().to_owned(), row)));
        }
        Ok(rows)
    }

    /// Writes the rows of paths, adds the row of a segment, and removes those of others, in one transaction.
    pub(super) fn write<'a>(
        &mut self,
        rows: impl Iterator<Item = (&'a str, &'a Row)>,
        segment: Option<(u64, Vec<u8>)>,
        removed: &[u64],
    ) -> Result<(), redb::Error> {
        // It is put back once the transaction is committed.
        let database = self.take()?;
        let write = database.begin_write()?;
        {
            let mut table = write.open_table(PATHS)?;
            for (path, row) in rows {
                let bytes = serde_json::to_vec(row).map_err(|error| redb::Error::Io(error.into()))?;
                table.insert(path, bytes.as_slice())?;
            }
            let mut table = write.open_table(SEGMENTS)?;
            if let Some((number, row)) = segment {
                table.insert(number, row.as_slice())?;
            }
            for number in removed {
                table.remove(number)?;
            }
        }
        write.commit()?;
        self.database = Some(database);
        Ok(())
    }

    pub(super) fn error(&self, error: redb::Error) -> HistoryError {
        HistoryError::Index { path: self.path.clone(), source: IndexError::new(error) }
    }

    fn opened(&mut self) -> Result<&mut Database, redb::Error> {
        let database = self.take()?;
        Ok(self.database.insert(database))
    }

    fn take(&mut self) -> Result<Database, redb::Error> {
        match self.database.take() {
            Some(database) => Ok(database),
            None => Ok(open_database(&self.path)?),
        }
    }

    /// An index file in the state after an error of the disk.
    #[cfg(test)]
    pub(super) fn failed(path: PathBuf) -> IndexFile {
        IndexFile { path, database: None }
    }
}

fn open_database(path: &Path) -> Result<Database, DatabaseError> {
    Database::builder().set_cache_size(CACHED_PAGES).create(path)
}

/// Whether a process was killed while it made this database: bytes are there, but not those that are written last.
fn was_begun(path: &Path) -> bool {
    let mut start = [1; MAGIC];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == [0; MAGIC]
}

/// Makes a database empty that was only begun. redb takes the same lock, so no other process is making it now.
fn empty(path: &Path) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    file.try_lock()?;
    if was_begun(path) { file.set_len(0) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The error of an attempt to open.
    fn error(folder: &Path) -> HistoryError {
        IndexFile::open(folder).err().expect("an error")
    }

    #[test]
    fn one_that_was_only_begun_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        for len in [0, MAGIC as u64, 1 << 20] {
            let file = File::create(folder.path().join(NAME)).unwrap();
            file.set_len(len).unwrap();
            let epoch = IndexFile::open(folder.path()).unwrap().epoch().unwrap();
            assert_eq!(IndexFile::open(folder.path()).unwrap().epoch().unwrap(), epoch, "{len} bytes");
        }
    }

    #[test]
    fn one_that_another_process_begins_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join(NAME)).unwrap();
        file.set_len(1 << 20).unwrap();
        file.lock().unwrap();
        assert!(matches!(error(folder.path()), HistoryError::InUse { .. }));
        assert_eq!(file.metadata().unwrap().len(), 1 << 20);
    }

    #[test]
    fn what_is_no_index_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [&b"short"[..], b"a file of somebody else"] {
            fs::write(folder.path().join(NAME), bytes).unwrap();
            assert!(matches!(error(folder.path()), HistoryError::Index { .. }));
            assert_eq!(fs::read(folder.path().join(NAME)).unwrap(), bytes);
        }
    }
}
