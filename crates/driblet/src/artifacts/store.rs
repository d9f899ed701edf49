//! Artifacts that outlive the server, in a folder of the history: each file's delta from nothing and its encodings.
//!
//! ```text
//! artifacts/<version>.<form>.<hash>   the bytes of one form; <hash> is their BLAKE3
//! artifacts/.tmp…                     a file that is being written; removed at the start, as are all other names
//! ```
//! Order of writing: bytes into `.tmp…`, flush, rename. A file is hashed before its first use; if the hash is not the
//! one in its name, the file is removed.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use driblet_core::{Codec, Version};
use tracing::warn;

use super::coding::{Coding, Effort};
use super::key::Key;
use super::spool::{Artifact, Content};
use crate::fingerprint::Fingerprint;
use crate::history::History;

/// Bytes that one call reads or writes.
const PIECE: usize = 128 << 10;
/// The least that a file counts for, so that the budget bounds the number of files too.
const LEAST: u64 = 4 << 10;

/// A folder of artifacts, under a budget of bytes.
pub(super) struct ArtifactStore {
    folder: Option<PathBuf>,
    budget: u64,
    state: Mutex<StoreState>,
}

#[derive(Default)]
struct StoreState {
    entries: HashMap<Key, StoreEntry>,
    bytes: u64,
}

struct StoreEntry {
    /// A path in the source that has the version.
    asset: Arc<str>,
    hash: String,
    len: u64,
    used: SystemTime,
}

impl ArtifactStore {
    /// Finds the files of versions that the history still has, and removes all others. If the folder cannot be read,
    /// the store is empty.
    pub(super) fn open(history: &Arc<dyn History>, budget: u64) -> ArtifactStore {
        let folder = history.artifacts();
        let state = folder.as_deref().map_or_else(|| Ok(StoreState::default()), |folder| load(folder, history));
        let state = state.unwrap_or_else(|error| {
            warn!(%error, "the artifacts of an earlier run cannot be read; they are made again");
            StoreState::default()
        });
        let store = ArtifactStore { folder, budget, state: Mutex::new(state) };
        store.make_room(0);
        store
    }

    /// Opens an artifact after verifying its bytes; `None` if it is not stored. A damaged or unreadable artifact is
    /// removed.
    pub(super) fn open_or_remove(&self, key: &Key) -> Option<Artifact> {
        let name = {
            let mut state = self.state();
            let entry = state.entries.get_mut(key)?;
            entry.used = SystemTime::now();
            name(key, &entry.hash)?
        };
        let path = self.folder.as_ref()?.join(&name);
        match verified(&path) {
            Ok(Some(artifact)) => Some(artifact),
            Ok(None) => {
                warn!(name, "another program changed an artifact in the history; the artifact is dropped");
                self.remove(key);
                None
            }
            Err(error) => {
                warn!(name, %error, "an artifact in the history cannot be read; it is dropped");
                self.remove(key);
                None
            }
        }
    }

    pub(super) fn has(&self, key: &Key) -> bool {
        self.state().entries.contains_key(key)
    }

    /// Stores an artifact, and gives it as it is stored; `None` for a kind that is not stored here, and for one that is
    /// too long.
    pub(super) fn put(&self, key: &Key, asset: &str, made: &Artifact) -> io::Result<Option<Artifact>> {
        let (Some(folder), Some(len)) = (&self.folder, made.content.len()) else { return Ok(None) };
        if form(key).is_none() || self.budget / 2 < len {
            return Ok(None);
        }
        fs::create_dir_all(folder)?;
        self.make_room(len);
        let mut part = tempfile::Builder::new().prefix(".tmp").tempfile_in(folder)?;
        let hash = copy(&made.content, part.as_file_mut())?;
        part.as_file().sync_data()?;
        let Some(name) = name(key, &hash) else { return Ok(None) };
        let file = part.persist(folder.join(name)).map_err(|error| error.error)?;
        let verified = Some(Fingerprint::of(&file.metadata()?));
        let etag = hash[..16].into();
        self.remove(key);
        let mut state = self.state();
        state.bytes += len.max(LEAST);
        state.entries.insert(key.clone(), StoreEntry { asset: asset.into(), hash, len, used: SystemTime::now() });
        Ok(Some(Artifact { content: Content::File(Arc::new(file), len), etag, verified }))
    }

    /// Removes the artifacts of versions that a path no longer has.
    pub(super) fn retain(&self, asset: &str, versions: &[(Version, u64)]) {
        let is_gone = |key: &Key| !versions.iter().any(|(version, _)| *version == key.version());
        let gone: Vec<Key> = {
            let state = self.state();
            let entries = state.entries.iter().filter(|(key, entry)| *entry.asset == *asset && is_gone(key));
            entries.map(|(key, _)| key.clone()).collect()
        };
        gone.iter().for_each(|key| self.remove(key));
    }

    /// Removes the artifacts of these versions.
    pub(super) fn forget(&self, versions: &HashSet<Version>) {
        let keys = self.state().entries.keys().filter(|key| versions.contains(&key.version())).cloned().collect();
        let keys: Vec<Key> = keys;
        keys.iter().for_each(|key| self.remove(key));
    }

    /// Removes an artifact.
    pub(super) fn remove(&self, key: &Key) {
        let mut state = self.state();
        let Some(entry) = state.entries.remove(key) else { return };
        state.bytes -= entry.len.max(LEAST);
        if let (Some(folder), Some(name)) = (&self.folder, name(key, &entry.hash)) {
            let _ = fs::remove_file(folder.join(name));
        }
    }

    /// Removes the artifacts that were used longest ago until this many bytes fit.
    fn make_room(&self, len: u64) {
        loop {
            let oldest = {
                let state = self.state();
                if state.bytes.saturating_add(len) <= self.budget {
                    return;
                }
                state.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone())
            };
            let Some(oldest) = oldest else { return };
            self.remove(&oldest);
        }
    }

    fn state(&self) -> MutexGuard<'_, StoreState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn load(folder: &Path, history: &Arc<dyn History>) -> io::Result<StoreState> {
    let mut state = StoreState::default();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(state),
        entries => entries?,
    };
    let mut assets = HashMap::new();
    for path in history.paths() {
        let path: Arc<str> = path.into();
        assets.extend(history.versions(&path).into_iter().map(|(version, _)| (version, path.clone())));
    }
    for entry in entries {
        let entry = entry?;
        let data = entry.metadata()?;
        let named = entry.file_name().to_str().and_then(parse).filter(|_| data.is_file());
        let named = named.and_then(|(key, hash)| Some((assets.get(&key.version())?.clone(), key, hash)));
        match named {
            Some((asset, key, hash)) if !state.entries.contains_key(&key) => {
                let used = data.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                state.bytes += data.len().max(LEAST);
                state.entries.insert(key, StoreEntry { asset, hash, len: data.len(), used });
            }
            _ if data.is_dir() => fs::remove_dir_all(entry.path())?,
            _ => fs::remove_file(entry.path())?,
        }
    }
    Ok(state)
}

/// The version and the form of an artifact that is stored. A form's number changes when its artifacts get smaller.
fn form(key: &Key) -> Option<(Version, &'static str)> {
    match key {
        Key::Delta { from: None, to, codec: Some(Codec::Fast) } => Some((*to, "none2")),
        Key::Encoded(version, Coding::Brotli, Effort::Background) => Some((*version, "br1")),
        Key::Encoded(version, Coding::Zstd, Effort::Background) => Some((*version, "zstd1")),
        Key::Encoded(version, Coding::Gzip, Effort::Background) => Some((*version, "gzip1")),
        _ => None,
    }
}

fn name(key: &Key, hash: &str) -> Option<String> {
    let (version, form) = form(key)?;
    Some(format!("{version}.{form}.{hash}"))
}

fn parse(name: &str) -> Option<(Key, String)> {
    let mut parts = name.split('.');
    let version: Version = parts.next()?.parse().ok()?;
    let key = match parts.next()? {
        "none2" => Key::Delta { from: None, to: version, codec: Some(Codec::Fast) },
        "br1" => Key::Encoded(version, Coding::Brotli, Effort::Background),
        "zstd1" => Key::Encoded(version, Coding::Zstd, Effort::Background),
        "gzip1" => Key::Encoded(version, Coding::Gzip, Effort::Background),
        _ => return None,
    };
    let hash = blake3::Hash::from_hex(parts.next()?).ok()?.to_hex().to_string();
    (self::name(&key, &hash)? == name).then_some((key, hash))
}

/// Opens a file; `None` if its bytes do not have the hash in its name.
fn verified(path: &Path) -> io::Result<Option<Artifact>> {
    let mut file = File::open(path)?;
    let before = Fingerprint::of(&file.metadata()?);
    let (mut hasher, mut len, mut piece) = (blake3::Hasher::new(), 0, vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => break,
            read => {
                hasher.update(&piece[..read]);
                len += read as u64;
            }
        }
    }
    let hash = hasher.finalize().to_hex();
    let named = path.extension().and_then(|hash| hash.to_str());
    if named != Some(hash.as_str()) || Fingerprint::of(&file.metadata()?) != before {
        return Ok(None);
    }
    // The next run of the server removes files in the order of their last use.
    let _ = file.set_modified(SystemTime::now());
    let verified = Some(Fingerprint::of(&file.metadata()?));
    Ok(Some(Artifact { content: Content::File(Arc::new(file), len), etag: hash[..16].into(), verified }))
}

/// Copies an artifact, and gives the hash of its bytes.
fn copy(content: &Content, to: &mut File) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    match content {
        Content::Memory(bytes) => {
            hasher.update(bytes);
            to.write_all(bytes)?;
        }
        Content::File(file, len) => {
            let (mut at, mut piece) = (0, vec![0; PIECE]);
            while at < *len {
                let part = &mut piece[..PIECE.min((len - at) as usize)];
                file.read_exact_at(part, at)?;
                hasher.update(part);
                to.write_all(part)?;
                at += part.len() as u64;
            }
        }
        Content::Growing(_) | Content::Unmade => return Err(io::Error::other("the artifact is not complete")),
    }
    Ok(hasher.finalize().to_hex().to_string())
}
