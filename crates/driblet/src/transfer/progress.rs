use std::sync::Arc;
use std::time::Duration;

/// The progress of a pull, in bytes of the target.
///
/// ```
/// use driblet::{Progress, PullState};
///
/// fn show(progress: Progress) {
///     match progress.state {
///         PullState::Busy(wait) => println!("the server is busy; the client asks again in {wait:?}"),
///         _ => println!("{} of {} bytes", progress.done, progress.total),
///     }
/// }
/// # drop(show as fn(Progress));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes that are verified and staged.
    pub done: u64,
    /// The length of the target; 0 if it is not known yet.
    pub total: u64,
    /// Bytes received.
    pub received: u64,
    /// What the pull is doing.
    pub state: PullState,
}

/// What a pull is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum PullState {
    /// It waits for the server's response.
    Waiting,
    /// The server says that it is busy. The client asks again after this time.
    Busy(Duration),
    /// It receives bytes.
    Receiving,
}

/// Called with the progress.
pub(crate) type Report = Arc<dyn Fn(Progress) + Send + Sync>;
