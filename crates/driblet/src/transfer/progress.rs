use std::sync::Arc;
use std::time::Duration;

/// Progress of a pull, in bytes of the target.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Bytes verified and staged.
    pub done: u64,
    /// The target's length.
    pub total: u64,
    /// Bytes received.
    pub received: u64,
    /// What is being done.
    pub state: State,
}

/// What a pull is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The server is asked, and has not answered.
    Waiting,
    /// The server says that it is busy; it is asked again after this long.
    Busy(Duration),
    /// Bytes come.
    Receiving,
}

/// Called as bytes are staged.
pub(crate) type Report = Arc<dyn Fn(Progress) + Send + Sync>;
