use std::time::Duration;

use driblet_core::Limits;

/// Limits of a pull.
///
/// ```
/// use std::time::Duration;
///
/// let options = driblet::PullOptions::default()
///     .timeout(Duration::from_secs(5))
///     .busy_timeout(Duration::from_secs(60))
///     .max_len(1 << 20);
/// assert_eq!(options.max_len, 1 << 20);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PullOptions {
    /// How long each of these may take: to connect, to wait for the response, to wait for the next bytes of the
    /// response. The upload of a long signature may take a second longer for each 16 KiB. Default: 30 s.
    pub timeout: Duration,
    /// How long the server may say that it is busy (503 or 429 with `Retry-After`). The client asks again after the
    /// time that the server states and up to a quarter more, but at most a minute. Default: 10 min.
    pub busy_timeout: Duration,
    /// The longest file that is accepted, in bytes. Default: 1 TiB.
    pub max_len: u64,
}

impl PullOptions {
    /// Sets how long the client waits for a connection, a response, and further bytes.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> PullOptions {
        PullOptions { timeout, ..self }
    }

    /// Sets how long the server may say that it is busy.
    #[must_use]
    pub fn busy_timeout(self, busy_timeout: Duration) -> PullOptions {
        PullOptions { busy_timeout, ..self }
    }

    /// Sets the longest file that is accepted, in bytes.
    #[must_use]
    pub fn max_len(self, max_len: u64) -> PullOptions {
        PullOptions { max_len, ..self }
    }
}

impl Default for PullOptions {
    fn default() -> PullOptions {
        PullOptions {
            timeout: Duration::from_secs(30),
            busy_timeout: Duration::from_secs(600),
            max_len: Limits::default().target,
        }
    }
}
