use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Bytes written before the disk is asked to begin with them.
const EVERY: u64 = 16 << 20;

/// Flushes a long file while it is still being made: the disk works while the decoder does, and little is left to wait for at the end.
#[derive(Default)]
pub(super) struct Flusher {
    unflushed: u64,
    thread: Option<Running>,
}

struct Running {
    wake: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Flusher {
    /// So many bytes more were written.
    pub(super) fn wrote(&mut self, file: &File, len: usize) -> io::Result<()> {
        self.unflushed += len as u64;
        if EVERY <= self.unflushed {
            self.unflushed = 0;
            let running = match &self.thread {
                Some(running) => running,
                None => self.thread.insert(Running::start(file.try_clone()?)),
            };
            // One that is still busy will flush these bytes as well; one that failed says so at the end.
            let _ = running.wake.try_send(());
        }
        Ok(())
    }

    /// A failed flush is told once, to whoever asked first: its result must not be lost.
    pub(super) fn finish(self) -> io::Result<()> {
        let Some(Running { wake, thread }) = self.thread else { return Ok(()) };
        drop(wake);
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the flushing thread ended early")))
    }
}

impl Running {
    fn start(file: File) -> Running {
        let (wake, woken) = sync_channel::<()>(1);
        let thread = thread::spawn(move || woken.iter().try_for_each(|()| file.sync_data()));
        Running { wake, thread }
    }
}
