//! Where what is made is kept, and read while it is made: in memory while it is short, in an unnamed file of the history beyond.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{info, warn};

use super::error::ArtifactError;
use crate::fingerprint::Fingerprint;
use crate::history::History;

/// What is longer goes to an unnamed file of the history.
const IN_MEMORY: usize = 64 << 10;
/// Bytes that all artifacts together keep in memory beyond that, while the history's disk takes no more.
const WITHOUT_DISK: usize = 32 << 20;
/// Bytes that are written to see whether there is room again.
const TRIAL: usize = 256 << 10;
/// How long an answer waits for the end of what is made, so that it can say its length. What is longer flows without one.
const BRIEFLY: Duration = Duration::from_millis(25);

/// Bytes that are made once and sent many times.
#[derive(Clone)]
pub(crate) struct Artifact {
    pub(crate) content: Content,
    /// What tells these bytes from all others of the same name.
    pub(crate) etag: Arc<str>,
    /// Of a file that has a name, and so may be changed behind our back: how it looked when it was verified.
    pub(super) verified: Option<Fingerprint>,
}

impl Artifact {
    /// Whether the bytes are still those that were made.
    pub(super) fn is_intact(&self) -> bool {
        match (&self.content, &self.verified) {
            (Content::File(file, _), Some(verified)) => {
                file.metadata().is_ok_and(|data| Fingerprint::of(&data) == *verified)
            }
            _ => true,
        }
    }
}

#[derive(Clone)]
pub(crate) enum Content {
    Memory(Bytes),
    File(Arc<File>, u64),
    /// Still being made, or made where there was no room on the disk.
    Growing(Growing),
    /// Not made: an answer without a body says what it would be.
    Unmade,
}

impl Content {
    /// Bytes; `None` while that is not known yet.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Content::Memory(bytes) => Some(bytes.len() as u64),
            Content::File(_, len) => Some(*len),
            Content::Growing(growing) => growing.len(),
            Content::Unmade => None,
        }
    }

    /// Waits until all of it is made.
    pub(crate) async fn finished(self) -> Result<Content, ArtifactError> {
        match self {
            Content::Growing(growing) => growing.finished().await,
            content => Ok(content),
        }
    }

    /// Waits until there is something to send.
    pub(super) async fn begun(&self, first: First) -> Result<(), ArtifactError> {
        match self {
            Content::Growing(growing) => growing.begun(first).await,
            _ => Ok(()),
        }
    }
}

/// What an answer waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// All of it, which is made in a moment; the answer says its length.
    All,
    /// As much as goes to the disk, or all: then there is room for what follows, where that was asked for.
    Placed,
    /// The same, or whatever is there after a moment.
    Anything,
}

/// Bytes that are being made, for any number of readers, each at its own pace.
#[derive(Clone)]
pub(crate) struct Growing(Arc<Progress>);

struct Progress {
    state: Mutex<State>,
    seen: watch::Sender<Seen>,
    room: Arc<Room>,
    /// Bytes counted against the memory that may be used without a disk.
    borrowed: AtomicUsize,
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.room.in_memory.fetch_sub(self.borrowed.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

/// How far it is.
#[derive(Clone, Copy, Default)]
struct Seen {
    len: u64,
    ended: bool,
}

#[derive(Default)]
struct State {
    /// The first bytes, once there are many, and how many they are.
    file: Option<(Arc<File>, u64)>,
    /// All bytes, or those that came after the disk was full.
    tail: Vec<u8>,
    /// What is short, once it is whole.
    whole: Option<Bytes>,
    end: Option<Result<(), ArtifactError>>,
}

impl Growing {
    /// The bytes at a place, at most `most`, as soon as there are some; none after the end.
    pub(crate) async fn piece(&self, at: u64, most: usize) -> Result<Bytes, ArtifactError> {
        self.until(|seen| at < seen.len || seen.ended).await;
        let (file, left) = {
            let state = self.0.state();
            let in_file = state.file.as_ref().map_or(0, |(_, len)| *len);
            let tail = at.checked_sub(in_file).map(|at| state.tail.get(at as usize..).unwrap_or_default());
            match (&state.file, tail, &state.whole, &state.end) {
                (Some((file, _)), None, _, _) => (file.clone(), in_file - at),
                (_, Some(tail @ [_, ..]), _, _) => return Ok(Bytes::copy_from_slice(&tail[..most.min(tail.len())])),
                (_, _, Some(bytes), _) => {
                    let start = bytes.len().min(at as usize);
                    return Ok(bytes.slice(start..bytes.len().min(start + most)));
                }
                (_, _, _, Some(Err(error))) => return Err(error.clone()),
                _ => return Ok(Bytes::new()),
            }
        };
        let len = left.min(most as u64) as usize;
        let read = spawn_blocking(move || {
            let mut piece = vec![0; len];
            file.read_exact_at(&mut piece, at).map(|()| Bytes::from(piece))
        });
        read.await.map_err(|_| ArtifactError::Interrupted)?.map_err(ArtifactError::from)
    }

    async fn begun(&self, first: First) -> Result<(), ArtifactError> {
        let placed = self.until(|seen| seen.ended || (first != First::All && (IN_MEMORY as u64) < seen.len));
        if first != First::Anything {
            placed.await;
        } else if timeout(BRIEFLY, placed).await.is_err() {
            self.until(|seen| seen.ended || seen.len != 0).await;
        }
        match &self.0.state().end {
            Some(Err(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    async fn finished(self) -> Result<Content, ArtifactError> {
        self.until(|seen| seen.ended).await;
        if let Some(Err(error)) = &self.0.state().end {
            return Err(error.clone());
        }
        Ok(self.content())
    }

    fn content(&self) -> Content {
        let state = self.0.state();
        match (&state.whole, &state.file) {
            (Some(bytes), _) => Content::Memory(bytes.clone()),
            (None, Some((file, len))) if state.tail.is_empty() && state.end.is_some() => {
                Content::File(file.clone(), *len)
            }
            _ => Content::Growing(self.clone()),
        }
    }

    async fn until(&self, reached: impl FnMut(&Seen) -> bool) {
        // The sender lives as long as this.
        let _ = self.0.seen.subscribe().wait_for(reached).await;
    }

    /// Bytes, once all of them are there.
    fn len(&self) -> Option<u64> {
        let is_whole = matches!(self.0.state().end, Some(Ok(())));
        is_whole.then(|| self.0.seen.borrow().len)
    }
}

impl Progress {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where artifacts find room. It keeps no history open: who drops a server can open its folder at once, whatever is still being made.
pub(super) struct Room {
    history: Weak<dyn History>,
    in_memory: AtomicUsize,
    /// Whether the last file could not be written; said once, until there is room again.
    is_full: AtomicBool,
}

impl Room {
    pub(super) fn new(history: &Arc<dyn History>) -> Room {
        Room { history: Arc::downgrade(history), in_memory: AtomicUsize::new(0), is_full: AtomicBool::new(false) }
    }

    /// Notes whether something could be written.
    pub(super) fn note<T>(&self, written: &io::Result<T>) {
        match written {
            Ok(_) if self.is_full.swap(false, Ordering::Relaxed) => {
                info!("there is room for deltas and encoded files again")
            }
            Ok(_) => {}
            Err(error) if !self.is_full.swap(true, Ordering::Relaxed) => {
                warn!(
                    "no room for deltas and encoded files, which are made in memory or not at all until there is: {error}"
                );
            }
            Err(_) => {}
        }
    }

    /// Whether files can be written, which is tried where the last one could not be.
    pub(super) fn is_free(&self) -> bool {
        if self.is_full.load(Ordering::Relaxed) {
            self.note(&self.scratch().and_then(|file| file.write_all_at(&vec![1; TRIAL], 0)));
        }
        !self.is_full.load(Ordering::Relaxed)
    }

    fn scratch(&self) -> io::Result<File> {
        self.history.upgrade().ok_or_else(|| io::Error::other("the server is gone"))?.scratch()
    }
}

/// The writing end of what is being made. It waits for no reader, and nothing that readers do stops it, unless there was only one.
pub(super) struct Spool {
    room: Arc<Room>,
    progress: Arc<Progress>,
    etag: Option<Arc<str>>,
    hasher: blake3::Hasher,
    len: u64,
    /// How many bytes it becomes at most, about; 0 where that is not known.
    most: u64,
    /// Whether nothing is made that may find no room at its end.
    whole_or_none: bool,
    for_one: bool,
    disk_failed: bool,
}

impl Spool {
    /// Room for bytes whose ETag is made of them.
    pub(super) fn new(room: Arc<Room>) -> Spool {
        let progress = Arc::new(Progress {
            state: Mutex::default(),
            seen: watch::Sender::default(),
            room: room.clone(),
            borrowed: AtomicUsize::new(0),
        });
        let hasher = blake3::Hasher::new();
        Spool {
            room,
            progress,
            etag: None,
            hasher,
            len: 0,
            most: 0,
            whole_or_none: false,
            for_one: false,
            disk_failed: false,
        }
    }

    /// With an ETag that is known before the bytes.
    pub(super) fn named(mut self, etag: Arc<str>) -> Spool {
        self.etag = Some(etag);
        self
    }

    /// Of so many bytes at most, about. Where the disk has no room for them and the memory neither, nothing is made.
    pub(super) fn up_to(mut self, most: u64) -> Spool {
        self.most = most;
        self
    }

    /// The same, also where they may fit the disk after all: for what breaks off nobody begins to read.
    pub(super) fn whole_or_none(mut self, most: u64) -> Spool {
        self.whole_or_none = true;
        self.up_to(most)
    }

    /// For one reader: when that one goes, what is made is not made to its end.
    pub(super) fn for_one(mut self) -> Spool {
        self.for_one = true;
        self
    }

    /// What is being made, to be read while it is.
    pub(super) fn artifact(&self) -> Artifact {
        let content = Content::Growing(Growing(self.progress.clone()));
        Artifact { content, etag: self.etag.clone().unwrap_or_default(), verified: None }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        if self.for_one && Arc::strong_count(&self.progress) == 1 {
            return Err(ArtifactError::Interrupted);
        }
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        let is_short = self.len <= IN_MEMORY as u64;
        if is_short {
            self.progress.state().tail.extend_from_slice(bytes);
        } else if self.disk_failed {
            self.keep_in_memory(bytes)?;
        } else {
            let written = self.keep_on_disk(bytes);
            self.room.note(&written);
            if written.is_err() {
                self.disk_failed = true;
                self.keep_in_memory(bytes)?;
            }
        }
        self.progress.seen.send_modify(|seen| seen.len = self.len);
        Ok(())
    }

    /// All bytes are there.
    pub(super) fn finish(self) -> Artifact {
        let hash = self.hasher.finalize().to_hex();
        let etag = self.etag.clone().unwrap_or_else(|| hash[..16].into());
        self.end(Ok(()));
        let content = Growing(self.progress.clone()).content();
        Artifact { content, etag, verified: None }
    }

    /// Nothing more will come.
    pub(super) fn fail(self, error: ArtifactError) {
        self.end(Err(error));
    }

    fn end(&self, end: Result<(), ArtifactError>) {
        {
            let mut state = self.progress.state();
            // What is longer stays counted as long as somebody reads it.
            if end.is_ok() && state.file.is_none() && state.tail.len() <= IN_MEMORY {
                state.whole = Some(std::mem::take(&mut state.tail).into());
            }
            state.end = Some(end);
        }
        self.progress.seen.send_modify(|seen| seen.ended = true);
    }

    fn keep_on_disk(&self, bytes: &[u8]) -> io::Result<()> {
        let (file, pending) = {
            let state = self.progress.state();
            let pending = if state.tail.is_empty() { None } else { Some([&state.tail[..], bytes].concat()) };
            (state.file.clone(), pending)
        };
        let (file, at) = match file {
            Some(file) => file,
            None => (Arc::new(self.scratch()?), 0),
        };
        let pending = pending.as_deref().unwrap_or(bytes);
        file.write_all_at(pending, at)?;
        let mut state = self.progress.state();
        state.tail = Vec::new();
        state.file = Some((file, at + pending.len() as u64));
        Ok(())
    }

    fn scratch(&self) -> io::Result<File> {
        let file = self.room.scratch()?;
        if self.whole_or_none {
            let disk = rustix::fs::fstatvfs(&file)?;
            if disk.f_bavail.saturating_mul(disk.f_frsize) < self.most {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        Ok(file)
    }

    fn keep_in_memory(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        // Before its first bytes are sent, if possible.
        let will_fit = self.room.in_memory.load(Ordering::Relaxed) as u64 + self.most <= WITHOUT_DISK as u64;
        if !will_fit && self.progress.state().file.is_none() {
            return Err(ArtifactError::NoRoom);
        }
        let used = self.room.in_memory.fetch_add(bytes.len(), Ordering::Relaxed);
        self.progress.borrowed.fetch_add(bytes.len(), Ordering::Relaxed);
        if WITHOUT_DISK < used + bytes.len() {
            return Err(ArtifactError::NoRoom);
        }
        self.progress.state().tail.extend_from_slice(bytes);
        Ok(())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.progress.seen.borrow().ended {
            let has_panicked = std::thread::panicking();
            self.end(Err(if has_panicked { ArtifactError::Panicked } else { ArtifactError::Interrupted }));
        }
    }
}
