//! The first look at every file: many are read, flushed and named at once.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use tracing::{debug, info};

use super::{Looked, PublishError, Publisher, blocking};
use crate::churn::{Churn, Look, Verdict};
use crate::history::{Head, Seen, StagedBytes};
use crate::source::Found;

/// Files that are published at once, at most.
const FILES: usize = 4096;
/// Those of them that are too long to lie in memory, and so are open until then.
const OPEN: usize = 128;
/// Bytes that are published at once; a longer file is published alone.
const BYTES: u64 = 64 << 20;

impl Publisher {
    pub(super) async fn index(self: Arc<Self>) {
        let publisher = self.clone();
        let paths = tokio::task::spawn_blocking(move || publisher.source.paths()).await.unwrap_or_default();
        let files = paths.len();
        let walked: HashSet<String> = paths.iter().cloned().collect();
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
        let publisher = self.clone();
        let linked = blocking(move || Ok(publisher.look_for_others(walked))).await.unwrap_or_default();
        // Files that change, and those that only a link leads to, one by one.
        for path in later.into_iter().chain(linked) {
            if let Err(error) = self.standing(&path).await {
                debug!(path, %error, "not indexed at the start; the first request tries again");
            }
        }
        info!(files, "indexed");
        self.indexed.send_replace(true);
    }

    /// Looks at what the history has and no folder names, so that it is noticed which of those are gone; gives those that have changed.
    fn look_for_others(&self, walked: HashSet<String>) -> Vec<String> {
        let others = self.history.paths().into_iter().filter(|path| !walked.contains(path));
        others.filter(|path| matches!(self.look_at(path), Ok(Looked::Changed(_)))).collect()
    }

    /// Publishes the first files of a list; gives the rest of it, and those of the first that must be waited for.
    fn index_some(&self, mut paths: VecDeque<String>) -> Result<(VecDeque<String>, Vec<String>), PublishError> {
        let (mut batch, mut before, mut bytes) = (Vec::new(), Vec::<(String, Option<Head>)>::new(), 0);
        let mut unsettled = Vec::new();
        let mut open = 0;
        while batch.len() < FILES && bytes < BYTES && open < OPEN {
            let Some(path) = paths.pop_front() else { break };
            // What cannot be read now is left to the requests for it.
            let Ok(Some(Found::File(file))) = self.find(&path) else { continue };
            let Ok(Looked::Changed(look)) = self.look_into(&path, &file) else { continue };
            let Some(settled) = is_ready(&look) else {
                unsettled.push(path);
                continue;
            };
            // Should the path lead elsewhere by now, the next look at it shows that.
            let reading = self.read_file(&file);
            self.note_history(&path, &reading);
            let reading = match reading {
                Ok(reading) if reading.is_consistent && reading.fingerprint == look.fingerprint => reading,
                Ok(_) => {
                    unsettled.push(path);
                    continue;
                }
                Err(_) => continue,
            };
            bytes += reading.fingerprint.len;
            open += usize::from(matches!(reading.staged.bytes, StagedBytes::File(_)));
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
