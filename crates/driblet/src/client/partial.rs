//! The bytes of a delta that was cut off, kept beside the destination.
//!
//! One line of JSON says which delta they begin, then they follow. They are not trusted: whatever they turn out to be, the decoder verifies what they make.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use driblet_core::Version;
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
    pub(super) fn load(path: &Path, url: &Url, from: Option<Version>) -> io::Result<Option<Partial>> {
        let mut file = match OpenOptions::new().read(true).append(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let (mut reader, mut line, mut start) = (BufReader::new(&file), Vec::new(), Vec::new());
        reader.by_ref().take(MAX_LABEL).read_until(b'\n', &mut line)?;
        let label = serde_json::from_slice::<Label>(&line).ok();
        let Some(label) = label.filter(|label| label.url == url.as_str() && label.from == name(from)) else {
            return Ok(None);
        };
        reader.take(TARGET.end as u64).read_to_end(&mut start)?;
        let Some(target) = start.get(TARGET).and_then(|bytes| bytes.try_into().ok()) else { return Ok(None) };
        let len = file.metadata()?.len() - line.len() as u64;
        file.seek(SeekFrom::Start(line.len() as u64))?;
        let kept = Some((Version::from_bytes(target), len));
        Ok(Some(Partial { path: path.to_path_buf(), label, file: Some(file), kept, unread: len }))
    }

    pub(super) fn remove(path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
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

    /// Keeps the next bytes.
    pub(super) fn keep(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.label.etag.is_empty() {
            return Ok(());
        }
        if self.file.is_none() {
            let mut file = File::create(&self.path)?;
            serde_json::to_writer(&mut file, &self.label)?;
            file.write_all(b"\n")?;
            self.file = Some(file);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }

    /// The delta is complete, or wrong: its bytes are of no more use.
    pub(super) fn discard(self) -> io::Result<()> {
        Partial::remove(&self.path)
    }
}

fn name(from: Option<Version>) -> String {
    from.map_or_else(|| "none".to_owned(), |version| version.to_string())
}
