//! When to ask a busy server again, and which errors are errors of TLS.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

/// The longest wait before the client asks again, whatever the server says.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The first wait if the server says "at once". Each further wait is twice as long, up to [`LONGEST_STEP`].
const FIRST_STEP: Duration = Duration::from_millis(250);
/// The longest wait if the server says "at once".
const LONGEST_STEP: Duration = Duration::from_secs(8);

/// The time that a client may spend waiting for a busy server.
pub(crate) struct RetryBudget {
    most: Duration,
    step: Duration,
    until: Option<Instant>,
}

impl RetryBudget {
    /// A budget that starts with the first wait.
    pub(crate) fn new(most: Duration) -> RetryBudget {
        RetryBudget { most, step: FIRST_STEP, until: None }
    }

    /// How long to wait before the next request, if the server says `told`. `None` if the budget is spent.
    pub(crate) fn next_wait(&mut self, told: Duration) -> Option<Duration> {
        let now = Instant::now();
        let until = *self.until.get_or_insert(now.checked_add(self.most)?);
        let rest = until.checked_duration_since(now).filter(|rest| !rest.is_zero())?;
        let wait = told.max(self.step).min(LONGEST_WAIT);
        self.step = (self.step * 2).min(LONGEST_STEP);
        // Up to a quarter more, so that clients that got the same answer do not come back together.
        Some((wait + wait.mul_f64(random_share() / 4.0)).min(rest))
    }
}

/// The wait that a response asks for in `Retry-After`, in seconds or as a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// A random number from 0 to 1.
pub(super) fn random_share() -> f64 {
    let mut bytes = [0; 2];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX),
        Err(_) => 0.5,
    }
}

/// Whether an error is an error of TLS.
pub(crate) fn is_tls(error: &(dyn Error + 'static)) -> bool {
    // `source` of an `io::Error` skips the error inside it.
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let inner = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
    error.is::<rustls::Error>() || inner.is_some_and(is_tls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_as_told_and_not_without_end() {
        let mut budget = RetryBudget::new(Duration::from_secs(300));
        let wait = budget.next_wait(Duration::from_secs(8)).unwrap();
        assert!((8.0..=10.0).contains(&wait.as_secs_f64()), "{wait:?}");
        assert!(budget.next_wait(Duration::MAX).unwrap() <= LONGEST_WAIT.mul_f64(1.25));
        let steps = [0.5, 1.0, 2.0, 4.0, 8.0, 8.0];
        // The second of two waits was a step too.
        steps[1..].iter().for_each(|step| {
            let wait = budget.next_wait(Duration::ZERO).unwrap().as_secs_f64();
            assert!((*step..=step * 1.25).contains(&wait), "{wait} for {step}");
        });
        assert_eq!(RetryBudget::new(Duration::ZERO).next_wait(Duration::ZERO), None);
    }

    #[test]
    fn reads_seconds_and_dates() {
        let told = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(told("7"), Some(Duration::from_secs(7)));
        assert_eq!(told("99999999999999999999"), Some(Duration::from_secs(u64::MAX)));
        assert_eq!(told("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert!(Duration::from_secs(1 << 30) < told("Fri, 31 Dec 9999 23:59:59 GMT").unwrap());
        for nothing in ["", "-1", "1.5", "soon"] {
            assert_eq!(told(nothing), None, "{nothing}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
