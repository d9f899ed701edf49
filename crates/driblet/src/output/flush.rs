use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Bytes after which a flush begins.
const EVERY: u64 = 16 << 20;

/// Flushes a long file while it is being written, so that the last flush is short.
#[derive(Default, Debug)]
pub(super) struct Flusher {
    unflushed: u64,
    thread: Option<FlushThread>,
}

#[derive(Debug)]
struct FlushThread {
    wake: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Flusher {
    /// Notes that more bytes were written.
    pub(super) fn wrote(&mut self, file: &File, len: usize) -> io::Result<()> {
        self.unflushed += len as u64;
        if EVERY <= self.unflushed {
            self.unflushed = 0;
            let running = match &self.thread {
                Some(running) => running,
                None => self.thread.insert(FlushThread::start(file.try_clone()?)),
            };
            // A flush that is still running is followed by another one. A failed flush is reported at the end.
            let _ = running.wake.try_send(());
        }
        Ok(())
    }

    /// Waits for the thread, and gives its error: the system reports a failed flush only once.
    pub(super) fn finish(self) -> io::Result<()> {
        let Some(FlushThread { wake, thread }) = self.thread else { return Ok(()) };
        drop(wake);
        thread.join().unwrap_or_else(|_| Err(io::Error::other("the flushing thread ended early")))
    }
}

impl FlushThread {
    fn start(file: File) -> FlushThread {
        let (wake, woken) = sync_channel::<()>(1);
        let thread = thread::spawn(move || woken.iter().try_for_each(|()| file.sync_data()));
        FlushThread { wake, thread }
    }
}
