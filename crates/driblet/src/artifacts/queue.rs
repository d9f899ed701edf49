//! What is made in the background, and in which order.

use std::collections::VecDeque;
use std::sync::Arc;

use driblet_core::{Codec, Version};

use super::coding::{Coding, Effort};
use super::key::Key;

/// Deltas that receivers asked for and that wait at most; the next receiver asks again for what finds no place.
const MAX_ASKED: usize = 16;
/// What waits in each other line, at most: the deltas of some 80 files that change at once. What finds no place is made when it is asked
/// for.
const MAX_WAITING: usize = 256;

/// Something that waits for its turn. It names its versions and holds none open: of one that is evicted meanwhile, nothing is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Job {
    pub(super) path: Arc<str>,
    pub(super) to: Version,
    pub(super) work: Work,
}

/// What is made of a version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Work {
    /// The delta to it, from another version or from nothing.
    Delta { from: Option<Version>, codec: Codec },
    /// What browsers get that fetch it plainly.
    Coding(Coding),
}

impl Job {
    pub(super) fn key(&self) -> Key {
        match self.work {
            Work::Delta { from, codec } => Key::Delta { from, to: self.to, codec: Some(codec) },
            Work::Coding(coding) => Key::Encoded(self.to, coding, Effort::AtLeisure),
        }
    }

    /// The basis of a delta from a version.
    pub(super) fn from(&self) -> Option<Version> {
        match self.work {
            Work::Delta { from, .. } => from,
            Work::Coding(_) => None,
        }
    }
}

/// Why something is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    /// A receiver asked for it, and went on with what was ready.
    Asked,
    /// Nobody has asked for it yet.
    Ahead,
}

/// What waits: lines, one emptied before the next.
#[derive(Default)]
pub(super) struct Queue {
    /// Deltas between versions, first come, first served.
    asked: VecDeque<Job>,
    /// The newest head's first, and of those the newest basis's.
    ahead_fast: VecDeque<Job>,
    /// Deltas from nothing that were asked for: each is made once for all who come for the first time.
    nothing: VecDeque<Job>,
    /// Encoded files that were asked for.
    encoded: VecDeque<Job>,
    /// After all that, since one of these takes as long as a hundred fast ones.
    ahead_better: VecDeque<Job>,
}

impl Queue {
    /// Adds what a receiver asked for, unless it waits already or too many do.
    pub(super) fn ask(&mut self, job: Job) {
        let (line, most) = match job.work {
            Work::Delta { from: Some(_), .. } => (&mut self.asked, MAX_ASKED),
            Work::Delta { from: None, .. } => (&mut self.nothing, MAX_WAITING),
            Work::Coding(_) => (&mut self.encoded, MAX_WAITING),
        };
        if line.len() < most && !line.contains(&job) {
            line.push_back(job.clone());
            // It need not be made ahead any more.
            self.ahead_fast.retain(|waiting| *waiting != job);
            self.ahead_better.retain(|waiting| *waiting != job);
        }
    }

    /// Adds what a path's new head needs, newest basis first. Whatever waits for the path's former heads goes.
    pub(super) fn replace(&mut self, path: &str, jobs: Vec<Job>) {
        self.lines().for_each(|line| line.retain(|job| *job.path != *path));
        for job in jobs.into_iter().rev() {
            let is_fast = matches!(job.work, Work::Delta { codec: Codec::Fast, .. });
            let line = if is_fast { &mut self.ahead_fast } else { &mut self.ahead_better };
            line.push_front(job);
        }
        self.lines().for_each(|line| line.truncate(MAX_WAITING));
    }

    /// Takes what is made next.
    pub(super) fn next(&mut self) -> Option<(Job, Cause)> {
        const CAUSES: [Cause; 5] = [Cause::Asked, Cause::Ahead, Cause::Asked, Cause::Asked, Cause::Ahead];
        self.lines().zip(CAUSES).find_map(|(line, cause)| Some((line.pop_front()?, cause)))
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        [&self.asked, &self.ahead_fast, &self.nothing, &self.encoded, &self.ahead_better]
            .map(VecDeque::len)
            .iter()
            .sum()
    }

    /// In the order in which they are emptied.
    fn lines(&mut self) -> impl Iterator<Item = &mut VecDeque<Job>> {
        [&mut self.asked, &mut self.ahead_fast, &mut self.nothing, &mut self.encoded, &mut self.ahead_better]
            .into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(path: &str, from: u64, to: u64, codec: Codec) -> Job {
        let version = |number: u64| Version::of(&number.to_le_bytes());
        Job { path: path.into(), to: version(to), work: Work::Delta { from: Some(version(from)), codec } }
    }

    /// What a head needs, from the one before it and from the one before that.
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
