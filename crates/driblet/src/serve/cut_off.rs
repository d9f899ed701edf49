//! Clients that were cut off: many of them are told in the log, once.

use std::error::Error;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

/// So many within [`WINDOW`] are told. On the internet some always are: scanners, and browsers that lose their network.
const MANY: u32 = 50;
const WINDOW: Duration = Duration::from_secs(60);

/// Why a client was cut off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum CutOff {
    /// It did not send a whole head in time, or took nothing of an answer.
    Slow,
    /// What it sent is no request: too long a head, or no HTTP.
    Malformed,
    /// It broke HTTP/2's rules, or made the server work for nothing.
    Http2,
}

impl CutOff {
    /// The reason of an error that has ended a connection; `None` if the client has left.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Option<CutOff> {
        let mut error = Some(error);
        let mut reason = None;
        while let Some(cause) = error {
            if let Some(cause) = cause.downcast_ref::<io::Error>() {
                return (cause.kind() == io::ErrorKind::TimedOut).then_some(CutOff::Slow);
            }
            if let Some(cause) = cause.downcast_ref::<hyper::Error>() {
                reason = match () {
                    () if cause.is_parse() => Some(CutOff::Malformed),
                    // hyper has no name for it: the source is an error of h2.
                    () if cause.source().is_some() => Some(CutOff::Http2),
                    () => None,
                };
            }
            error = cause.source();
        }
        reason
    }
}

/// How many clients were cut off lately.
#[derive(Default)]
pub(super) struct CutOffs(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    since: Option<Instant>,
    slow: u32,
    malformed: u32,
    http2: u32,
    /// Whether there were many in the window before, so that they are told already.
    is_told: bool,
}

impl CutOffs {
    pub(super) fn note(&self, reason: CutOff) {
        let counts = {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            counts.note(reason, Instant::now()).then(|| (counts.slow, counts.malformed, counts.http2))
        };
        if let Some((slow, malformed, http2)) = counts {
            let seconds = WINDOW.as_secs();
            warn!(
                slow,
                malformed,
                http2,
                "{MANY} clients were cut off within {seconds} s, and others will be; RUST_LOG=driblet=debug tells of each"
            );
        }
    }
}

impl Counts {
    /// Counts one. Gives whether it is time to tell.
    fn note(&mut self, reason: CutOff, now: Instant) -> bool {
        if self.since.is_none_or(|since| WINDOW <= now - since) {
            let is_quiet = self.since.is_none_or(|since| 2 * WINDOW <= now - since) || self.all() < MANY;
            *self = Counts { since: Some(now), is_told: !is_quiet && self.is_told, ..Counts::default() };
        }
        match reason {
            CutOff::Slow => self.slow += 1,
            CutOff::Malformed => self.malformed += 1,
            CutOff::Http2 => self.http2 += 1,
        }
        let tells = self.all() == MANY && !self.is_told;
        self.is_told |= tells;
        tells
    }

    fn all(&self) -> u32 {
        self.slow.saturating_add(self.malformed).saturating_add(self.http2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(counts: &mut Counts, count: u32, now: Instant) -> usize {
        (0..count).filter(|_| counts.note(CutOff::Slow, now)).count()
    }

    #[test]
    fn many_are_told_once_until_there_are_few() {
        let (mut counts, start) = (Counts::default(), Instant::now());
        assert_eq!(noted(&mut counts, MANY - 1, start), 0);
        assert_eq!(noted(&mut counts, 1, start), 1);
        assert_eq!(noted(&mut counts, 10 * MANY, start), 0);
        // They go on.
        assert_eq!(noted(&mut counts, MANY, start + WINDOW), 0);
        assert_eq!(noted(&mut counts, MANY - 1, start + 2 * WINDOW), 0);
        // There were few, so that many are news.
        assert_eq!(noted(&mut counts, MANY, start + 3 * WINDOW), 1);
        // There were none.
        assert_eq!(noted(&mut counts, MANY, start + 6 * WINDOW), 1);
    }
}
