//! Where artifacts are written: unnamed files in the history's folder, or a little memory while the disk is full.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use tracing::{info, warn};

use crate::history::History;

/// Bytes of longer artifacts that may be kept in memory, all together, while the disk is full.
const WITHOUT_DISK: usize = 32 << 20;
/// Bytes that are written to find out whether the disk has room again.
const TRIAL: usize = 256 << 10;

/// The place of all artifacts. It does not keep the history open: once a server is dropped, another one can open the
/// same folder.
pub(super) struct ScratchSpace {
    history: Weak<dyn History>,
    in_memory: AtomicUsize,
    /// Whether the last file could not be written. Each change of this is logged once.
    is_full: AtomicBool,
}

impl ScratchSpace {
    pub(super) fn new(history: &Arc<dyn History>) -> ScratchSpace {
        ScratchSpace {
            history: Arc::downgrade(history),
            in_memory: AtomicUsize::new(0),
            is_full: AtomicBool::new(false),
        }
    }

    /// Notes whether a file could be written.
    pub(super) fn note<T>(&self, written: &io::Result<T>) {
        match written {
            Ok(_) if self.is_full.swap(false, Ordering::Relaxed) => {
                info!("the disk has room for deltas and encoded files again")
            }
            Ok(_) => {}
            Err(error) if !self.is_full.swap(true, Ordering::Relaxed) => {
                warn!(
                    %error,
                    "the disk has no room for deltas and encoded files; until it has, they are made in memory or not at all"
                );
            }
            Err(_) => {}
        }
    }

    /// Whether files can be written. If the last one could not, this writes a trial file.
    pub(super) fn is_free(&self) -> bool {
        if self.is_full.load(Ordering::Relaxed) {
            self.note(&self.file().and_then(|file| file.write_all_at(&vec![1; TRIAL], 0)));
        }
        !self.is_full.load(Ordering::Relaxed)
    }

    /// A new unnamed file.
    pub(super) fn file(&self) -> io::Result<File> {
        self.history.upgrade().ok_or_else(|| io::Error::other("the server is gone"))?.scratch()
    }

    /// Whether the memory has room for this many bytes.
    pub(super) fn has_memory(&self, len: u64) -> bool {
        self.in_memory.load(Ordering::Relaxed) as u64 + len <= WITHOUT_DISK as u64
    }

    /// Counts bytes that go to memory. False if there is no room: they are counted nevertheless.
    pub(super) fn borrow(&self, len: usize) -> bool {
        self.in_memory.fetch_add(len, Ordering::Relaxed) + len <= WITHOUT_DISK
    }

    /// Counts bytes that are no longer in memory.
    pub(super) fn give_back(&self, len: usize) {
        self.in_memory.fetch_sub(len, Ordering::Relaxed);
    }
}
