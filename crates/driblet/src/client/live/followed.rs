//! Which head a receiver follows, of all that servers name.

use std::time::Duration;

use driblet_core::Version;
use tokio::time::Instant;

use super::head::HeadId;

/// How long a version that was left is remembered. Longer than servers behind a balancer take to be replaced.
const REMEMBERED: Duration = Duration::from_secs(60);
/// The time between two doubtful answers of which the second is followed.
const APART: Duration = Duration::from_secs(10);
/// The most versions that are remembered, whatever the server sends.
const MOST_LEFT: usize = 1024;

/// What a receiver does with an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It is the head from now on.
    Follow,
    /// It names the version that is followed.
    Same,
    /// Another answer is needed, at this time or later.
    Doubt { ask_at: Instant },
}

/// The head that a receiver follows, and what it needs to judge the next answer.
#[derive(Default)]
pub(super) struct Followed {
    head: Option<(HeadId, Version)>,
    /// The versions that were left, and when; the oldest first.
    left: Vec<(Version, Instant)>,
    /// A doubtful version, and when it was first named.
    doubt: Option<(Version, Instant)>,
}

impl Followed {
    /// Judges an answer.
    pub(super) fn handle_answer(&mut self, now: Instant, id: HeadId, version: Version) -> Verdict {
        self.left.retain(|(_, at)| now.saturating_duration_since(*at) < REMEMBERED);
        let verdict = self.judge(now, id, version);
        if let Verdict::Doubt { .. } = verdict {
            return verdict;
        }
        if let (Verdict::Follow, Some((_, left))) = (verdict, self.head) {
            self.left.retain(|(version, _)| *version != left);
            if self.left.len() == MOST_LEFT {
                self.left.remove(0);
            }
            self.left.push((left, now));
        }
        (self.head, self.doubt) = (Some((id, version)), None);
        verdict
    }

    fn judge(&mut self, now: Instant, id: HeadId, version: Version) -> Verdict {
        let Some((known_id, known)) = self.head else { return Verdict::Follow };
        if version == known {
            return Verdict::Same;
        }
        let is_clear = match id.epoch == known_id.epoch {
            true => known_id.counter < id.counter,
            false => !self.left.iter().any(|(left, _)| *left == version),
        };
        if is_clear {
            return Verdict::Follow;
        }
        let first = match self.doubt {
            Some((doubted, at)) if doubted == version => at,
            _ => now,
        };
        self.doubt = Some((version, first));
        if first + APART <= now { Verdict::Follow } else { Verdict::Doubt { ask_at: first + APART } }
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::{examples, text};
    use super::*;

    #[test]
    fn the_examples() {
        for example in examples("follow") {
            let (mut followed, start) = (Followed::default(), Instant::now());
            for (number, answer) in example["answers"].as_array().unwrap().iter().enumerate() {
                let now = start + Duration::from_millis(answer["at"].as_u64().unwrap());
                let id = HeadId::parse(&format!("{}.{}", text(&answer["epoch"]), answer["counter"])).unwrap();
                let does = match followed.handle_answer(now, id, text(&answer["version"]).parse().unwrap()) {
                    Verdict::Follow => "follow",
                    Verdict::Same => "same",
                    Verdict::Doubt { .. } => "doubt",
                };
                assert_eq!(does, answer["does"], "{}, answer {number}", example["name"]);
            }
        }
    }

    #[test]
    fn many_versions_take_little_memory() {
        let (mut followed, now) = (Followed::default(), Instant::now());
        let epoch = HeadId::parse("0011223344556677.0").unwrap().epoch;
        for counter in 0..3000 {
            let version = Version::of(&u64::to_le_bytes(counter));
            assert_eq!(followed.handle_answer(now, HeadId { epoch, counter }, version), Verdict::Follow);
        }
        assert_eq!(followed.left.len(), MOST_LEFT);
    }
}
