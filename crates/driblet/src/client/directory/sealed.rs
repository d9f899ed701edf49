//! Files that are whole or not there: a line of JSON, bytes, and a hash of both.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use driblet_core::{Version, VersionHasher};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Bytes of the hash at the end.
const HASH: usize = 32;

/// Writes a file durably, and replaces an older one in one step.
pub(super) fn write(path: &Path, header: &impl Serialize, pieces: &[&[u8]]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    let mut hasher = VersionHasher::new();
    let mut line = serde_json::to_vec(header)?;
    line.push(b'\n');
    for piece in [&[&line[..]], pieces].concat() {
        hasher.update(piece);
        file.write_all(piece)?;
    }
    file.write_all(hasher.finalize().as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder(path)
}

/// Reads a file; `None` if there is none, or if it is damaged.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<(T, Vec<u8>)>> {
    let mut bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let Some(end) = bytes.len().checked_sub(HASH) else { return Ok(None) };
    if Version::of(&bytes[..end]).as_bytes() != &bytes[end..] {
        return Ok(None);
    }
    bytes.truncate(end);
    let Some(line) = bytes.iter().position(|byte| *byte == b'\n') else { return Ok(None) };
    let Ok(header) = serde_json::from_slice(&bytes[..line]) else { return Ok(None) };
    bytes.drain(..=line);
    Ok(Some((header, bytes)))
}

/// Removes a file durably.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| sync_folder(path)),
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
