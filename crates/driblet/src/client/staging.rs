use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use tempfile::NamedTempFile;

/// Bytes written before the disk is asked to begin with them.
const FLUSH_EVERY: u64 = 16 << 20;

/// The new version on its way to the disk.
///
/// A long file is flushed while it is still being made: the disk works while the decoder does, and little is left to wait for at the end.
pub(crate) struct Staging {
    file: NamedTempFile,
    unflushed: u64,
    flusher: Option<Flusher>,
}

struct Flusher {
    wake: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Staging {
    pub(crate) fn new(file: NamedTempFile) -> Staging {
        Staging { file, unflushed: 0, flusher: None }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.unflushed += bytes.len() as u64;
        if FLUSH_EVERY <= self.unflushed {
            self.unflushed = 0;
            let flusher = match &self.flusher {
                Some(flusher) => flusher,
                None => self.flusher.insert(Flusher::start(self.file.as_file().try_clone()?)),
            };
            // One that is still busy will flush these bytes as well; one that failed says so at the end.
            let _ = flusher.wake.try_send(());
        }
        Ok(())
    }

    /// The complete file, durable.
    pub(crate) fn finish(self) -> io::Result<NamedTempFile> {
        // A failed flush is told once, to whoever asked first: its result must not be lost.
        if let Some(Flusher { wake, thread }) = self.flusher {
            drop(wake);
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the flushing thread ended early")))?;
        }
        self.file.as_file().sync_all()?;
        Ok(self.file)
    }
}

impl Flusher {
    fn start(file: File) -> Flusher {
        let (wake, woken) = sync_channel::<()>(1);
        let thread = thread::spawn(move || woken.iter().try_for_each(|()| file.sync_data()));
        Flusher { wake, thread }
    }
}
