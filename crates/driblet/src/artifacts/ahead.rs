//! Decides which deltas are made before any request asks for them.

use driblet_core::{Codec, Version};

use super::accepted::Accepted;
use super::queue::{Job, Work};

/// The shortest file, in bytes, for which artifacts are made in the background. Shorter files fit, compressed, into the
/// first ten segments that a connection sends (RFC 6928), and their delta is made in less than a millisecond.
const SHORTEST: u64 = 16 << 10;
/// The longest file, in bytes, for which deltas are made in the background. The delta of such a file takes a core for
/// up to half a minute.
const LONGEST: u64 = 1 << 30;
/// The longest file, in bytes, whose deltas do not wait for those of shorter files.
const LONGEST_AT_ONCE: u64 = 64 << 20;
/// The longest file, in bytes, that gets a dense delta: the format has no longer dense region.
const LONGEST_DENSE: u64 = 32 << 20;
/// The longest file, in bytes, that gets a smaller delta from nothing, or from matched chunks. For a longer one it would
/// take a core for more than half a minute.
const LONGEST_SHARED: u64 = 512 << 20;
/// The longest file, in bytes, that gets a smaller encoding.
const LONGEST_ENCODED: u64 = 64 << 20;

/// The rule, as the server's options set it.
#[derive(Clone, Copy)]
pub(super) struct AheadRule {
    /// How many previous versions get a delta to a new head.
    heads: usize,
    codec: Codec,
    disk: u64,
}

impl AheadRule {
    /// `disk` is the budget of all artifacts. A head gets deltas from fewer than `heads` versions if there is no room for
    /// them, should each delta be as long as the file; a long file's head gets one at least.
    pub(super) fn new(heads: usize, codec: Codec, disk: u64) -> AheadRule {
        AheadRule { heads, codec, disk }
    }

    /// The codecs of the background deltas between files of these lengths that a receiver accepts, the best first.
    pub(super) fn codecs(&self, from: u64, to: u64, accepted: Accepted) -> impl Iterator<Item = Codec> {
        let pays = (SHORTEST..=LONGEST).contains(&from.max(to));
        let better = match accepted {
            Accepted::All(link) => self.better(from, to).map(|expected| link.codecs(expected)).unwrap_or_default(),
            Accepted::Basic => Vec::new(),
        };
        better.into_iter().chain(pays.then_some(Codec::Fast))
    }

    /// The codec of the delta that is made besides the fast one; `None` if the fast one is the best.
    fn better(&self, from: u64, to: u64) -> Option<Codec> {
        (self.codec != Codec::Fast && from.max(to) <= LONGEST_DENSE).then_some(self.codec)
    }

    /// Whether a smaller delta from nothing, or from matched chunks, is made in the background for a file of this length.
    pub(super) fn improves_shared_delta(&self, len: u64) -> bool {
        (SHORTEST..=LONGEST_SHARED.min(self.disk)).contains(&len)
    }

    /// Whether a smaller encoding is made in the background for a file of this length.
    pub(super) fn improves_encoding(&self, len: u64) -> bool {
        (SHORTEST..=LONGEST_ENCODED.min(self.disk)).contains(&len)
    }

    /// The deltas to make ahead for a path's head: first the fast ones, then the others. `versions` has the path's
    /// versions and their lengths, newest first.
    pub(super) fn jobs(&self, path: &str, versions: &[(Version, u64)]) -> Vec<Job> {
        let Some((&(to, len), former)) = versions.split_first() else { return Vec::new() };
        if !(SHORTEST..=LONGEST).contains(&len) {
            return Vec::new();
        }
        let room = usize::try_from(self.disk / len).unwrap_or(usize::MAX);
        // The delta of a long file hardly ever is as long as the file. If there is no room for it, it is dropped.
        let room = if is_long(0, len) { room.max(1) } else { room };
        let bases = former.iter().take(self.heads.min(room)).filter(|(_, len)| *len <= LONGEST);
        let job = |from, from_len, codec| {
            let work = Work::Delta { from: Some(from), codec };
            Job { path: path.into(), to, work, is_long: is_long(from_len, len) }
        };
        let fast = bases.clone().map(|(from, from_len)| job(*from, *from_len, Codec::Fast));
        let better = bases.filter_map(|(from, from_len)| Some(job(*from, *from_len, self.better(*from_len, len)?)));
        fast.chain(better).collect()
    }
}

/// Whether a delta between files of these lengths waits for those of shorter files.
pub(super) fn is_long(from: u64, to: u64) -> bool {
    LONGEST_AT_ONCE < from.max(to)
}

#[cfg(test)]
mod tests {
    use super::super::accepted::Link;
    use super::*;

    const DISK: u64 = 512 << 20;

    /// A path's versions of these lengths, newest first.
    fn versions(lens: &[u64]) -> Vec<(Version, u64)> {
        lens.iter().enumerate().map(|(number, len)| (Version::of(&number.to_le_bytes()), *len)).collect()
    }

    fn made(rule: AheadRule, lens: &[u64]) -> Vec<(usize, Codec)> {
        let versions = versions(lens);
        let jobs = rule.jobs("a", &versions).into_iter();
        let place = |from| versions.iter().position(|(version, _)| Some(*version) == from).unwrap();
        jobs.filter_map(|job| match job.work.clone() {
            Work::Delta { from, codec } => Some((place(from), codec)),
            Work::Matched(_) | Work::Coding(_) | Work::WithDictionary { .. } => None,
        })
        .collect()
    }

    #[test]
    fn from_the_last_heads_newest_first() {
        let (fast, dense) = (Codec::Fast, Codec::Dense);
        let lens = [50_000; 5];
        assert_eq!(made(AheadRule::new(2, dense, DISK), &lens), [(1, fast), (2, fast), (1, dense), (2, dense)]);
        assert_eq!(made(AheadRule::new(9, fast, DISK), &lens), [(1, fast), (2, fast), (3, fast), (4, fast)]);
        assert_eq!(made(AheadRule::new(0, dense, DISK), &lens), []);
        assert_eq!(made(AheadRule::new(2, dense, DISK), &lens[..1]), []);
        assert_eq!(made(AheadRule::new(2, dense, DISK), &[]), []);
    }

    #[test]
    fn by_what_a_receiver_says_of_its_link() {
        let auto = |bits_per_second| Codec::Auto { bits_per_second };
        let rule = AheadRule::new(1, auto(20), DISK);
        let codecs = |rule: AheadRule, accepted| rule.codecs(50_000, 50_000, accepted).collect::<Vec<_>>();
        assert_eq!(codecs(rule, Accepted::Basic), [Codec::Fast]);
        assert_eq!(codecs(rule, Accepted::All(Link::Usual)), [auto(20), auto(2), auto(200), Codec::Fast]);
        assert_eq!(codecs(rule, Accepted::All(Link::Slow)), [auto(2), auto(20), auto(200), Codec::Fast]);
        assert_eq!(codecs(rule, Accepted::All(Link::Fast)), [auto(200), auto(20), auto(2), Codec::Fast]);
        for link in [Link::Slow, Link::Usual, Link::Fast] {
            let dense = AheadRule::new(1, Codec::Dense, DISK);
            assert_eq!(codecs(dense, Accepted::All(link)), [Codec::Dense, Codec::Fast], "the operator's choice");
            let fast = AheadRule::new(1, Codec::Fast, DISK);
            assert_eq!(codecs(fast, Accepted::All(link)), [Codec::Fast]);
        }
    }

    #[test]
    fn of_files_where_it_pays() {
        let (fast, dense) = (Codec::Fast, Codec::Dense);
        let rule = AheadRule::new(1, dense, DISK);
        assert_eq!(made(rule, &[SHORTEST - 1, 50_000]), []);
        assert_eq!(made(rule, &[SHORTEST, 0]), [(1, fast), (1, dense)]);
        assert_eq!(made(rule, &[LONGEST_DENSE, LONGEST_DENSE]), [(1, fast), (1, dense)]);
        assert_eq!(made(rule, &[LONGEST_DENSE, LONGEST_DENSE + 1]), [(1, fast)]);
        assert_eq!(made(AheadRule::new(3, dense, DISK), &[LONGEST; 3]), [(1, fast)], "there might be no room for two");
        assert_eq!(made(rule, &[LONGEST + 1, 50_000]), []);
        assert_eq!(made(rule, &[50_000, LONGEST + 1]), []);
        let lens = [100_001; 5];
        let of_three = [(1, fast), (2, fast), (3, fast)];
        assert_eq!(made(AheadRule::new(4, fast, 400_000), &lens), of_three, "four of them might not fit");
        assert_eq!(made(AheadRule::new(4, fast, 100_000), &lens), []);
        let long = [LONGEST_AT_ONCE + 1, 50_000, 50_000];
        assert_eq!(made(AheadRule::new(2, fast, DISK), &long), [(1, fast), (2, fast)]);
        let is_long = |lens: &[u64]| rule.jobs("a", &versions(lens))[0].is_long;
        assert!(is_long(&long) && is_long(&[50_000, LONGEST_AT_ONCE + 1]) && !is_long(&[LONGEST_AT_ONCE, 50_000]));
    }
}
