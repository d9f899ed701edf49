//! Holds artifacts, and lets readers read them while they are made. A short artifact is in memory, a longer one in an
//! unnamed file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::timeout;

use super::error::ArtifactError;
use super::scratch_space::ScratchSpace;
use crate::fingerprint::Fingerprint;
use crate::task::{TaskFailed, blocking};

/// The longest artifact that is kept in memory, in bytes. A longer one goes to an unnamed file in the history's folder.
const IN_MEMORY: usize = 64 << 10;
/// How long an answer waits for an artifact to end, so that it can state the length. A longer artifact is sent without
/// a length.
const BRIEFLY: Duration = Duration::from_millis(25);

/// Bytes that are made once and sent many times.
#[derive(Clone)]
pub(crate) struct Artifact {
    pub(crate) content: Content,
    /// The ETag, without quotes.
    pub(crate) etag: Arc<str>,
    /// How a named file looked when its bytes were verified. Another process could change it since.
    pub(super) verified: Option<Fingerprint>,
}

impl Artifact {
    /// Whether a named file still looks as it did when it was verified.
    pub(super) fn is_intact(&self) -> bool {
        match (&self.content, &self.verified) {
            (Content::File(file, _), Some(verified)) => {
                file.metadata().is_ok_and(|data| Fingerprint::of(&data) == *verified)
            }
            _ => true,
        }
    }
}

/// The bytes of an answer.
#[derive(Clone)]
pub(crate) enum Content {
    Memory(Bytes),
    File(Arc<File>, u64),
    /// Bytes that are still being made, or that were made while the disk was full.
    Growing(Growing),
    /// Bytes that are not made, for an answer without a body.
    Unmade,
}

impl Content {
    /// The length in bytes; `None` while it is not known.
    pub(crate) fn len(&self) -> Option<u64> {
        match self {
            Content::Memory(bytes) => Some(bytes.len() as u64),
            Content::File(_, len) => Some(*len),
            Content::Growing(growing) => growing.len(),
            Content::Unmade => None,
        }
    }

    /// Waits until all bytes are made.
    pub(crate) async fn finished(self) -> Result<Content, ArtifactError> {
        match self {
            Content::Growing(growing) => growing.finished().await,
            content => Ok(content),
        }
    }

    /// All bytes, once they are made.
    pub(crate) async fn bytes(self) -> Result<Bytes, ArtifactError> {
        match self.finished().await? {
            Content::Memory(bytes) => Ok(bytes),
            Content::File(file, len) => {
                let read = move || {
                    let mut bytes = vec![0; len as usize];
                    file.read_exact_at(&mut bytes, 0)?;
                    Ok(Bytes::from(bytes))
                };
                blocking(read).await
            }
            Content::Growing(growing) => {
                let mut bytes = Vec::new();
                loop {
                    match growing.piece(bytes.len() as u64, 1 << 20).await? {
                        piece if piece.is_empty() => return Ok(bytes.into()),
                        piece => bytes.extend_from_slice(&piece),
                    }
                }
            }
            Content::Unmade => Ok(Bytes::new()),
        }
    }

    /// Waits until an answer can begin.
    pub(super) async fn begun(&self, first: WaitFor) -> Result<(), ArtifactError> {
        match self {
            Content::Growing(growing) => growing.begun(first).await,
            _ => Ok(()),
        }
    }
}

/// What an answer waits for before it begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitFor {
    /// All bytes: a short artifact is made in a moment, and the answer states its length.
    Everything,
    /// The first bytes on the disk, or all bytes. Then the disk has room for the rest, if the spool checks that.
    Disk,
    /// The same, or whatever is made after a moment.
    Anything,
}

/// Bytes that are being made. Any number of readers can read them, each at its own speed.
#[derive(Clone)]
pub(crate) struct Growing(Arc<SpoolProgress>);

/// What the writer and the readers share.
struct SpoolProgress {
    state: Mutex<SpoolState>,
    written: watch::Sender<Written>,
    space: Arc<ScratchSpace>,
    /// Bytes that count against the memory limit for a full disk.
    borrowed: AtomicUsize,
}

impl Drop for SpoolProgress {
    fn drop(&mut self) {
        self.space.give_back(self.borrowed.load(Ordering::Relaxed));
    }
}

/// How many bytes are written, and whether more will follow.
#[derive(Clone, Copy, Default)]
struct Written {
    len: u64,
    ended: bool,
}

#[derive(Default)]
struct SpoolState {
    /// The file with the first bytes, once there are many, and their number.
    file: Option<(Arc<File>, u64)>,
    /// All bytes, or those after the file's.
    tail: Vec<u8>,
    /// All bytes of a short artifact, once they are made.
    whole: Option<Bytes>,
    end: Option<Result<(), ArtifactError>>,
}

impl Growing {
    /// At most `most` bytes from offset `at`, as soon as there are some; none at the end.
    pub(crate) async fn piece(&self, at: u64, most: usize) -> Result<Bytes, ArtifactError> {
        self.until(|written| at < written.len || written.ended).await;
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
        blocking(move || {
            let mut piece = vec![0; len];
            file.read_exact_at(&mut piece, at)?;
            Ok(Bytes::from(piece))
        })
        .await
    }

    async fn begun(&self, first: WaitFor) -> Result<(), ArtifactError> {
        let on_disk =
            self.until(|written| written.ended || (first != WaitFor::Everything && (IN_MEMORY as u64) < written.len));
        if first != WaitFor::Anything {
            on_disk.await;
        } else if timeout(BRIEFLY, on_disk).await.is_err() {
            self.until(|written| written.ended || written.len != 0).await;
        }
        match &self.0.state().end {
            Some(Err(error)) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    async fn finished(self) -> Result<Content, ArtifactError> {
        self.until(|written| written.ended).await;
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

    async fn until(&self, reached: impl FnMut(&Written) -> bool) {
        // The sender lives as long as `self`.
        let _ = self.0.written.subscribe().wait_for(reached).await;
    }

    /// The length, once all bytes are made.
    fn len(&self) -> Option<u64> {
        let is_whole = matches!(self.0.state().end, Some(Ok(())));
        is_whole.then(|| self.0.written.borrow().len)
    }
}

impl SpoolProgress {
    fn state(&self) -> MutexGuard<'_, SpoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writing end of an artifact. It does not wait for readers.
pub(super) struct Spool {
    space: Arc<ScratchSpace>,
    progress: Arc<SpoolProgress>,
    etag: Option<Arc<str>>,
    hasher: blake3::Hasher,
    len: u64,
    /// About the most bytes that will be written; 0 if that is not known.
    most: u64,
    /// Whether to fail at the start if the disk may have no room for the end.
    whole_or_none: bool,
    disk_failed: bool,
}

impl Spool {
    /// A spool whose ETag is a hash of its bytes.
    pub(super) fn new(space: Arc<ScratchSpace>) -> Spool {
        let progress = Arc::new(SpoolProgress {
            state: Mutex::default(),
            written: watch::Sender::default(),
            space: space.clone(),
            borrowed: AtomicUsize::new(0),
        });
        let hasher = blake3::Hasher::new();
        Spool { space, progress, etag: None, hasher, len: 0, most: 0, whole_or_none: false, disk_failed: false }
    }

    /// Sets an ETag that is known before the bytes.
    pub(super) fn named(mut self, etag: Arc<str>) -> Spool {
        self.etag = Some(etag);
        self
    }

    /// Sets about the most bytes. If neither the disk nor the memory has room for them, nothing is made.
    pub(super) fn up_to(mut self, most: u64) -> Spool {
        self.most = most;
        self
    }

    /// As `up_to`, and fails before the first byte if the disk may have no room: no answer begins that would break off.
    pub(super) fn whole_or_none(mut self, most: u64) -> Spool {
        self.whole_or_none = true;
        self.up_to(most)
    }

    /// The artifact, which can be read while it is made.
    pub(super) fn artifact(&self) -> Artifact {
        let content = Content::Growing(Growing(self.progress.clone()));
        Artifact { content, etag: self.etag.clone().unwrap_or_default(), verified: None }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        let is_short = self.len <= IN_MEMORY as u64;
        if is_short {
            self.progress.state().tail.extend_from_slice(bytes);
        } else if self.disk_failed {
            self.keep_in_memory(bytes)?;
        } else {
            let written = self.keep_on_disk(bytes);
            self.space.note(&written);
            if written.is_err() {
                self.disk_failed = true;
                self.keep_in_memory(bytes)?;
            }
        }
        self.progress.written.send_modify(|written| written.len = self.len);
        Ok(())
    }

    /// Ends the artifact: all bytes are written.
    pub(super) fn finish(self) -> Artifact {
        let hash = self.hasher.finalize().to_hex();
        let etag = self.etag.clone().unwrap_or_else(|| hash[..16].into());
        self.end(Ok(()));
        let content = Growing(self.progress.clone()).content();
        Artifact { content, etag, verified: None }
    }

    /// Ends the artifact with an error, which its readers get.
    pub(super) fn fail(self, error: ArtifactError) {
        self.end(Err(error));
    }

    fn end(&self, end: Result<(), ArtifactError>) {
        {
            let mut state = self.progress.state();
            // A longer tail stays counted while it has readers.
            if end.is_ok() && state.file.is_none() && state.tail.len() <= IN_MEMORY {
                state.whole = Some(std::mem::take(&mut state.tail).into());
            }
            state.end = Some(end);
        }
        self.progress.written.send_modify(|written| written.ended = true);
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
        let file = self.space.file()?;
        if self.whole_or_none {
            let disk = rustix::fs::fstatvfs(&file)?;
            if disk.f_bavail.saturating_mul(disk.f_frsize) < self.most {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        Ok(file)
    }

    fn keep_in_memory(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        // If possible, fail before the first bytes are sent.
        if !self.space.has_memory(self.most) && self.progress.state().file.is_none() {
            return Err(ArtifactError::NoRoom);
        }
        self.progress.borrowed.fetch_add(bytes.len(), Ordering::Relaxed);
        if !self.space.borrow(bytes.len()) {
            return Err(ArtifactError::NoRoom);
        }
        self.progress.state().tail.extend_from_slice(bytes);
        Ok(())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.progress.written.borrow().ended {
            let has_panicked = std::thread::panicking();
            self.end(Err(if has_panicked { TaskFailed::Panicked.into() } else { ArtifactError::Interrupted }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::history::{DirectoryHistory, History, HistoryLimits};

    #[tokio::test]
    async fn a_spool_that_is_dropped_tells_its_readers_why() {
        let folder = tempfile::tempdir().unwrap();
        let history = DirectoryHistory::open(folder.path(), Path::new("/nowhere"), HistoryLimits::default()).unwrap();
        let history: Arc<dyn History> = Arc::new(history);
        let begun = || {
            let mut spool = Spool::new(Arc::new(ScratchSpace::new(&history)));
            spool.write(b"some").unwrap();
            (spool.artifact().content, spool)
        };
        let (content, spool) = begun();
        drop(spool);
        assert!(matches!(content.finished().await, Err(ArtifactError::Interrupted)));
        let (content, spool) = begun();
        let panicking = std::thread::spawn(move || {
            let _spool = spool;
            panic!("a bug");
        });
        assert!(panicking.join().is_err());
        assert!(matches!(content.finished().await, Err(ArtifactError::Task(TaskFailed::Panicked))));
    }
}
