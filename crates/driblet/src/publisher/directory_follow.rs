//! Publishes watched directories when they change.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::timeout;

use super::directories::DirectoryPublisher;
use super::directory_watch::{Watch, identity, start};
use crate::task::blocking;

/// How often the place of a directory is looked at: its folder may be replaced, which no event tells.
const CHECK: Duration = Duration::from_secs(1);
/// How often a directory is looked at that cannot be watched.
const POLL: Duration = Duration::from_secs(2);

/// Publishes a directory whenever it changes, until its publisher is dropped.
pub(super) async fn follow(publisher: Weak<DirectoryPublisher>, watch: Arc<Watch>, folder: PathBuf) {
    loop {
        let (noted, place) = (watch.clone(), folder.clone());
        let started = blocking(move || Ok::<_, std::io::Error>((start(&noted, &place), identity(&place)))).await;
        let Ok((watcher, seen)) = started else { return };
        let mut wait = CHECK;
        match &watcher {
            Ok(_) => watch.works.store(seen.is_some(), Ordering::Release),
            // A folder that is missing is no reason to warn: requests are told.
            Err(_) if seen.is_none() => {}
            Err(error) => {
                watch.warn_once(&folder, error);
                wait = POLL;
            }
        }
        loop {
            let Some(alive) = publisher.upgrade() else { return };
            // A failure was logged where it was found, or is told to the next request.
            let _ = alive.refresh().await;
            drop(alive);
            // Without an event the time ends the wait.
            let _ = timeout(wait, watch.changed.notified()).await;
            let place = folder.clone();
            let now = blocking(move || Ok::<_, std::io::Error>(identity(&place))).await.ok().flatten();
            if now != seen || watcher.is_err() {
                watch.works.store(false, Ordering::Release);
                break;
            }
        }
    }
}
