use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use driblet_core::browser_sync_stream::RabinOptions;
use reqwest::header::AUTHORIZATION;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use url::Url;

use super::client_socket::client_side;
use super::file_store::FileStore;
use super::receive::{Received, receive_as};
use super::socket::joined;
use super::watched_stream::WatchedStream;
use crate::client::{Client, RetryBudget, is_tls, retry_after, split};
use crate::output::Output;
use crate::transfer::{NetworkCause, Phase, Progress, ProtocolCause, PullError, PullState, Report, Watchdog, output};

/// The longest WebSocket message that is accepted, in bytes. An original sender makes one message of each chunk.
const MAX_MESSAGE: usize = 17 << 20;

/// Makes the file at `dest` equal to the file that a server of this protocol has at `url`, which begins with `ws:` or
/// `wss:`.
///
/// `chunks` must be the server's options for cutting. Only chunks that `dest` does not have are transferred. `dest` is
/// replaced in one step after the whole file has arrived and is durable. Until then, and after any error, it stays as
/// it was. The total length in `progress` is not known: the protocol does not transfer it. A user name and a password
/// in `url` are sent as basic authorisation, and are neither shown nor stored.
///
/// ```no_run
/// use driblet::browser_sync_stream::{RabinOptions, pull};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = driblet::Client::new()?;
/// let url = "wss://example.com/app.js".parse()?;
/// let received = pull(&client, &url, "app.js", RabinOptions::default(), |_| {}).await?;
/// println!("{} of {} bytes were held", received.reused, received.len);
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`receive`](super::receive), and [`PullError::Protocol`] if the server has no such file.
pub async fn pull(
    client: &Client,
    url: &Url,
    dest: impl AsRef<Path>,
    chunks: RabinOptions,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Received<()>, PullError> {
    pull_to(client, url, output(dest.as_ref())?, chunks, progress).await
}

/// As [`pull`], into any [`Output`]. An output that is not a regular file holds nothing.
///
/// ```no_run
/// use driblet::browser_sync_stream::{RabinOptions, pull_to};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let url = "wss://example.com/app.js".parse()?;
/// let output = driblet::output::Output::stdout()?;
/// pull_to(&driblet::Client::new()?, &url, output, RabinOptions::default(), |_| {}).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// As [`pull`].
pub async fn pull_to(
    client: &Client,
    url: &Url,
    dest: Output,
    chunks: RabinOptions,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Received<()>, PullError> {
    if !matches!(url.scheme(), "ws" | "wss") {
        return Err(PullError::scheme(url, "ws"));
    }
    let store = FileStore::at(dest, chunks).await?;
    let (report, watchdog): (Report, Watchdog) = (Arc::new(progress), Watchdog::new());
    let socket = connect(client, url, &report, &watchdog).await?;
    let (messages, out) = client_side(socket);
    tokio::pin!(messages, out);
    receive_as(joined(messages, out), store, client.options(), report, &watchdog).await
}

type Socket = WebSocketStream<MaybeTlsStream<WatchedStream<TcpStream>>>;

/// Opens a WebSocket, and tries again as long as the server says that it is busy.
async fn connect(client: &Client, url: &Url, report: &Report, watchdog: &Watchdog) -> Result<Socket, PullError> {
    let (options, (url, authorization)) = (client.options(), split(url));
    let tell = |state| report(Progress { done: 0, total: 0, received: 0, state });
    let tls = Connector::Rustls(client.tls());
    let mut budget = RetryBudget::new(options.busy_timeout);
    loop {
        tell(PullState::Waiting);
        let mut request = url.as_str().into_client_request().map_err(|error| unconnected(&url, error))?;
        request.headers_mut().extend(client.headers().clone());
        if let Some(value) = authorization.clone() {
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let config = WebSocketConfig::default()
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let stream = WatchedStream(reach(&url, options.timeout).await?, watchdog.clone());
        watchdog.reset();
        let answer = tokio::select! {
            answer = client_async_tls_with_config(request, stream, Some(config), Some(tls.clone())) => answer,
            () = watchdog.expired(options.timeout) => {
                let doing = format!("{url} was reached, but does not answer");
                return Err(PullError::during(Phase::Waiting, doing, NetworkCause::Silent(options.timeout)));
            }
        };
        let error = match answer {
            Ok((socket, _)) => return Ok(socket),
            Err(error) => error,
        };
        let Some(told) = busy(&error) else { return Err(unconnected(&url, error)) };
        let Some(wait) = budget.next_wait(told) else {
            let doing = format!("{url} is busy for {:?}", options.busy_timeout);
            return Err(PullError::during(Phase::Waiting, doing, error));
        };
        tell(PullState::Busy(wait));
        sleep(wait).await;
    }
}

async fn reach(url: &Url, limit: Duration) -> Result<TcpStream, PullError> {
    let connect = async {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, url.port_or_known_default().unwrap_or_default())).await?;
        stream.set_nodelay(true)?;
        Ok::<_, std::io::Error>(stream)
    };
    let doing = || format!("cannot reach {url}");
    match timeout(limit, connect).await {
        Ok(stream) => stream.map_err(|error| PullError::during(Phase::Connecting, doing(), error)),
        Err(_) => Err(PullError::during(Phase::Connecting, doing(), NetworkCause::NoConnection(limit))),
    }
}

fn busy(error: &Error) -> Option<Duration> {
    let Error::Http(answer) = error else { return None };
    let is_busy = matches!(answer.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
    retry_after(answer.headers()).filter(|_| is_busy)
}

fn unconnected(url: &Url, error: Error) -> PullError {
    match error {
        Error::Http(answer) => {
            let body = String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).trim().to_owned();
            let detail =
                if body.is_empty() { "is there a server of browser-sync-stream at this URL?".into() } else { body };
            let refused = ProtocolCause::Refused { status: answer.status().as_u16(), detail };
            PullError::protocol(format!("{url} answers {} to a WebSocket", answer.status()), refused)
        }
        error @ Error::Tls(_) => PullError::during(Phase::Connecting, format!("cannot set up TLS with {url}"), error),
        error if is_tls(&error) => PullError::during(Phase::Connecting, format!("cannot set up TLS with {url}"), error),
        error => PullError::during(
            Phase::Waiting,
            format!("{url} was reached, but closed the connection before it answered"),
            error,
        ),
    }
}
