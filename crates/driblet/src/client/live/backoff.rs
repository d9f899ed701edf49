//! When a receiver comes back.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Over which time receivers come back after the end of a stream without `retry`, and after the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest time over which receivers come back, unless the server asks for a longer one.
const LONGEST: Duration = Duration::from_secs(8);
/// The shortest and the longest `retry` that is heeded.
const RETRY: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(600);

/// Knows what the server asked for, and how often it failed since.
#[derive(Default)]
pub(super) struct Backoff {
    retry: Option<Duration>,
    failures: u32,
}

impl Backoff {
    /// The server says how many milliseconds to wait after the stream's end.
    pub(super) fn handle_retry(&mut self, milliseconds: u64) {
        self.retry = Some(Duration::from_millis(milliseconds).clamp(*RETRY.start(), *RETRY.end()));
    }

    /// A stream began.
    pub(super) fn handle_success(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after the end of a stream. `share` is a random number from 0 to 1.
    pub(super) fn after_end(&self, share: f64) -> Duration {
        self.retry.unwrap_or_else(|| FIRST.mul_f64(share))
    }

    /// How long to wait after a failure. `share` is a random number from 0 to 1.
    pub(super) fn after_failure(&mut self, share: f64) -> Duration {
        let first = self.retry.map_or(FIRST, |retry| FIRST.max(retry * 2));
        let limit = first.saturating_mul(1 << self.failures.min(16)).min(LONGEST.max(first));
        self.failures = self.failures.saturating_add(1);
        limit.mul_f64(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_longer_after_each_failure() {
        let mut backoff = Backoff::default();
        let waits = |backoff: &mut Backoff| [1.0; 6].map(|share| backoff.after_failure(share).as_secs_f64());
        assert_eq!(backoff.after_end(0.5), FIRST / 2);
        assert_eq!(waits(&mut backoff), [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]);
        backoff.handle_success();
        assert_eq!(backoff.after_failure(0.25), FIRST / 4);
        for _ in 0..1000 {
            assert!(backoff.after_failure(1.0) <= LONGEST);
        }
    }

    #[test]
    fn waits_as_the_server_says() {
        let mut backoff = Backoff::default();
        backoff.handle_retry(250);
        assert_eq!((backoff.after_end(0.1), backoff.after_failure(1.0)), (Duration::from_millis(250), FIRST));
        backoff.handle_retry(7_000);
        backoff.handle_success();
        assert_eq!(backoff.after_end(0.1), Duration::from_secs(7));
        assert_eq!([1.0; 3].map(|share| backoff.after_failure(share).as_secs()), [14; 3]);
        for extreme in [0, u64::MAX] {
            backoff.handle_retry(extreme);
            assert!(RETRY.contains(&backoff.after_end(0.0)));
            assert!(backoff.after_failure(1.0) <= *RETRY.end() * 2);
        }
    }
}
