//! The bytes of a response that was cut off. The next pull continues it.
//!
//! The file begins with a line of JSON that names the resource; then the bytes follow. They are not trusted: the
//! receiver verifies what it makes of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// The longest first line.
const MAX_LABEL: u64 = 64 << 10;

/// Which response the bytes are of.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub(super) struct Label {
    pub(super) resource: String,
    /// Empty if the response cannot be continued.
    pub(super) etag: String,
}

/// The bytes of a response, in a file to which they are appended.
#[derive(Debug)]
pub(super) struct PartFile {
    path: PathBuf,
    pub(super) label: Label,
    file: Option<File>,
    /// Where the bytes begin.
    start: u64,
    /// How many bytes there are.
    len: u64,
    /// Whether these are all bytes of the response.
    pub(super) is_whole: bool,
}

impl PartFile {
    /// Opens the file of an earlier pull, if it is of this resource and can be continued. Otherwise the file is empty.
    pub(super) fn open(path: &Path, resource: &str) -> PartFile {
        let whole = whole(path);
        let found = load(&whole, true).or_else(|| load(path, false));
        if let Some(mut file) = found.filter(|file| file.label.resource == resource) {
            file.path = path.to_path_buf();
            if file.is_whole || !file.label.etag.is_empty() {
                return file;
            }
        }
        let label = Label { resource: resource.to_owned(), etag: String::new() };
        PartFile { path: path.to_path_buf(), label, file: None, start: 0, len: 0, is_whole: false }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Begins with another response.
    pub(super) fn restart(&mut self, etag: Option<&str>) -> io::Result<()> {
        self.discard();
        self.label.etag = etag.unwrap_or_default().to_owned();
        let mut line = serde_json::to_vec(&self.label)?;
        line.push(b'\n');
        let mut file = OpenOptions::new().read(true).append(true).create_new(true).mode(0o600).open(&self.path)?;
        file.write_all(&line)?;
        (self.file, self.start, self.len) = (Some(file), line.len() as u64, 0);
        Ok(())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
            self.len += bytes.len() as u64;
        }
        Ok(())
    }

    /// Drops the bytes from `len` on.
    pub(super) fn truncate(&mut self, len: u64) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.set_len(self.start + len)?;
            self.len = len;
        }
        Ok(())
    }

    /// Notes that the response is complete.
    pub(super) fn complete(&mut self) -> io::Result<()> {
        if !self.is_whole && self.file.is_some() {
            fs::rename(&self.path, whole(&self.path))?;
        }
        self.is_whole = true;
        Ok(())
    }

    /// A second handle to the bytes.
    pub(super) fn reader(&self) -> io::Result<PartReader> {
        let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok(PartReader { file: file.try_clone()?, start: self.start })
    }

    /// All bytes.
    pub(super) fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len as usize];
        if let Some(file) = &self.file {
            file.read_exact_at(&mut bytes, self.start)?;
        }
        Ok(bytes)
    }

    /// Removes the file.
    pub(super) fn discard(&mut self) {
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(whole(&self.path));
        (self.file, self.len, self.is_whole) = (None, 0, false);
    }
}

/// Reads the bytes while they are appended.
pub(super) struct PartReader {
    file: File,
    start: u64,
}

impl PartReader {
    pub(super) fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(bytes, self.start + at)
    }
}

/// How many bytes of a response are in the file already, for the thread that decodes them.
#[derive(Default)]
pub(super) struct Arrival {
    arrived: Mutex<Arrived>,
    changed: Condvar,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Arrived {
    pub(super) len: u64,
    /// Whether the response is complete.
    pub(super) is_whole: bool,
    /// Whether no more bytes will come.
    has_ended: bool,
    /// Whether the decoder takes no more.
    is_refused: bool,
}

impl Arrival {
    /// Notes more bytes. Gives whether the decoder still takes them.
    pub(super) fn add(&self, len: u64) -> bool {
        let mut arrived = self.lock();
        arrived.len = len;
        self.changed.notify_all();
        !arrived.is_refused
    }

    /// Notes that no more bytes will come.
    pub(super) fn end(&self, is_whole: bool) {
        let mut arrived = self.lock();
        arrived.has_ended = true;
        arrived.is_whole = is_whole;
        self.changed.notify_all();
    }

    /// Notes that the decoder takes no more.
    pub(super) fn refuse(&self) {
        self.lock().is_refused = true;
    }

    /// Waits until there are more than `len` bytes, or no more will come.
    pub(super) fn beyond(&self, len: u64) -> Arrived {
        let waiting = |arrived: &mut Arrived| arrived.len <= len && !arrived.has_ended;
        *self.changed.wait_while(self.lock(), waiting).unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(path: &Path, is_whole: bool) -> Option<PartFile> {
    let file = OpenOptions::new().read(true).append(true).open(path).ok()?;
    let mut line = Vec::new();
    BufReader::new(&file).take(MAX_LABEL).read_until(b'\n', &mut line).ok()?;
    let label = serde_json::from_slice(&line).ok()?;
    let (start, len) = (line.len() as u64, file.metadata().ok()?.len());
    Some(PartFile { path: path.to_path_buf(), label, file: Some(file), start, len: len.checked_sub(start)?, is_whole })
}

/// The name of a file whose response is complete.
fn whole(path: &Path) -> PathBuf {
    path.with_extension("whole")
}
