//! The first look at every file. Many files are read, flushed and published together.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use tracing::{debug, info};

use super::error::PublishError;
use super::files::{Files, Looked};
use super::settle::Settler;
use crate::churn::{Churn, Look, Verdict};
use crate::history::{Candidate, Head, Observation, StagedBytes};
use crate::source::Found;
use crate::task::blocking;

/// The most files in one batch.
const FILES: usize = 4096;
/// The most files of a batch that are too long to be staged in memory, and so stay open until the batch is published.
const OPEN: usize = 128;
/// Bytes at which a batch is full. A longer file is a batch of its own.
const BYTES: u64 = 16 << 20;

/// Publishes every file of the source.
pub(super) async fn index(files: Arc<Files>, settler: Arc<Settler>) -> Result<(), PublishError> {
    let source = files.clone();
    let paths = blocking::<_, PublishError>(move || Ok(source.source.paths())).await?;
    let count = paths.len();
    let walked: HashSet<String> = paths.iter().cloned().collect();
    let paths = VecDeque::from(paths);
    let mut later = Vec::new();
    match publish_batches(&files, paths).await {
        Ok(unsettled) => later.extend(unsettled),
        Err(error) => debug!(%error, "some files could not be indexed; the first request for each tries again"),
    }
    let linked = {
        let files = files.clone();
        blocking::<_, PublishError>(move || Ok(look_for_others(&files, &walked))).await?
    };
    // Files that still change, and files that are reached by a link only, are published one by one.
    for path in later.into_iter().chain(linked) {
        if let Err(error) = settler.refresh(&path).await {
            debug!(path, %error, "a file could not be indexed; the first request for it tries again");
        }
    }
    info!(files = count, "indexed");
    Ok(())
}

/// Publishes files in batches. Gives those that still change.
pub(super) async fn publish_batches(
    files: &Arc<Files>,
    mut paths: VecDeque<String>,
) -> Result<Vec<String>, PublishError> {
    let mut later = Vec::new();
    while !paths.is_empty() {
        let rest = std::mem::take(&mut paths);
        let Ok(reader) = files.readers.acquire().await else { break };
        let batch = {
            let files = files.clone();
            blocking(move || index_batch(&files, rest)).await
        };
        drop(reader);
        let (rest, unsettled) = batch?;
        paths = rest;
        later.extend(unsettled);
        files.published.notify_waiters();
    }
    Ok(later)
}

/// Looks at the paths of the history that the walk did not find. Notes which of them are gone, and gives those that
/// have changed.
fn look_for_others(files: &Files, walked: &HashSet<String>) -> Vec<String> {
    let has_changed = |path: &String| {
        let Ok(looked) = files.look_at(path) else { return false };
        files.note_absence(path, &looked);
        matches!(looked, Looked::Changed(_))
    };
    let others = files.history.paths().into_iter().filter(|path| !walked.contains(path));
    others.filter(has_changed).collect()
}

/// Publishes the first files of a list. Gives the rest of the list, and those of the first files that still change.
fn index_batch(files: &Files, mut paths: VecDeque<String>) -> Result<(VecDeque<String>, Vec<String>), PublishError> {
    let (mut batch, mut heads, mut bytes) = (Vec::new(), Vec::<(String, Option<Head>)>::new(), 0);
    let mut unsettled = Vec::new();
    let mut open = 0;
    while batch.len() < FILES && bytes < BYTES && open < OPEN {
        let Some(path) = paths.pop_front() else { break };
        let before = files.history.head(&path);
        // A file that cannot be read now is read by the first request for it.
        let Ok(Some(Found::File(file))) = files.find(&path) else { continue };
        let Ok(Looked::Changed(look)) = files.look_into(&path, &file) else { continue };
        let Some(settled) = is_ready(&look) else {
            unsettled.push(path);
            continue;
        };
        let reading = files.read_file(&file, before);
        files.note_history(&path, &reading);
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
        heads.push((path.clone(), before));
        let (fingerprint, read) = (reading.fingerprint, reading.began);
        let observation = Observation { fingerprint, read, settled, renumbered: false };
        batch.push(Candidate { path, staged: reading.staged, observation, before });
    }
    if !batch.is_empty() {
        let overtaken = files.history.publish(batch)?;
        heads.retain(|(path, _)| !overtaken.contains(path));
        unsettled.extend(overtaken);
    }
    heads.into_iter().for_each(|(path, before)| files.announce(&path, before));
    Ok((paths, unsettled))
}

/// Whether a file may be published at the first look; then also whether its stamps would show a later write.
fn is_ready(look: &Look) -> Option<bool> {
    let now = Instant::now();
    match Churn::new(look, now, None).verdict(look, now) {
        Verdict::Ready { settled } => Some(settled),
        Verdict::Wait(_) | Verdict::Overdue => None,
    }
}
