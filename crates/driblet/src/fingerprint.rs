//! Notices that a file has changed without reading it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Twice the kernel's longest tick, with which Linux file systems stamp.
const FINE: Duration = Duration::from_millis(20);
/// FAT stamps in steps of two seconds, some other file systems in steps of one.
const COARSE: Duration = Duration::from_secs(2);

/// What a file system says of a file: device, inode, size, and when bytes and metadata last changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) len: u64,
    /// Nanoseconds since the epoch.
    pub(crate) modified: i64,
    /// Nanoseconds since the epoch.
    pub(crate) changed: i64,
    /// Nanoseconds since the epoch; 0 if the file system does not say. It tells files apart that get the same inode one
    /// after the other.
    #[serde(default)]
    pub(crate) born: i64,
}

impl Fingerprint {
    /// The fingerprint of no file.
    pub(crate) const NONE: Fingerprint = Fingerprint {
        device: u64::MAX,
        inode: u64::MAX,
        len: u64::MAX,
        modified: i64::MIN,
        changed: i64::MIN,
        born: i64::MIN,
    };

    /// Two writes within this time may leave the same stamp, so that the second one cannot be noticed (git calls such
    /// files "racily clean").
    pub(crate) fn granularity(&self) -> Duration {
        if self.is_coarse() { COARSE } else { FINE }
    }

    /// Whether the file system stamps whole seconds only.
    pub(crate) fn is_coarse(&self) -> bool {
        self.modified % 1_000_000_000 == 0 && self.changed % 1_000_000_000 == 0
    }

    /// How long ago the file changed. `now` is in nanoseconds since the epoch, by the clock that stamps files. `None`
    /// if the stamp lies in the future, so that the clocks disagree.
    ///
    /// A modification time in the future (from an archive, or by `touch`) is ignored: each write sets the change time
    /// too, and no program can choose that.
    pub(crate) fn age(&self, now: i64) -> Option<Duration> {
        let latest = if self.modified <= now { self.modified.max(self.changed) } else { self.changed };
        u64::try_from(now.checked_sub(latest)?).ok().map(Duration::from_nanos)
    }

    /// Whether both are the same file, unchanged or changed in place.
    #[cfg(feature = "server")]
    pub(crate) fn is_same_file(&self, other: &Fingerprint) -> bool {
        (self.device, self.inode, self.born) == (other.device, other.inode, other.born)
    }

    /// Whether size and times are equal. Some file systems give a file a new inode number at each look.
    #[cfg(feature = "server")]
    pub(crate) fn has_stamps_of(&self, other: &Fingerprint) -> bool {
        (self.len, self.modified, self.changed) == (other.len, other.modified, other.changed)
    }

    pub(crate) fn of(data: &std::fs::Metadata) -> Fingerprint {
        use std::os::unix::fs::MetadataExt;
        Fingerprint {
            device: data.dev(),
            inode: data.ino(),
            len: data.len(),
            modified: nanoseconds(data.mtime(), data.mtime_nsec()),
            changed: nanoseconds(data.ctime(), data.ctime_nsec()),
            born: data.created().map_or(0, since_epoch),
        }
    }
}

/// Nanoseconds since the epoch, by the clock that stamps files.
pub(crate) fn now() -> i64 {
    since_epoch(SystemTime::now())
}

pub(crate) fn since_epoch(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

pub(crate) fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn stamped(modified: i64, changed: i64) -> Fingerprint {
        Fingerprint { device: 1, inode: 2, len: 3, modified, changed, born: 0 }
    }

    #[test]
    fn whole_seconds_on_both_are_a_coarse_clock() {
        assert!(stamped(5 * SECOND, 5 * SECOND).is_coarse());
        assert!(stamped(0, 0).is_coarse(), "a file system that has no times");
        assert!(!stamped(5 * SECOND, 5 * SECOND + 1).is_coarse(), "a fine clock, and a time set by hand");
        assert_eq!(stamped(5 * SECOND, 5 * SECOND + 1).granularity(), FINE);
        assert_eq!(stamped(5 * SECOND, 5 * SECOND).granularity(), COARSE);
    }

    #[test]
    fn the_later_stamp_tells_the_age() {
        let age = |modified, changed, now| stamped(modified, changed).age(now).map(|age| age.as_nanos() as i64);
        assert_eq!(age(3 * SECOND, 5 * SECOND, 6 * SECOND), Some(SECOND));
        assert_eq!(age(5 * SECOND, 3 * SECOND, 6 * SECOND), Some(SECOND));
        assert_eq!(age(9 * SECOND, 5 * SECOND, 6 * SECOND), Some(SECOND), "set to the future by hand");
        assert_eq!(age(3 * SECOND, 9 * SECOND, 6 * SECOND), None, "a clock that went back");
        assert_eq!(age(i64::MAX, 0, 0), Some(0));
        assert_eq!(age(0, i64::MIN, i64::MAX), Some(i64::MAX), "times before the epoch");
    }

    #[test]
    fn times_that_overflow_are_bounded() {
        assert_eq!(nanoseconds(i64::MAX, 999_999_999), i64::MAX);
        assert_eq!(nanoseconds(i64::MIN, 0), i64::MIN);
    }
}
