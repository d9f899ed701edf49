//! Decides when a changing file is ready to be published. Pure: the caller looks at the file and at the clock.

use std::time::{Duration, Instant};

use crate::fingerprint::Fingerprint;

/// How long a file must be quiet before it is published.
const QUIET: Duration = Duration::from_millis(100);
/// A file that keeps changing for this long must be quiet for longer.
const LONG: Duration = Duration::from_secs(2);
/// How long a file must be quiet that kept changing for [`LONG`].
const QUIET_AFTER_LONG: Duration = Duration::from_millis(500);
/// A file that changes with pauses must be quiet for this many times the longest pause.
const PAUSES: u32 = 3;
/// The longest quiet time. It applies too if a process has the file open for writing, and if more than half of the
/// bytes were cut off.
const LONGEST_QUIET: Duration = Duration::from_secs(3);
/// A file that keeps changing for this long is published as it is.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// A file that took the place of another is published at once if it is no longer than this, and read again later, when
/// its stamps would show another write. To read more takes longer than to wait for that.
const READ_TWICE: u64 = 4 << 20;
/// How often a file is looked at while it changes.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// What one look at a file shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) fingerprint: Fingerprint,
    /// How long ago it changed, by the clock that stamps files.
    pub(crate) age: Option<Duration>,
    /// Whether a process has the file open for writing, if the system can tell.
    pub(crate) has_writer: Option<bool>,
    /// The file that was published last at the path.
    pub(crate) published: Option<Fingerprint>,
}

impl Look {
    /// Whether another file, which no process writes to, took the place of the published one, as by a rename. Such a
    /// file is complete.
    pub(crate) fn is_replacement(&self) -> bool {
        self.has_writer == Some(false) && self.published.is_some_and(|last| !last.is_same_file(&self.fingerprint))
    }

    /// Whether the published file got shorter in place. Most likely it was cut, and is being written again.
    pub(crate) fn is_cut(&self) -> bool {
        let is_cut = |last: Fingerprint| last.is_same_file(&self.fingerprint) && self.fingerprint.len < last.len;
        self.published.is_some_and(is_cut)
    }

    /// Whether the published file got longer in place.
    pub(crate) fn has_grown(&self) -> bool {
        self.published.is_some_and(|last| last.is_same_file(&self.fingerprint) && last.len < self.fingerprint.len)
    }
}

/// The changes of one file since it was last published.
#[derive(Debug)]
pub(crate) struct Churn {
    began: Instant,
    seen: Fingerprint,
    /// When the file was first seen like this.
    since: Instant,
    changes: u32,
    longest_pause: Duration,
}

/// What to do about a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Look again after this time.
    Wait(Duration),
    /// Read the file, and publish it unless it changes meanwhile.
    Ready {
        /// Whether the file's stamps would show a later write.
        settled: bool,
    },
    /// Publish the file as it is: it has been changing for too long.
    Overdue,
}

impl Churn {
    /// Begins to follow a file that differs from what was published. If the file only grew since an earlier change,
    /// `pause` is the time since that change.
    pub(crate) fn new(look: &Look, now: Instant, pause: Option<Duration>) -> Churn {
        let longest_pause = pause.unwrap_or_default();
        Churn { began: now, seen: look.fingerprint, since: now, changes: 0, longest_pause }
    }

    /// Notes a look. Gives whether the file has changed since the look before.
    pub(crate) fn see(&mut self, look: &Look, now: Instant) -> bool {
        let has_changed = self.seen != look.fingerprint;
        if has_changed {
            // A replacement was written elsewhere, so the pause says nothing.
            if self.seen.is_same_file(&look.fingerprint) {
                self.longest_pause = self.longest_pause.max(now - self.since);
            }
            (self.seen, self.since) = (look.fingerprint, now);
            self.changes += 1;
        }
        has_changed
    }

    /// When the file was first seen as it is now.
    pub(crate) fn since(&self) -> Instant {
        self.since
    }

    pub(crate) fn verdict(&self, look: &Look, now: Instant) -> Verdict {
        // The clocks are trusted until the file is seen to change.
        let by_clock = look.age.filter(|_| self.changes == 0).unwrap_or_default();
        let quiet = by_clock.max(now - self.since);
        let granularity = self.seen.granularity();
        let settled = granularity <= quiet;
        if look.is_replacement() {
            // A short wait makes the stamps certain, so that one reading is enough. A short file is read again sooner.
            let is_long = READ_TWICE < self.seen.len;
            let waits = is_long && !settled && self.changes == 0 && !self.seen.is_coarse();
            return if waits { Verdict::Wait(granularity - quiet) } else { Verdict::Ready { settled } };
        }
        let wanted = self.quiet_time(look, now);
        if wanted <= quiet {
            return Verdict::Ready { settled };
        }
        if LIMIT <= now - self.began {
            return Verdict::Overdue;
        }
        Verdict::Wait((wanted - quiet).min(LOOK))
    }

    fn quiet_time(&self, look: &Look, now: Instant) -> Duration {
        if look.published == Some(self.seen) {
            // The file looks as it did when it was read. That reading came too soon after the last write.
            return self.seen.granularity();
        }
        if look.has_writer == Some(true) {
            return LONGEST_QUIET;
        }
        let least = if LONG <= now - self.began { QUIET_AFTER_LONG } else { QUIET };
        // A file that was cut to less than half has most of its bytes still to come.
        let is_short = look.is_cut() && look.published.is_some_and(|last| self.seen.len < last.len / 2);
        let least = if is_short { LONGEST_QUIET } else { least };
        (self.longest_pause * PAUSES).clamp(least, LONGEST_QUIET)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// A file of so many bytes, written at so many milliseconds since some day.
    fn file(inode: u64, len: u64, written: i64) -> Fingerprint {
        let stamp = 1_000_000 * SECOND + written * 1_000_000 + 1;
        Fingerprint { device: 1, inode, len, modified: stamp, changed: stamp, born: 0 }
    }

    fn look(fingerprint: Fingerprint) -> Look {
        Look { fingerprint, age: None, has_writer: None, published: None }
    }

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    const READY: Verdict = Verdict::Ready { settled: true };

    /// Looks at a file every 20 ms; gives the millisecond at which it may be published, and what it is then.
    fn published(look_at: impl Fn(u64) -> Look, pause: Option<Duration>) -> (u64, Verdict) {
        let start = Instant::now();
        let mut churn = Churn::new(&look_at(0), start, pause);
        for at in (0..).step_by(20) {
            let (now, look) = (start + ms(at), look_at(at));
            churn.see(&look, now);
            match churn.verdict(&look, now) {
                Verdict::Wait(time) => assert!(Duration::ZERO < time && time <= LOOK),
                verdict => return (at, verdict),
            }
        }
        unreachable!("it is overdue at some time")
    }

    #[test]
    fn a_file_that_rests_is_ready_by_its_clock() {
        let old = Look { age: Some(ms(5_000)), ..look(file(1, 10, 0)) };
        assert_eq!(published(|_| old, None), (0, READY));
        let fresh = Look { age: Some(ms(30)), ..old };
        assert_eq!(published(|_| fresh, None), (100, READY), "nobody knows how old the last but one change is");
    }

    #[test]
    fn a_stamp_in_the_future_or_no_clock_takes_two_looks() {
        assert_eq!(published(|_| look(file(1, 10, 9_999)), None), (100, READY));
    }

    #[test]
    fn a_file_that_changes_waits_for_quiet() {
        let written = |until| move |at: u64| look(file(1, at.min(until), at.min(until) as i64));
        assert_eq!(published(written(1_000), None), (1_100, READY));
        assert_eq!(published(written(5_000), None), (5_500, READY), "longer after two seconds");
        assert_eq!(published(written(90_000), None), (30_000, Verdict::Overdue));
    }

    #[test]
    fn pauses_of_a_slow_upload_are_no_end() {
        let upload = |at: u64| {
            let step = (at / 1_000).min(10);
            Look { published: Some(file(1, 10_000, -60_000)), ..look(file(1, 1_000 * step, step as i64 * 1_000)) }
        };
        let held_open = |at: u64| Look { has_writer: Some(at < 10_000), ..upload(at) };
        let (at, verdict) = published(held_open, None);
        assert!(10_000 <= at && verdict == READY, "{at}");
        let (at, verdict) = published(upload, None);
        assert!(10_000 <= at && verdict == READY, "opened anew for each piece: {at}");
        // What it continues may have been published too early, but only once.
        let new = |at| Look { published: Some(file(1, 1_000, 1_000)), ..upload(at + 2_000) };
        let (at, verdict) = published(new, Some(ms(1_000)));
        assert!(8_000 <= at && verdict == READY, "{at}");
    }

    #[test]
    fn a_replacement_is_ready_at_once() {
        let by = |len| {
            move |at: u64| Look {
                has_writer: Some(false),
                published: Some(file(1, 10, -60_000)),
                ..look(file(2 + at / 20, len, at as i64))
            }
        };
        let again = Verdict::Ready { settled: false };
        let (replaced, by_long) = (by(10), by(READ_TWICE + 1));
        assert_eq!(published(|_| replaced(0), None), (0, again), "to be read again");
        assert_eq!(published(|_| by_long(0), None), (20, READY), "a moment later, to be read once");
        assert_eq!(published(by_long, None), (20, again), "replaced again meanwhile");
        let (at, _) = published(|_| Look { has_writer: None, ..replaced(0) }, None);
        assert_eq!(at, 100, "where the system cannot tell who writes");
        let (at, _) = published(|_| Look { has_writer: Some(true), ..replaced(0) }, None);
        assert_eq!(at, 3_000, "created and still open");
    }

    #[test]
    fn a_reading_that_came_too_soon_is_made_once_more() {
        let fine = file(1, 10, 0);
        assert_eq!(published(|_| Look { published: Some(fine), ..look(fine) }, None), (20, READY));
        let coarse = Fingerprint { modified: 5 * SECOND, changed: 5 * SECOND, ..fine };
        assert_eq!(published(|_| Look { published: Some(coarse), ..look(coarse) }, None), (2_000, READY));
        assert_eq!(published(|_| look(coarse), None), (100, Verdict::Ready { settled: false }));
    }
}
