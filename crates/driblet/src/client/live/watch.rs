use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;
use tokio::task::JoinHandle;

use super::head::LiveHead;
use super::newest::Newest;
use super::session::{LiveSession, Pace};
use crate::client::request::Asset;
use crate::task::TaskFailed;
use crate::transfer::PullError;

/// The heads of an asset, from [`Client::watch`](crate::Client::watch). The client follows the asset from the first poll on, in a task of its
/// own, until this is dropped.
///
/// It must be polled in a Tokio runtime.
#[must_use = "a stream does nothing until it is polled"]
pub struct Watch {
    state: State,
    newest: Newest,
}

enum State {
    New(Box<LiveSession>),
    Running(JoinHandle<PullError>),
    Failed(PullError),
    Ended,
}

impl Watch {
    pub(super) fn new(asset: Result<Asset, PullError>, pace: Pace) -> Watch {
        let newest = Newest::default();
        let state = match asset {
            Ok(asset) => State::New(Box::new(LiveSession::new(asset, pace, newest.clone()))),
            Err(error) => State::Failed(error),
        };
        Watch { state, newest }
    }

    /// Sets what is called when the connection fails, or the server answers with an error. The client tries again. While
    /// it fails, only the first error is reported.
    ///
    /// Call it before the stream is polled; later it does nothing.
    pub fn on_failure(mut self, report: impl FnMut(&PullError) + Send + 'static) -> Watch {
        if let State::New(session) = &mut self.state {
            session.report_to(Box::new(report));
        }
        self
    }
}

impl Stream for Watch {
    type Item = Result<LiveHead, PullError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::New(session) => self.state = State::Running(tokio::spawn(session.run())),
                State::Running(mut task) => {
                    if let Poll::Ready(head) = self.newest.poll_take(context) {
                        self.state = State::Running(task);
                        return Poll::Ready(Some(Ok(head)));
                    }
                    let Poll::Ready(ended) = Pin::new(&mut task).poll(context) else {
                        self.state = State::Running(task);
                        return Poll::Pending;
                    };
                    self.state = State::Failed(ended.unwrap_or_else(|error| TaskFailed::of(error).into()));
                }
                State::Failed(error) => return Poll::Ready(Some(Err(error))),
                State::Ended => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let State::Running(task) = &self.state {
            task.abort();
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
