//! The first look at every file: many are read, flushed and named at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tracing::{debug, info};

use super::{Looked, PublishError, Publisher, blocking};
use crate::churn::{Churn, Look, Verdict};
use crate::history::{Head, Seen};

/// Files that are published at once, at most.
const FILES: usize = 1024;
/// Bytes that are published at once; a longer file is published alone.
const BYTES: u64 = 64 << 20;

impl Publisher {
    pub(super) async fn index(self: Arc<Self>) {
        let publisher = self.clone();
        let paths = tokio::task::spawn_blocking(move || publisher.source.paths()).await.unwrap_or_default();
        let files = paths.len();
        let mut paths = VecDeque::from(paths);
        let mut later = Vec::new();
        while !paths.is_empty() {
            let rest = std::mem::take(&mut paths);
            let Ok(turn) = self.readers.acquire().await else { break };
            let publisher = self.clone();
            let batch = blocking(move || publisher.index_some(rest)).await;
            drop(turn);
            match batch {
                Ok((rest, unsettled)) => {
                    paths = rest;
                    later.extend(unsettled);
                }
                Err(error) => {
                    debug!(%error, "not indexed at the start; the first requests try again");
                    break;
                }
            }
            self.published.notify_waiters();
        }
        // Files that change, one by one; then what the history has and the disk has not: it is noticed that those are gone.
        for path in later.into_iter().chain(self.history.paths()) {
            if let Err(error) = self.standing(&path).await {
                debug!(path, %error, "not indexed at the start; the first request tries again");
            }
        }
        info!(files, "indexed");
        self.indexed.send_replace(true);
    }

    /// Publishes the first files of a list; gives the rest of it, and those of the first that must be waited for.
    fn index_some(&self, mut paths: VecDeque<String>) -> Result<(VecDeque<String>, Vec<String>), PublishError> {
        let (mut batch, mut before, mut bytes) = (Vec::new(), Vec::<(String, Option<Head>)>::new(), 0);
        let mut unsettled = Vec::new();
        while batch.len() < FILES && bytes < BYTES {
            let Some(path) = paths.pop_front() else { break };
            // What cannot be read now is left to the requests for it.
            let Ok(Looked::Changed(look)) = self.look_at(&path) else { continue };
            let Some(settled) = is_ready(&look) else {
                unsettled.push(path);
                continue;
            };
            let reading = self.read(&path);
            self.note_history(&path, &reading);
            let reading = match reading {
                Ok(Some(reading)) if reading.is_consistent && reading.fingerprint == look.fingerprint => reading,
                Ok(_) => {
                    unsettled.push(path);
                    continue;
                }
                Err(_) => continue,
            };
            bytes += reading.fingerprint.len;
            before.push((path.clone(), self.history.head(&path)));
            let seen = Seen { fingerprint: reading.fingerprint, read: reading.began, settled, renumbered: false };
            batch.push((path, reading.staged, seen));
        }
        if !batch.is_empty() {
            self.history.publish(batch)?;
        }
        before.into_iter().for_each(|(path, before)| self.tell(&path, before));
        Ok((paths, unsettled))
    }
}

/// Whether a file may be published at the first look, and then whether its stamps would tell of a later write.
fn is_ready(look: &Look) -> Option<bool> {
    let now = Instant::now();
    match Churn::new(look, now, None).verdict(look, now) {
        Verdict::Ready { settled } => Some(settled),
        Verdict::Wait(_) | Verdict::Overdue => None,
    }
}
