//! Tells a request's watchdog of the connections that are set up for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task_local;
use tower::{Layer, Service};

use crate::transfer::Watchdog;

task_local! {
    /// The watchdog of the request that the current task sends. All requests of a client share its connector.
    pub(super) static WATCHDOG: Watchdog;
}

/// Wraps the connector of a client.
#[derive(Clone)]
pub(super) struct WatchConnections;

impl<S> Layer<S> for WatchConnections {
    type Service = WatchedConnector<S>;

    fn layer(&self, inner: S) -> WatchedConnector<S> {
        WatchedConnector { inner }
    }
}

#[derive(Clone)]
pub(super) struct WatchedConnector<S> {
    inner: S,
}

impl<S, R> Service<R> for WatchedConnector<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let watchdog = WATCHDOG.try_with(Watchdog::clone).ok();
        if let Some(watchdog) = &watchdog {
            watchdog.connecting();
        }
        let connected = self.inner.call(request);
        Box::pin(async move {
            let connected = connected.await;
            if let Some(watchdog) = &watchdog {
                watchdog.reset();
            }
            connected
        })
    }
}
