//! Which deltas are made before anybody asks for them.

use driblet_core::{Codec, Version};

use super::queue::{Job, Work};

/// Shorter files come whole, compressed, in the first ten segments that a connection sends (RFC 6928), and their delta is made in less than
/// a millisecond: nothing is gained ahead.
const SHORTEST: u64 = 16 << 10;
/// Of longer files each delta takes a core for seconds and may be as long as the file: they are made for those who ask.
const LONGEST: u64 = 64 << 20;
/// A dense region's span, by the format. Of longer files the better delta would be the fast one.
const LONGEST_DENSE: u64 = 32 << 20;

/// Of longer files what first visitors get stays what was made at once: a better delta from nothing would take a core for more than half a
/// minute, a better encoded file for more than some seconds.
const LONGEST_FROM_NOTHING: u64 = 512 << 20;
const LONGEST_ENCODED: u64 = 64 << 20;

/// The rule.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// From how many of the last heads.
    heads: usize,
    codec: Codec,
    longest: u64,
    disk: u64,
}

impl Ahead {
    /// `disk` is the budget for all that is kept; one head's deltas never fill it, were they as long as the head.
    pub(super) fn new(heads: usize, codec: Codec, disk: u64) -> Ahead {
        Ahead { heads, codec, longest: LONGEST.min(disk / heads.max(1) as u64), disk }
    }

    /// The codecs of the deltas between files so long that are better than what is made at once, the best first.
    pub(super) fn codecs(&self, from: u64, to: u64, reads_dense: bool) -> impl Iterator<Item = Codec> {
        let pays = (SHORTEST..=LONGEST).contains(&from.max(to));
        self.better(from, to).filter(|_| reads_dense).into_iter().chain(pays.then_some(Codec::Fast))
    }

    /// What is made of deltas between files so long, besides the fast one; `None` where that is as good as any.
    fn better(&self, from: u64, to: u64) -> Option<Codec> {
        (self.codec != Codec::Fast && from.max(to) <= LONGEST_DENSE).then_some(self.codec)
    }

    /// Whether a better delta from nothing to a file so long is made for those who come after the first.
    pub(super) fn betters_nothing(&self, len: u64) -> bool {
        (SHORTEST..=LONGEST_FROM_NOTHING.min(self.disk)).contains(&len)
    }

    /// The same for an encoded file.
    pub(super) fn betters_encoded(&self, len: u64) -> bool {
        (SHORTEST..=LONGEST_ENCODED.min(self.disk)).contains(&len)
    }

    /// The deltas to a path's head, from its versions and their lengths, newest first: the fast ones, then the better ones.
    pub(super) fn jobs(&self, path: &str, versions: &[(Version, u64)]) -> Vec<Job> {
        let Some((&(to, len), former)) = versions.split_first() else { return Vec::new() };
        if !(SHORTEST..=self.longest).contains(&len) {
            return Vec::new();
        }
        let bases = former.iter().take(self.heads).filter(|(_, len)| *len <= self.longest);
        let job = |from, codec| Job { path: path.into(), to, work: Work::Delta { from: Some(from), codec } };
        let fast = bases.clone().map(|(from, _)| job(*from, Codec::Fast));
        let better = bases.filter_map(|(from, from_len)| Some(job(*from, self.better(*from_len, len)?)));
        fast.chain(better).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: u64 = 512 << 20;

    /// A path's versions of these lengths, newest first.
    fn versions(lens: &[u64]) -> Vec<(Version, u64)> {
        lens.iter().enumerate().map(|(number, len)| (Version::of(&number.to_le_bytes()), *len)).collect()
    }

    fn made(rule: Ahead, lens: &[u64]) -> Vec<(usize, Codec)> {
        let versions = versions(lens);
        let jobs = rule.jobs("a", &versions).into_iter();
        let place = |from| versions.iter().position(|(version, _)| Some(*version) == from).unwrap();
        jobs.filter_map(|job| match job.work {
            Work::Delta { from, codec } => Some((place(from), codec)),
            Work::Coding(_) => None,
        })
        .collect()
    }

    #[test]
    fn from_the_last_heads_newest_first() {
        let (fast, dense) = (Codec::Fast, Codec::Dense);
        let lens = [50_000; 5];
        assert_eq!(made(Ahead::new(2, dense, DISK), &lens), [(1, fast), (2, fast), (1, dense), (2, dense)]);
        assert_eq!(made(Ahead::new(9, fast, DISK), &lens), [(1, fast), (2, fast), (3, fast), (4, fast)]);
        assert_eq!(made(Ahead::new(0, dense, DISK), &lens), []);
        assert_eq!(made(Ahead::new(2, dense, DISK), &lens[..1]), []);
        assert_eq!(made(Ahead::new(2, dense, DISK), &[]), []);
    }

    #[test]
    fn of_files_where_it_pays() {
        let (fast, dense) = (Codec::Fast, Codec::Dense);
        let rule = Ahead::new(1, dense, DISK);
        assert_eq!(made(rule, &[SHORTEST - 1, 50_000]), []);
        assert_eq!(made(rule, &[SHORTEST, 0]), [(1, fast), (1, dense)]);
        assert_eq!(made(rule, &[LONGEST_DENSE, LONGEST_DENSE]), [(1, fast), (1, dense)]);
        assert_eq!(made(rule, &[LONGEST_DENSE, LONGEST_DENSE + 1]), [(1, fast)]);
        assert_eq!(made(rule, &[LONGEST, LONGEST]), [(1, fast)]);
        assert_eq!(made(rule, &[LONGEST + 1, 50_000]), []);
        assert_eq!(made(rule, &[50_000, LONGEST + 1]), []);
        assert_eq!(made(Ahead::new(4, fast, 400_000), &[100_001, 50_000]), [], "four of them might not fit");
        assert_eq!(made(Ahead::new(4, fast, 400_000), &[100_000, 50_000]), [(1, fast)]);
    }
}
