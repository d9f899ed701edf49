//! One connection: its stream, which enforces the time limits, and the requests on it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;
use tracing::debug;

use super::connections::{ConnectionEntry, ConnectionPhase, ConnectionPlace, Connections, RunningRequest};

/// An extension of each request. Responses that only wait learn from it that the server stops.
#[derive(Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Completes when the server stops. It never completes if the server ends without that.
    pub(crate) async fn begins(mut self) {
        if self.0.wait_for(|stopping| *stopping).await.is_err() {
            std::future::pending().await
        }
    }
}

/// Serves one connection to its end.
pub(super) fn run(
    stream: TcpStream,
    peer: SocketAddr,
    app: Router,
    connections: &Arc<Connections>,
) -> impl Future<Output = ()> + Send + use<> {
    // Responses are written whole. Waiting for a full packet would only delay the last one.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(connections.options.write_timeout));
    let (connections, place) = (connections.clone(), connections.enter());
    let entry = place.entry.clone();
    let stream = ClientStream { stream: Box::pin(stream), place, timer: None };
    let service = service_fn(move |request| answer(request, peer, app.clone(), &connections, &entry));
    async move {
        let served = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
            .await;
        if let Err(error) = served {
            debug!(%error, "a connection ended");
        }
    }
}

fn answer(
    mut request: Request<Incoming>,
    peer: SocketAddr,
    app: Router,
    connections: &Arc<Connections>,
    entry: &Arc<ConnectionEntry>,
) -> impl Future<Output = Result<Response<TrackedBody>, Infallible>> + use<> {
    let (connections, running) = (connections.clone(), RunningRequest::begin(connections, entry));
    request.extensions_mut().insert(ConnectInfo(peer));
    request.extensions_mut().insert(Stopping(connections.stopping().subscribe()));
    async move {
        let is_connect = request.method() == Method::CONNECT;
        let mut response = app.oneshot(request).await?;
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS || (is_connect && status.is_success()) {
            running.upgrade();
        } else if connections.is_stopping() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| TrackedBody { body, _running: running }))
    }
}

/// The body of a response. The connection is busy as long as the body exists.
struct TrackedBody {
    body: Body,
    _running: RunningRequest,
}

impl hyper::body::Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A TCP stream whose reader gets the end of the stream when the client takes too long, or when the connection must
/// end.
///
/// hyper's own limit for the head of a request also runs while a connection is idle, so it cannot be used.
struct ClientStream {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    place: ConnectionPlace,
    timer: Option<Pin<Box<Sleep>>>,
}

impl ClientStream {
    /// Ready when the wait for more bytes must end. An error if a request had begun to arrive.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ConnectionPlace { connections, entry, .. } = &self.place;
        entry.reader.register(context.waker());
        if connections.is_killed() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let options = &connections.options;
        let (phase, deadline) = {
            let state = entry.state();
            let limit = match state.phase {
                ConnectionPhase::New | ConnectionPhase::Head => options.header_timeout,
                ConnectionPhase::Idle if !state.is_blocked => options.keep_alive,
                ConnectionPhase::Idle | ConnectionPhase::Busy | ConnectionPhase::Upgraded => return Poll::Pending,
            };
            if state.gives_way {
                return Poll::Ready(Ok(()));
            }
            (state.phase, state.since.checked_add(limit))
        };
        if phase != ConnectionPhase::Head && connections.is_stopping() && !self.has_unread() {
            return Poll::Ready(Ok(()));
        }
        let Some(deadline) = deadline else { return Poll::Pending };
        ready!(self.poll_timer(deadline, context));
        Poll::Ready(if phase == ConnectionPhase::Head { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) })
    }

    fn poll_timer(&mut self, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(context)
    }

    /// Whether the system has bytes that the runtime does not know of yet.
    fn has_unread(&self) -> bool {
        rustix::io::ioctl_fionread(self.stream.get_ref()).is_ok_and(|unread| 0 < unread)
    }

    /// Fails after the connection was killed.
    fn check_alive(&self) -> io::Result<()> {
        if self.place.connections.is_killed() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Notes whether the client reads what is written.
    fn note_written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let mut state = self.place.entry.state();
        if written.is_ready() && state.is_blocked && state.phase == ConnectionPhase::Idle {
            state.enter(ConnectionPhase::Idle);
            self.place.entry.reader.wake();
        }
        state.is_blocked = written.is_pending();
        written
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match self.stream.as_mut().poll_read(context, buf) {
            Poll::Ready(Ok(())) => {
                let mut state = self.place.entry.state();
                if before < buf.filled().len() && matches!(state.phase, ConnectionPhase::New | ConnectionPhase::Idle) {
                    state.enter(ConnectionPhase::Head);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.poll_deadline(context),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.place.entry.writer.register(context.waker());
        self.check_alive()?;
        let written = self.stream.as_mut().poll_write(context, buf);
        self.note_written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.place.entry.writer.register(context.waker());
        self.check_alive()?;
        let written = self.stream.as_mut().poll_write_vectored(context, bufs);
        self.note_written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }
}
