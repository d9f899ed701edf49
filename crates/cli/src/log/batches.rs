//! A writer whose lines are written together, by a thread: whoever writes a line waits for no system call.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long lines wait for others. A reader that follows the log does not notice it.
const GATHER: Duration = Duration::from_millis(50);
/// The most bytes that wait. If nobody reads, further lines are dropped.
const MOST: usize = 16 << 20;

/// Takes lines.
#[derive(Clone)]
pub(super) struct Batches(Arc<Shared>);

/// Writes what is left when it is dropped.
pub(crate) struct BatchesGuard {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    has_ended: bool,
}

/// Begins to write lines to `output`.
pub(super) fn begin(output: impl Write + Send + 'static) -> io::Result<(Batches, BatchesGuard)> {
    let shared = Arc::<Shared>::default();
    let writing = shared.clone();
    let thread = thread::Builder::new().name("access log".into()).spawn(move || writing.write_to(output))?;
    Ok((Batches(shared.clone()), BatchesGuard { shared, thread: Some(thread) }))
}

impl Shared {
    fn write_to(&self, mut output: impl Write) {
        let mut batch = Vec::new();
        loop {
            let mut waiting = self.lock();
            while waiting.lines.is_empty() && !waiting.has_ended {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
            if !waiting.has_ended {
                let goes_on = |waiting: &mut Waiting| !waiting.has_ended;
                let gathered = self.changed.wait_timeout_while(waiting, GATHER, goes_on);
                waiting = gathered.unwrap_or_else(PoisonError::into_inner).0;
            }
            std::mem::swap(&mut batch, &mut waiting.lines);
            let has_ended = waiting.has_ended;
            drop(waiting);
            // Nobody may read any more.
            let _ = output.write_all(&batch).and_then(|()| output.flush());
            batch.clear();
            if has_ended {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Batches {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock();
        let is_first = waiting.lines.is_empty();
        if waiting.lines.len() + line.len() <= MOST {
            waiting.lines.extend_from_slice(line);
        }
        drop(waiting);
        if is_first {
            self.0.changed.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BatchesGuard {
    fn drop(&mut self) {
        self.shared.lock().has_ended = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic there was told already.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Sends what is written.
    struct Sent(mpsc::Sender<Vec<u8>>);

    impl Write for Sent {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_written_together_and_in_order_and_the_last_ones_at_the_end() {
        let (sender, written) = mpsc::channel();
        let (mut lines, guard) = begin(Sent(sender)).unwrap();
        lines.write_all(b"first\n").unwrap();
        let mut all = written.recv().unwrap();
        for number in 0..10_000 {
            lines.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        drop(guard);
        let batches: Vec<_> = written.iter().collect();
        assert!(batches.len() < 1_000, "{} batches", batches.len());
        all.extend(batches.concat());
        let expected: String = (0..10_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(all).unwrap(), format!("first\n{expected}"));
    }

    #[test]
    fn lines_that_nobody_takes_are_dropped_and_not_kept() {
        let (sender, written) = mpsc::sync_channel::<()>(0);
        struct Stuck(mpsc::SyncSender<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                // An error means that the test lets it go.
                let _ = self.0.send(());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (mut lines, guard) = begin(Stuck(sender)).unwrap();
        for _ in 0..3 * MOST / 1024 {
            lines.write_all(&[b'a'; 1024]).unwrap();
        }
        assert!(guard.shared.lock().lines.len() <= MOST);
        drop(written);
    }
}
