//! The bytes of a delta that was cut off, kept beside the destination.
//!
//! One line of JSON says which delta they begin, then they follow. They are not trusted: whatever they turn out to be, the decoder verifies what they make.
//! Only their owner may read them. A place where they cannot be kept costs the next pull their bytes again, and this one nothing.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use driblet_core::Version;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use url::Url;

/// Where the target's version stands in a delta: after the magic and the flags.
const TARGET: std::ops::Range<usize> = 2..34;
/// A first line longer than this is not ours.
const MAX_LABEL: u64 = 64 << 10;

/// A delta's first bytes, in the file that they are kept in.
pub(super) struct Partial {
    path: PathBuf,
    label: Label,
    file: Option<File>,
    /// What the bytes kept begin: the version they make, and how many they are.
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
    /// A delta that has just been begun; without an ETag it cannot be continued, and nothing is kept.
    pub(super) fn begin(path: PathBuf, url: &Url, from: Option<Version>, etag: Option<&str>) -> Partial {
        let label = Label { url: url.to_string(), from: name(from), etag: etag.unwrap_or_default().to_owned() };
        Partial { path, label, file: None, kept: None, unread: 0 }
    }

    /// What an earlier pull left, if it is of this asset and from what is held now.
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

    /// How many bytes are kept from an earlier pull.
    pub(super) fn len(&self) -> u64 {
        self.kept.map_or(0, |(_, len)| len)
    }

    /// The next of those bytes, at most `most`; none when all have been read.
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

    /// The exact pair that the bytes begin: `from-to`, as it stands in a URL.
    pub(super) fn pair(&self) -> String {
        let target = self.kept.map_or(Version::EMPTY, |(target, _)| target);
        format!("{}-{target}", self.label.from)
    }

    /// Forgets the bytes: the server starts over.
    pub(super) fn restart(&mut self, etag: Option<&str>) {
        (self.file, self.kept, self.unread) = (None, None, 0);
        self.label.etag = etag.unwrap_or_default().to_owned();
    }

    /// Keeps the next bytes, if they can be kept at all.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        if self.label.etag.is_empty() {
            return;
        }
        if self.append(bytes).is_err() {
            // Half of them are of no use, and a full disk has better uses for the room.
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

    /// The delta is complete, or wrong: its bytes are of no more use.
    pub(super) fn discard(self) {
        Partial::remove(&self.path);
    }
}

/// An own regular file: in a folder such as /tmp the name may be anybody's, and anything.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).append(true).custom_flags(flags.bits() as i32).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != rustix::process::geteuid().as_raw() || found.nlink() != 1 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // Earlier versions let others read it.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// A new file; what has the name is not written into.
fn create(path: &Path) -> io::Result<File> {
    Partial::remove(path);
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

fn name(from: Option<Version>) -> String {
    from.map_or_else(|| "none".to_owned(), |version| version.to_string())
}
