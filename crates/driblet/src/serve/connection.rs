//! One connection: its stream, which enforces the time limits, and the requests on it.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
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
use hyper::{Method, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_io_timeout::TimeoutStream;
use tokio_util::either::Either;
use tower::ServiceExt;
use tracing::debug;

use super::access::AccessRecord;
use super::addresses::AddressPlace;
use super::connections::{
    ConnectionEntry, ConnectionPhase, ConnectionPlace, Connections, RunningRequest, RunningStream,
};
use super::cut_off::CutOff;
use super::held::BodyBytes;
use super::listener::{Accepted, ListenerOptions, Stream};
use super::proxy_header;
use super::tls::Tls;
use crate::causes::with_causes;
use crate::client_address::ClientAddress;

/// The most requests at a time on one connection (HTTP/2).
const MAX_STREAMS: u32 = 100;
/// The most bytes of a request's headers. Browsers send some kilobytes; a connection holds what has arrived of them.
const MAX_HEADERS: u32 = 64 << 10;
/// The bytes that a client may send before a request takes them (HTTP/2). Signatures are the longest bodies.
const WINDOW: u32 = 256 << 10;
/// The bytes of an answer that h2 queues before it takes no further piece (HTTP/2). Each piece is longer: a queue that
/// holds one is full.
const MAX_QUEUED: usize = 16 << 10;

/// The bytes of a live stream that the system takes and cannot send yet.
#[cfg(target_os = "linux")]
const MAX_UNSENT: u32 = 16 << 10;

/// An extension of each request. Responses that only wait learn from it that the server stops.
#[derive(Clone)]
pub(crate) struct Stopping(watch::Receiver<bool>);

/// An extension of answers that are live streams.
#[derive(Clone)]
pub(crate) struct LiveAnswer;

/// An extension of requests that came over TLS.
#[derive(Clone)]
pub(crate) struct Encrypted;

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
    Accepted { stream, mut peer, options }: Accepted,
    address: Option<AddressPlace>,
    app: Router,
    connections: &Arc<Connections>,
) -> impl Future<Output = ()> + Send + use<> {
    // Responses are written whole. Waiting for a full packet would only delay the last one.
    if let Either::Left(tcp) = &stream {
        let _ = tcp.set_nodelay(true);
    }
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(connections.options.write_timeout));
    let (connections, place) = (connections.clone(), connections.enter());
    let entry = place.entry.clone();
    let mut stream = ClientStream { stream: Box::pin(stream), place, address, timer: None, limits_unsent: false };
    let all = connections.clone();
    async move {
        if options.proxy_protocol {
            match behind_proxy(&mut stream, peer, &options, &connections).await {
                Some(client) => peer = client,
                None => return,
            }
        }
        let client = (peer, options.tls.is_some());
        // Boxed, so that a connection without TLS does not take the memory of one with TLS.
        let ended = match options.tls {
            None => Box::pin(serve_http(stream, client, app, connections, entry)).await,
            Some(tls) => Box::pin(serve_https(&tls, stream, client, app, connections, entry)).await,
        };
        if let Err(error) = ended {
            let reason = CutOff::of(error.as_ref());
            debug!(%error, ?reason, "a connection ended");
            if let Some(reason) = reason {
                all.cut_offs.note(reason);
            }
        }
    }
}

/// The client's address, as the proxy states it; `None` if the connection must end.
async fn behind_proxy(
    stream: &mut ClientStream,
    proxy: SocketAddr,
    options: &ListenerOptions,
    connections: &Connections,
) -> Option<SocketAddr> {
    let client = match proxy_header::read(stream).await {
        Ok(client) => client.unwrap_or(proxy),
        Err(error) => {
            let proxy = ClientAddress::of_peer(proxy.ip(), &options.proxies);
            connections.addresses.log(proxy, &with_causes(&error));
            return None;
        }
    };
    stream.address = connections.addresses.enter(ClientAddress::of_peer(client.ip(), &options.proxies));
    // The client's own first byte may take its time.
    stream.place.entry.state().enter(ConnectionPhase::New);
    stream.address.is_some().then_some(client)
}

async fn serve_https(
    tls: &Tls,
    stream: ClientStream,
    client: (SocketAddr, bool),
    app: Router,
    connections: Arc<Connections>,
    entry: Arc<ConnectionEntry>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    serve_http(tls.accept(stream).await?, client, app, connections, entry).await
}

async fn serve_http(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    (peer, is_encrypted): (SocketAddr, bool),
    app: Router,
    connections: Arc<Connections>,
    entry: Arc<ConnectionEntry>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let requests = entry.clone();
    // Boxed, so that its memory is free while the answer is sent: live streams take their time.
    let service = service_fn(move |request| {
        Box::pin(answer(request, (peer, is_encrypted), app.clone(), &connections, &requests))
    });
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1().max_buf_size(MAX_HEADERS as usize);
    http.http2()
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS)
        .initial_connection_window_size(WINDOW)
        .initial_stream_window_size(WINDOW)
        .max_send_buf_size(MAX_QUEUED);
    let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => return ended,
        () = entry.leave.notified() => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

fn answer(
    mut request: Request<Incoming>,
    (peer, is_encrypted): (SocketAddr, bool),
    app: Router,
    connections: &Arc<Connections>,
    entry: &Arc<ConnectionEntry>,
) -> impl Future<Output = Result<Response<TrackedBody>, Infallible>> + use<> {
    let version = request.version();
    let mut record = connections.options.observed.then(|| AccessRecord::begin(&request, peer.ip())).flatten();
    let (connections, running) = (connections.clone(), RunningRequest::begin(connections, entry, version));
    request.extensions_mut().insert(ConnectInfo(peer));
    if is_encrypted {
        request.extensions_mut().insert(Encrypted);
    }
    request.extensions_mut().insert(Stopping(connections.stopping().subscribe()));
    async move {
        let is_connect = request.method() == Method::CONNECT;
        // A proxy may have taken another length for the body than hyper: what follows may be no request of this client
        // (RFC 9112, section 6.1).
        let is_last = request.headers().contains_key(header::TRANSFER_ENCODING);
        let mut response = app.oneshot(request).await?;
        let status = response.status();
        if let Some(record) = &mut record {
            record.status = status.as_u16();
            if let Some(client) = response.extensions().get::<ClientAddress>() {
                record.client = client.ip();
            }
        }
        if status == StatusCode::SWITCHING_PROTOCOLS || (is_connect && status.is_success()) {
            running.upgrade();
        } else if (connections.is_stopping() || is_last) && version != Version::HTTP_2 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        let held = (version == Version::HTTP_2).then(|| BodyBytes::new(&running.entry().held));
        let live = response.extensions().get::<LiveAnswer>().map(|_| running.live());
        Ok(response.map(|body| TrackedBody { body, running, is_waiting: false, record, held, live }))
    }
}

/// The body of a response. The connection is busy as long as the body exists.
struct TrackedBody {
    body: Body,
    running: RunningRequest,
    /// Whether the client has not taken the last piece yet.
    is_waiting: bool,
    record: Option<AccessRecord>,
    /// What it holds in memory (HTTP/2).
    held: Option<BodyBytes>,
    /// Set if it is a live stream.
    live: Option<RunningStream>,
}

impl TrackedBody {
    fn set_waiting(&mut self, is_waiting: bool) {
        if is_waiting != self.is_waiting {
            self.is_waiting = is_waiting;
            let mut state = self.running.entry().state();
            if is_waiting {
                state.waiting_bodies += 1;
                state.note_piece();
            } else {
                state.waiting_bodies -= 1;
            }
        }
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        self.set_waiting(false);
    }
}

impl hyper::body::Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(held) = &self.held {
            // Until then, the client has not taken the last piece.
            ready!(held.poll_more(context));
        }
        if self.live.is_some() && self.held.is_none() && self.running.entry().is_blocked(context) {
            // Until then, the client has not read the last event. It skips those that come meanwhile.
            return Poll::Pending;
        }
        self.set_waiting(false);
        let frame = Pin::new(&mut self.body).poll_frame(context);
        self.set_waiting(matches!(frame, Poll::Ready(Some(Ok(_)))));
        if let (Poll::Ready(Some(Ok(frame))), Some(record)) = (&frame, &mut self.record) {
            record.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        match &self.held {
            None => frame,
            Some(held) => frame.map_ok(|frame| frame.map_data(|bytes| held.hold(bytes))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose reader gets the end of the stream when the client takes too long, or when the connection must end.
///
/// hyper's own limit for the head of a request also runs while a connection is idle, so it cannot be used.
struct ClientStream {
    stream: Pin<Box<TimeoutStream<Stream>>>,
    place: ConnectionPlace,
    /// Its place among the connections of its client; `None` until a proxy has named the client.
    address: Option<AddressPlace>,
    timer: Option<Pin<Box<Sleep>>>,
    limits_unsent: bool,
}

impl ClientStream {
    /// Ready when the wait for more bytes must end. An error if a request had begun to arrive, or if the client takes
    /// nothing of an answer.
    ///
    /// The end of the stream would cut off what HTTP/2 has not written yet, so such a client is told to leave instead,
    /// and gets the end only if it stays, or if others need its place.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ConnectionPlace { connections, entry, .. } = &self.place;
        entry.reader.register(context.waker());
        if connections.is_killed() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let options = &connections.options;
        let (phase, deadline, is_http2, is_leaving) = {
            let state = entry.state();
            let (since, limit) = match state.phase {
                ConnectionPhase::New | ConnectionPhase::Head => (state.since, options.header_timeout),
                ConnectionPhase::Idle if state.is_leaving => (state.idle_since(), options.header_timeout),
                ConnectionPhase::Idle if !state.is_blocked => (state.idle_since(), options.keep_alive),
                // A client that takes nothing of a body: by HTTP/2's flow control, it can do so without blocking the
                // stream.
                ConnectionPhase::Busy if state.is_http2 && 0 < state.waiting_bodies => {
                    (state.taken, options.write_timeout)
                }
                ConnectionPhase::Busy if state.is_http2 => (Instant::now(), options.write_timeout),
                ConnectionPhase::Idle | ConnectionPhase::Busy | ConnectionPhase::Upgraded => return Poll::Pending,
            };
            if state.gives_way && state.phase != ConnectionPhase::Busy {
                return Poll::Ready(Ok(()));
            }
            (state.phase, since.checked_add(limit), state.is_http2, state.is_leaving)
        };
        let is_waiting = matches!(phase, ConnectionPhase::New | ConnectionPhase::Idle);
        let stops = connections.is_stopping() && (is_http2 || (is_waiting && !self.has_unread()));
        if !stops || is_leaving {
            let Some(deadline) = deadline else { return Poll::Pending };
            ready!(self.poll_timer(deadline, context));
        }
        if is_http2 && !is_leaving && (stops || is_waiting) {
            self.place.entry.begin_to_leave();
            return self.poll_deadline(context);
        }
        Poll::Ready(if is_waiting { Ok(()) } else { Err(io::ErrorKind::TimedOut.into()) })
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
        let stream = match self.stream.get_ref() {
            Either::Left(tcp) => tcp.as_fd(),
            Either::Right(unix) => unix.as_fd(),
        };
        rustix::io::ioctl_fionread(stream).is_ok_and(|unread| 0 < unread)
    }

    /// Fails after the connection was killed.
    fn check_alive(&self) -> io::Result<()> {
        if self.place.connections.is_killed() { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
    }

    /// Notes whether the client reads what is written.
    fn note_written(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let mut state = self.place.entry.state();
        let is_live = 0 < state.live;
        if written.is_ready() && state.is_blocked && state.phase == ConnectionPhase::Idle {
            // With HTTP/2, what is written may be an answer to a ping.
            if !state.is_http2 {
                state.enter(ConnectionPhase::Idle);
            }
            self.place.entry.reader.wake();
        }
        if written.is_ready() && state.is_blocked {
            self.place.entry.unblocked.wake();
        }
        state.is_blocked = written.is_pending();
        if let Poll::Ready(Ok(bytes)) = written {
            state.note_written(bytes);
        }
        drop(state);
        if is_live && !self.limits_unsent {
            self.limit_unsent();
        }
        written
    }

    /// Has the system take no more than [`MAX_UNSENT`] bytes that it cannot send yet: those of events that are old by the
    /// time at which the client reads them.
    fn limit_unsent(&mut self) {
        self.limits_unsent = true;
        #[cfg(target_os = "linux")]
        if let Either::Left(tcp) = self.stream.get_ref() {
            // Without it, the system takes some megabytes.
            let _ = socket2::SockRef::from(tcp).set_tcp_notsent_lowat(MAX_UNSENT);
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match self.stream.as_mut().poll_read(context, buf) {
            Poll::Ready(Ok(())) => {
                let mut state = self.place.entry.state();
                state.note_read(buf.filled().len() - before);
                if state.is_overdue(&self.place.connections.options) {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                // With HTTP/2, not all that arrives between two requests is a request.
                let is_expected =
                    state.phase == ConnectionPhase::New || state.phase == ConnectionPhase::Idle && !state.is_http2;
                if before < buf.filled().len() && is_expected {
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
