//! Noticing that a file has changed without reading it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// How finely Linux's own file systems stamp: with the kernel's tick, 10 ms at the most; doubled.
const FINE: Duration = Duration::from_millis(20);
/// FAT stamps every two seconds, older systems every second.
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
}

impl Fingerprint {
    /// Whether a file that still has this fingerprint must be what was read at `read` (nanoseconds since the epoch).
    ///
    /// git's rule for racily clean entries: where the stamps are as recent as the reading, a later write within the same tick would
    /// not have moved them.
    pub(crate) fn is_settled(&self, read: i64) -> bool {
        let latest = self.modified.max(self.changed);
        let whole_seconds = self.modified % 1_000_000_000 == 0 && self.changed % 1_000_000_000 == 0;
        let granularity = if whole_seconds { COARSE } else { FINE };
        latest + granularity.as_nanos() as i64 <= read
    }

    pub(crate) fn of(data: &std::fs::Metadata) -> Fingerprint {
        use std::os::unix::fs::MetadataExt;
        Fingerprint {
            device: data.dev(),
            inode: data.ino(),
            len: data.len(),
            modified: nanoseconds(data.mtime(), data.mtime_nsec()),
            changed: nanoseconds(data.ctime(), data.ctime_nsec()),
        }
    }
}

/// Nanoseconds since the epoch, by the clock that stamps files.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds * 1_000_000_000 + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(modified: i64, changed: i64) -> Fingerprint {
        Fingerprint { device: 1, inode: 2, len: 3, modified, changed }
    }

    #[test]
    fn a_stamp_as_recent_as_the_reading_is_not_trusted() {
        let second = 1_000_000_000;
        let file = stamped(5 * second + 1, 5 * second + 1);
        assert!(!file.is_settled(5 * second + 1));
        assert!(!file.is_settled(5 * second + 19_000_000));
        assert!(file.is_settled(5 * second + 21_000_000));
        assert!(!file.is_settled(4 * second), "stamped in the future");
    }

    #[test]
    fn whole_seconds_are_a_coarse_clock() {
        let second = 1_000_000_000;
        assert!(!stamped(5 * second, 4 * second).is_settled(6 * second));
        assert!(stamped(5 * second, 4 * second).is_settled(7 * second));
    }
}
