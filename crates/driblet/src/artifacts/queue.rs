//! The queue of artifacts that are made in the background, and its order.

use std::collections::VecDeque;
use std::sync::Arc;

use driblet_core::{Codec, Matches, Version};

use super::coding::{Coding, Effort};
use super::dictionary::{DictionaryCoding, DictionaryHash};
use super::key::Key;

/// The most queued deltas that receivers asked for. A delta that does not fit is queued again by the next receiver that
/// asks for it.
const MAX_ASKED: usize = 16;
/// The most jobs in each other line: the deltas of some 80 files that change together. A delta that does not fit is
/// made when a request asks for it.
const MAX_WAITING: usize = 256;

/// The most deltas from matched chunks that wait. Each keeps the list of its chunks in memory.
const MAX_MATCHED: usize = 4;

/// An artifact to make. The job names its versions and does not open them: if one is evicted meanwhile, the job does
/// nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Job {
    pub(super) path: Arc<str>,
    pub(super) to: Version,
    pub(super) work: Work,
    /// Whether it takes a core so long that all others go first.
    pub(super) is_long: bool,
}

/// The kind of artifact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Work {
    /// The delta to the version, from another version or from nothing.
    Delta { from: Option<Version>, codec: Codec },
    /// The delta from the chunks that a signature matched.
    Matched(MatchedChunks),
    /// The version in a content coding.
    Coding(Coding),
    /// The version, encoded against a version of the same or another path.
    WithDictionary { dictionary: Arc<str>, from: Version, hash: DictionaryHash, coding: DictionaryCoding },
}

/// Matched chunks. Those with the same basis id are equal.
#[derive(Clone, Debug)]
pub(super) struct MatchedChunks(pub(super) Arc<Matches>);

impl PartialEq for MatchedChunks {
    fn eq(&self, other: &MatchedChunks) -> bool {
        self.0.basis_id() == other.0.basis_id()
    }
}

impl Eq for MatchedChunks {}

impl Job {
    pub(super) fn key(&self) -> Key {
        match &self.work {
            Work::Delta { from, codec } => Key::Delta { from: *from, to: self.to, codec: Some(*codec) },
            Work::Matched(MatchedChunks(matches)) => {
                Key::Matched { basis: matches.basis_id(), to: self.to, effort: Effort::Background }
            }
            Work::Coding(coding) => Key::Encoded(self.to, *coding, Effort::Background),
            Work::WithDictionary { from, coding, .. } => {
                Key::WithDictionary { from: *from, to: self.to, coding: *coding, effort: Effort::Background }
            }
        }
    }

    /// The path and the version that a delta is made from, or of the dictionary.
    pub(super) fn from(&self) -> Option<(&str, Version)> {
        match &self.work {
            Work::Delta { from, .. } => from.map(|from| (&*self.path, from)),
            Work::WithDictionary { dictionary, from, .. } => Some((dictionary, *from)),
            Work::Matched(_) | Work::Coding(_) => None,
        }
    }
}

/// Why an artifact is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    /// A receiver asked for it, and got what was ready.
    Asked,
    /// No receiver has asked for it yet.
    Ahead,
}

/// Eight lines. A line is emptied before the next one is looked at.
#[derive(Default)]
pub(super) struct Queue {
    /// Deltas between versions that receivers asked for, in the order of the requests.
    asked: VecDeque<Job>,
    /// Fast deltas to new heads: the newest head first, and for each head the newest basis first.
    ahead_fast: VecDeque<Job>,
    /// Deltas from nothing that receivers asked for. Each serves all receivers that hold nothing.
    nothing: VecDeque<Job>,
    /// Encoded files that clients asked for.
    encoded: VecDeque<Job>,
    /// Deltas to new heads in the server's codec. They are last, since one takes as long as a hundred fast ones.
    ahead_best: VecDeque<Job>,
    /// Deltas between long files that receivers asked for, and others. One takes as long as hundreds of others.
    asked_long: VecDeque<Job>,
    ahead_long: VecDeque<Job>,
    /// Deltas from matched chunks that several receivers asked for. They are last: clients can ask for any number.
    matched: VecDeque<Job>,
}

impl Queue {
    /// Adds a job that a receiver asked for, unless it is queued already or its line is full.
    pub(super) fn ask(&mut self, job: Job) {
        let (line, most) = match &job.work {
            Work::Delta { from: Some(_), .. } if job.is_long => (&mut self.asked_long, MAX_ASKED),
            Work::Delta { from: Some(_), .. } => (&mut self.asked, MAX_ASKED),
            Work::Delta { from: None, .. } => (&mut self.nothing, MAX_WAITING),
            Work::Matched(_) => (&mut self.matched, MAX_MATCHED),
            Work::Coding(_) | Work::WithDictionary { .. } => (&mut self.encoded, MAX_WAITING),
        };
        if line.len() < most && !line.contains(&job) {
            line.push_back(job.clone());
            // The lines of jobs that no receiver asked for need not have it.
            for line in [&mut self.ahead_fast, &mut self.ahead_best, &mut self.ahead_long] {
                line.retain(|waiting| *waiting != job);
            }
        }
    }

    /// Adds the jobs of a path's new head, newest basis first, and removes the jobs of the path's former heads.
    pub(super) fn replace(&mut self, path: &str, jobs: Vec<Job>) {
        self.lines().for_each(|line| line.retain(|job| *job.path != *path));
        for job in jobs.into_iter().rev() {
            let is_fast = matches!(job.work, Work::Delta { codec: Codec::Fast, .. });
            let line = match (job.is_long, is_fast) {
                (true, _) => &mut self.ahead_long,
                (false, true) => &mut self.ahead_fast,
                (false, false) => &mut self.ahead_best,
            };
            line.push_front(job);
        }
        self.lines().for_each(|line| line.truncate(MAX_WAITING));
    }

    /// Takes the next job.
    pub(super) fn next(&mut self) -> Option<(Job, Cause)> {
        use Cause::{Ahead, Asked};
        const CAUSES: [Cause; 8] = [Asked, Ahead, Asked, Asked, Ahead, Asked, Ahead, Asked];
        self.lines().zip(CAUSES).find_map(|(line, cause)| Some((line.pop_front()?, cause)))
    }

    /// How many jobs are queued.
    pub(super) fn len(&self) -> usize {
        let first = [&self.asked, &self.ahead_fast, &self.nothing, &self.encoded, &self.ahead_best];
        first.into_iter().chain([&self.asked_long, &self.ahead_long, &self.matched]).map(VecDeque::len).sum()
    }

    /// The lines, in the order in which they are emptied.
    fn lines(&mut self) -> impl Iterator<Item = &mut VecDeque<Job>> {
        let first = [&mut self.asked, &mut self.ahead_fast, &mut self.nothing, &mut self.encoded, &mut self.ahead_best];
        first.into_iter().chain([&mut self.asked_long, &mut self.ahead_long, &mut self.matched])
    }
}

#[cfg(test)]
mod tests {
    use driblet_core::{ChunkSizes, Cuts, Signature};

    use super::*;

    fn job(path: &str, from: u64, to: u64, codec: Codec) -> Job {
        let version = |number: u64| Version::of(&number.to_le_bytes());
        Job {
            path: path.into(),
            to: version(to),
            work: Work::Delta { from: Some(version(from)), codec },
            is_long: false,
        }
    }

    /// The jobs of a head: deltas from the version before it and from the one before that.
    fn of_head(path: &str, to: u64) -> Vec<Job> {
        let codecs = [Codec::Fast, Codec::Dense].into_iter();
        codecs.flat_map(|codec| [1, 2].map(|back| job(path, to - back, to, codec))).collect()
    }

    fn order(mut queue: Queue) -> Vec<(Job, Cause)> {
        std::iter::from_fn(move || queue.next()).collect()
    }

    #[test]
    fn asked_first_then_fast_then_the_newest_head() {
        let mut queue = Queue::default();
        queue.replace("a", of_head("a", 5));
        queue.replace("b", of_head("b", 7));
        queue.ask(job("a", 3, 5, Codec::Dense));
        queue.ask(job("c", 1, 2, Codec::Dense));
        let (fast, dense) = (Codec::Fast, Codec::Dense);
        let asked = [job("a", 3, 5, dense), job("c", 1, 2, dense)].map(|job| (job, Cause::Asked));
        let ahead = [
            job("b", 6, 7, fast),
            job("b", 5, 7, fast),
            job("a", 4, 5, fast),
            job("a", 3, 5, fast),
            job("b", 6, 7, dense),
            job("b", 5, 7, dense),
            job("a", 4, 5, dense),
        ];
        let ahead = ahead.map(|job| (job, Cause::Ahead));
        assert_eq!(order(queue), [&asked[..], &ahead[..]].concat());
    }

    #[test]
    fn what_first_visitors_get_comes_after_what_others_wait_for_and_before_what_takes_long() {
        let mut queue = Queue::default();
        let nothing = Job { work: Work::Delta { from: None, codec: Codec::Fast }, ..job("a", 0, 5, Codec::Fast) };
        let encoded = Job { work: Work::Coding(Coding::Brotli), ..nothing.clone() };
        queue.ask(encoded.clone());
        queue.ask(nothing.clone());
        queue.ask(nothing.clone());
        queue.replace("b", of_head("b", 5)[1..3].to_vec());
        queue.ask(job("c", 1, 2, Codec::Dense));
        let expected = [
            (job("c", 1, 2, Codec::Dense), Cause::Asked),
            (job("b", 3, 5, Codec::Fast), Cause::Ahead),
            (nothing.clone(), Cause::Asked),
            (encoded.clone(), Cause::Asked),
            (job("b", 4, 5, Codec::Dense), Cause::Ahead),
        ];
        assert_eq!(order(queue), expected);
        let mut queue = Queue::default();
        for number in 0..1000 {
            queue.ask(Job { path: format!("{number}").into(), ..nothing.clone() });
            queue.ask(Job { path: format!("{number}").into(), ..encoded.clone() });
        }
        queue.replace("0", Vec::new());
        assert_eq!(queue.len(), 2 * (MAX_WAITING - 1), "bounded, and gone with the head");
    }

    #[test]
    fn matched_chunks_are_few_and_equal_ones_wait_once() {
        let mut queue = Queue::default();
        let matched = |number: u8| {
            let file = [number; 5_000];
            let cuts = Cuts::of(&file, ChunkSizes::of(&file));
            let signature = Signature::sign([number; 16], cuts.chunks());
            let work = Work::Matched(MatchedChunks(Arc::new(signature.match_chunks(&cuts))));
            Job { work, ..job("a", 0, 5, Codec::Fast) }
        };
        for number in 0..10 {
            queue.ask(matched(number));
            queue.ask(matched(number));
        }
        queue.replace("b", of_head("b", 5));
        let left: Vec<Job> = order(queue).into_iter().map(|(job, _)| job).collect();
        let last: Vec<Job> = (0..MAX_MATCHED as u8).map(matched).collect();
        assert_eq!((left.len(), &left[4..]), (4 + MAX_MATCHED, &last[..]));
    }

    #[test]
    fn long_files_come_last() {
        let mut queue = Queue::default();
        let long = |job: Job| Job { is_long: true, ..job };
        queue.ask(long(job("long", 1, 2, Codec::Fast)));
        queue.replace("longer", of_head("longer", 5).into_iter().map(long).collect());
        queue.replace("a", of_head("a", 5));
        queue.ask(job("b", 1, 2, Codec::Fast));
        let left: Vec<(bool, Cause)> = order(queue).into_iter().map(|(job, cause)| (job.is_long, cause)).collect();
        let of_others = [(false, Cause::Asked)].into_iter().chain([(false, Cause::Ahead); 4]);
        let of_long = [(true, Cause::Asked)].into_iter().chain([(true, Cause::Ahead); 4]);
        assert_eq!(left, of_others.chain(of_long).collect::<Vec<_>>());
    }

    #[test]
    fn a_new_head_takes_the_place_of_what_waits_for_the_old_one() {
        let mut queue = Queue::default();
        queue.replace("a", of_head("a", 5));
        queue.replace("b", of_head("b", 5));
        queue.ask(job("a", 4, 5, Codec::Dense));
        queue.replace("a", of_head("a", 6));
        assert_eq!(queue.len(), 8);
        let left = order(queue).into_iter().map(|(job, _)| job);
        assert!(left.clone().filter(|job| &*job.path == "a").eq(of_head("a", 6)));
        assert!(left.filter(|job| &*job.path == "b").eq(of_head("b", 5)));
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_goes() {
        let mut queue = Queue::default();
        for number in 0..1000 {
            queue.replace(&format!("path {number}"), of_head(&format!("path {number}"), 2));
            queue.ask(job("asked", number, number + 1, Codec::Dense));
            queue.ask(job("asked", 0, 1, Codec::Dense));
        }
        assert_eq!(queue.len(), MAX_ASKED + 2 * MAX_WAITING);
        let ahead: Vec<Job> = order(queue).into_iter().skip(MAX_ASKED).map(|(job, _)| job).collect();
        assert_eq!(&*ahead[0].path, "path 999");
        assert_eq!(&*ahead[MAX_WAITING - 1].path, "path 872");
    }
}
