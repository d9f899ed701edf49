//! When a directory that changes is ready to be published.

use std::time::{Duration, Instant};

use super::directory_looks::{Look, Unpublished};
use crate::fingerprint;

/// How long a directory must rest before it is published.
const QUIET: Duration = Duration::from_millis(100);
/// A directory that keeps changing for this long must rest for longer.
const LONG: Duration = Duration::from_secs(2);
/// How long a directory must rest that kept changing for [`LONG`].
const QUIET_AFTER_LONG: Duration = Duration::from_millis(500);
/// How long a directory must rest that has less than half as many files as its head: most likely a build removed them,
/// and makes them again.
const QUIET_AFTER_LOSS: Duration = Duration::from_secs(5);
/// A directory that keeps changing for this long is published. Files that still change keep their last published
/// version.
const LIMIT: Duration = Duration::from_secs(30);

/// The changes of a directory since it was last published.
pub(super) struct Changes {
    began: Instant,
    seen: Option<Look>,
    /// When the directory was first seen like this.
    since: Instant,
    is_long: bool,
}

impl Changes {
    pub(super) fn new() -> Changes {
        Changes { began: Instant::now(), seen: None, since: Instant::now(), is_long: false }
    }

    pub(super) fn see(&mut self, look: &Look, now: Instant) {
        if self.seen.as_ref().is_none_or(|seen| !seen.is_like(look)) {
            if self.seen.is_some() {
                self.since = now;
            }
            self.seen = Some(look.clone());
        }
    }

    /// Whether the directory must be published, even if files still change.
    pub(super) fn is_overdue(&self) -> bool {
        LIMIT <= self.began.elapsed()
    }

    /// Whether the directory has kept changing for long, the first time that this is so.
    pub(super) fn becomes_long(&mut self) -> bool {
        let becomes_long = !self.is_long && LONG <= self.began.elapsed();
        self.is_long |= becomes_long;
        becomes_long
    }

    /// How long to wait before the next look; `None` if the directory is quiet. `before` is how many files its head has.
    pub(super) fn wait(
        &self,
        look: &Look,
        unpublished: &Unpublished,
        before: Option<usize>,
        is_complete: bool,
    ) -> Option<Duration> {
        let quiet = if self.is_long && !is_complete { QUIET_AFTER_LONG } else { QUIET };
        let is_lost = !is_complete && has_lost_most(look.len(), before);
        let needed = if is_lost { QUIET_AFTER_LOSS } else { quiet };
        let now = fingerprint::now();
        let ages = look.files(unpublished).map(|file| file.fingerprint.age(now));
        let folders = now.checked_sub(look.edits.folders_changed).and_then(|age| u64::try_from(age).ok());
        let youngest = ages.chain([folders.map(Duration::from_nanos)]).min().flatten().unwrap_or_default();
        // Also of a complete directory: younger files are published one by one, which takes longer.
        let rested = self.since.elapsed().max(youngest);
        // After a loss the next look comes as early as ever: soon the files may be there again.
        (rested < needed).then(|| (needed - rested).clamp(Duration::from_millis(5), quiet))
    }
}

/// Whether a directory has less than half as many files as its head. Which files they are does not matter: a build that
/// names files by their contents gives most of them new names.
fn has_lost_most(files: usize, before: Option<usize>) -> bool {
    before.is_some_and(|before| 2 * files < before)
}
