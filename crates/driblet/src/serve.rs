//! The server's loop: connections in, with limits on what each may hold up.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;
use tracing::debug;

/// Before the next connection is accepted after one could not be.
const PAUSE: Duration = Duration::from_millis(20);

/// What a connection may do.
#[derive(Clone, Copy, Debug)]
pub struct ServeOptions {
    /// How long a client may take nothing of an answer before it is dropped. Default: 30 s.
    pub write_timeout: Duration,
    /// How long a client may take to send a request's head. Default: 30 s.
    pub header_timeout: Duration,
    /// Connections at once; more wait to be accepted. Default: 1,024.
    pub max_connections: usize,
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        let patience = Duration::from_secs(30);
        ServeOptions { write_timeout: patience, header_timeout: patience, max_connections: 1024 }
    }
}

/// Serves an application over HTTP/1.1 until the future is dropped.
///
/// # Errors
/// Only when the listener itself fails; what happens on one connection ends that connection alone.
pub async fn serve(listener: TcpListener, app: Router, options: ServeOptions) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(options.max_connections));
    loop {
        let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) if is_passing(&error) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let app = app.clone();
        tokio::spawn(async move {
            if let Err(error) = connection(stream, app, options).await {
                debug!(%error, "a connection ended");
            }
            drop(place);
        });
    }
}

async fn connection(stream: TcpStream, app: Router, options: ServeOptions) -> hyper::Result<()> {
    // Answers are written whole; waiting to fill a packet only delays the last one.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(options.write_timeout));
    let service = service_fn(move |request: Request<Incoming>| app.clone().oneshot(request));
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
        .with_upgrades()
        .await
}

/// Out of file handles, or a client that left before it was accepted: the next connection may well work.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::*;
    matches!(error.kind(), ConnectionAborted | ConnectionReset | ConnectionRefused | Interrupted)
        || error.raw_os_error() == Some(24)
}
