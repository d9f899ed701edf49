//! Keeps the bytes of an incomplete delta in a file beside the destination.
//!
//! The file begins with a line of JSON that names the delta; then the bytes follow. The bytes are not trusted: the
//! decoder verifies what it makes of them. Only the owner may read the file. If the file cannot be written, the next
//! pull transfers the bytes again.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use driblet_core::Version;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use url::Url;

/// The place of the target's version in a delta: after the magic byte and the flags.
const TARGET: std::ops::Range<usize> = 2..34;
/// The longest name of a destination that becomes part of the file's name. A longer name is replaced by its hash, so
/// that the file's name fits the limit of the file system.
const MAX_NAME: usize = 100;
/// The longest first line.
const MAX_LABEL: u64 = 64 << 10;

/// The first bytes of a delta, and their file.
pub(super) struct Partial {
    path: PathBuf,
    label: Label,
    file: Option<File>,
    /// The version that the delta makes, and the number of kept bytes.
    kept: Option<(Version, u64)>,
    unread: u64,
}

#[derive(Serialize, Deserialize)]
struct Label {
    url: String,
    from: String,
    etag: String,
}

impl Partial {
    /// Begins with a new delta. A delta without an ETag cannot be continued, so nothing is kept of it.
    pub(super) fn begin(path: PathBuf, url: &Url, from: Option<Version>, etag: Option<&str>) -> Partial {
        let label = Label { url: url.to_string(), from: name(from), etag: etag.unwrap_or_default().to_owned() };
        Partial { path, label, file: None, kept: None, unread: 0 }
    }

    /// Opens the file of an earlier pull, if its delta is of this asset and from this version.
    pub(super) fn load(path: &Path, url: &Url, from: Option<Version>) -> Option<Partial> {
        let mut file = open(path).ok()?;
        let (mut reader, mut line, mut start) = (BufReader::new(&file), Vec::new(), Vec::new());
        reader.by_ref().take(MAX_LABEL).read_until(b'\n', &mut line).ok()?;
        let label = serde_json::from_slice::<Label>(&line).ok()?;
        if label.url != url.as_str() || label.from != name(from) {
            return None;
        }
        reader.take(TARGET.end as u64).read_to_end(&mut start).ok()?;
        let target = start.get(TARGET).and_then(|bytes| bytes.try_into().ok())?;
        let len = file.metadata().ok()?.len() - line.len() as u64;
        file.seek(SeekFrom::Start(line.len() as u64)).ok()?;
        let kept = Some((Version::from_bytes(target), len));
        Some(Partial { path: path.to_path_buf(), label, file: Some(file), kept, unread: len })
    }

    pub(super) fn remove(path: &Path) {
        let _ = fs::remove_file(path);
    }

    /// The number of bytes from an earlier pull.
    pub(super) fn len(&self) -> u64 {
        self.kept.map_or(0, |(_, len)| len)
    }

    /// The next of those bytes, at most `most`; none after all were read.
    pub(super) fn read(&mut self, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.unread.min(most as u64) as usize];
        if let Some(file) = self.file.as_mut().filter(|_| !bytes.is_empty()) {
            file.read_exact(&mut bytes)?;
        }
        self.unread -= bytes.len() as u64;
        Ok(bytes)
    }

    pub(super) fn etag(&self) -> &str {
        &self.label.etag
    }

    /// The pair of versions in a URL: `from-to`.
    pub(super) fn pair(&self) -> String {
        let target = self.kept.map_or(Version::EMPTY, |(target, _)| target);
        format!("{}-{target}", self.label.from)
    }

    /// Forgets the bytes, since the server starts again.
    pub(super) fn restart(&mut self, etag: Option<&str>) {
        (self.file, self.kept, self.unread) = (None, None, 0);
        self.label.etag = etag.unwrap_or_default().to_owned();
    }

    /// Keeps the next bytes, if that is possible.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        if self.label.etag.is_empty() {
            return;
        }
        if self.append(bytes).is_err() {
            // An incomplete file is of no use, and the disk may be full.
            self.restart(None);
            Partial::remove(&self.path);
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut file = create(&self.path)?;
                serde_json::to_writer(&mut file, &self.label)?;
                file.write_all(b"\n")?;
                self.file.insert(file)
            }
        };
        file.write_all(bytes)
    }

    /// Removes the file: the delta is complete, or wrong.
    pub(super) fn discard(self) {
        Partial::remove(&self.path);
    }
}

/// The path of the partial file for a destination.
pub(super) fn path_beside(file: &Path) -> Option<PathBuf> {
    let name = file.file_name()?;
    let mut partial = OsString::from(".");
    match name.len() <= MAX_NAME {
        true => partial.push(name),
        false => partial.push(&Version::of(name.as_encoded_bytes()).to_string()[..32]),
    }
    partial.push(".driblet-partial");
    Some(file.with_file_name(partial))
}

/// Opens the file only if it is a regular file of this user. In a folder such as /tmp another user could have made it.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).append(true).custom_flags(flags.bits() as i32).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() || found.nlink() != 1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // Earlier versions of driblet let others read it.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Makes a new file. An existing one is removed, not written into.
fn create(path: &Path) -> io::Result<File> {
    Partial::remove(path);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn name(from: Option<Version>) -> String {
    from.map_or_else(|| "none".to_owned(), |version| version.to_string())
}
