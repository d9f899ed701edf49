use std::time::Duration;

use driblet_core::Limits;

/// How a [`pull`] may go about it.
#[derive(Clone, Debug)]
pub struct PullOptions {
    /// How long each of these may take before the pull gives up: a connection, the wait for an answer, the wait for the answer's next
    /// bytes. The upload of a long signature has a second more for each 16 KiB. Default: 30 s.
    pub timeout: Duration,
    /// How long the server may say that it is busy (503 or 429 with `Retry-After`) before the pull gives up. It is asked again after as long
    /// as it says and up to a quarter more, but at most a minute. Default: 10 min.
    pub busy_timeout: Duration,
    /// The longest file that is accepted, in bytes. Default: 1 TiB.
    pub max_len: u64,
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
