//! What is made in the background, and in which order.

use std::collections::VecDeque;
use std::sync::Arc;

use driblet_core::{Codec, Version};

use super::{Care, Key};

/// Deltas that receivers asked for and that wait at most; the next receiver asks again for what finds no place.
const MAX_ASKED: usize = 16;
/// Deltas that wait in each line to be made ahead, at most: those of some 80 files that change at once. What finds no place is made when it
/// is asked for.
const MAX_AHEAD: usize = 256;

/// A delta that waits for its turn. It names its versions and holds neither open: of one that is evicted meanwhile, no delta is made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Job {
    pub(super) path: Arc<str>,
    pub(super) from: Version,
    pub(super) to: Version,
    pub(super) codec: Codec,
}

impl Job {
    pub(super) fn key(&self) -> Key {
        Key::Delta(Some(self.from), self.to, Care::AtLeisure(self.codec))
    }
}

/// Why a delta is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    /// A receiver asked for it, and went on with what was ready.
    Asked,
    /// Nobody has asked for it yet.
    Ahead,
}

/// Deltas that wait: three lines, one emptied before the next.
#[derive(Default)]
pub(super) struct Queue {
    /// First come, first served.
    asked: VecDeque<Job>,
    /// The newest head's first, and of those the newest basis's.
    ahead_fast: VecDeque<Job>,
    /// After all fast ones, since one of these takes as long as a hundred of those.
    ahead_better: VecDeque<Job>,
}

impl Queue {
    /// Adds what a receiver asked for, unless it waits already or too many do.
    pub(super) fn ask(&mut self, job: Job) {
        if self.asked.len() < MAX_ASKED && !self.asked.contains(&job) {
            self.lines().for_each(|line| line.retain(|waiting| *waiting != job));
            self.asked.push_back(job);
        }
    }

    /// Adds what a path's new head needs, newest basis first. Whatever waits for the path's former heads goes.
    pub(super) fn replace(&mut self, path: &str, jobs: Vec<Job>) {
        self.lines().for_each(|line| line.retain(|job| *job.path != *path));
        for job in jobs.into_iter().rev() {
            let line = if job.codec == Codec::Fast { &mut self.ahead_fast } else { &mut self.ahead_better };
            line.push_front(job);
        }
        self.lines().for_each(|line| line.truncate(MAX_AHEAD));
    }

    /// Takes what is made next.
    pub(super) fn next(&mut self) -> Option<(Job, Cause)> {
        if let Some(job) = self.asked.pop_front() {
            return Some((job, Cause::Asked));
        }
        let ahead = self.ahead_fast.pop_front().or_else(|| self.ahead_better.pop_front());
        ahead.map(|job| (job, Cause::Ahead))
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.asked.len() + self.ahead_fast.len() + self.ahead_better.len()
    }

    fn lines(&mut self) -> impl Iterator<Item = &mut VecDeque<Job>> {
        [&mut self.asked, &mut self.ahead_fast, &mut self.ahead_better].into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(path: &str, from: u64, to: u64, codec: Codec) -> Job {
        let version = |number: u64| Version::of(&number.to_le_bytes());
        Job { path: path.into(), from: version(from), to: version(to), codec }
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
        assert_eq!(queue.len(), MAX_ASKED + 2 * MAX_AHEAD);
        let ahead: Vec<Job> = order(queue).into_iter().skip(MAX_ASKED).map(|(job, _)| job).collect();
        assert_eq!(&*ahead[0].path, "path 999");
        assert_eq!(&*ahead[MAX_AHEAD - 1].path, "path 872");
    }
}
