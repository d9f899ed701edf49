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
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use url::Url;

use super::file_store::FileStore;
use super::receive::{Received, receive_as};
use super::socket::{client_side, joined};
use crate::output::Output;
use crate::transfer::{
    Heard, Life, Patience, Phase, Progress, PullError, PullOptions, Report, State, credentials, is_tls, output,
    retry_after, silent,
};

/// The longest WebSocket message that is taken, in bytes: an original sender makes one of each chunk.
const MAX_MESSAGE: usize = 17 << 20;

/// Makes the file at `dest` what a server of this protocol has at `url`, which begins with `ws:` or `wss:`.
///
/// What `dest` holds now is cut by `chunks`, which must be the server's, and only chunks that are new are transferred. `dest` is replaced in
/// one step after the whole file came and is durable; until then, and after any error, it stays as it was. `progress` knows no total length:
/// the wire does not tell it. A user name and a password in `url` are sent as basic authorisation, and neither shown nor stored.
///
/// # Errors
/// As [`receive`](super::receive); [`PullError::Protocol`] too where the server has no such file.
pub async fn pull(
    url: &Url,
    dest: &Path,
    chunks: RabinOptions,
    options: &PullOptions,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Received<()>, PullError> {
    pull_to(url, output(dest)?, chunks, options, progress).await
}

/// As [`pull`], into any [`Output`]. What is no regular file holds nothing.
///
/// # Errors
/// As [`pull`].
pub async fn pull_to(
    url: &Url,
    dest: Output,
    chunks: RabinOptions,
    options: &PullOptions,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Received<()>, PullError> {
    if !matches!(url.scheme(), "ws" | "wss") {
        return Err(PullError::scheme(url, "ws"));
    }
    let store = FileStore::at(dest, chunks).await?;
    // The TLS library takes the process' provider; another part of the program may have chosen one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (report, life): (Report, Life) = (Arc::new(progress), Life::new());
    let socket = connect(url, options, &report, &life).await?;
    let (messages, out) = client_side(socket);
    tokio::pin!(messages, out);
    receive_as(joined(messages, out), store, options, report, &life).await
}

type Socket = WebSocketStream<MaybeTlsStream<Heard<TcpStream>>>;

/// A WebSocket, once the server has one: as long as it says that it is busy it is asked again.
async fn connect(url: &Url, options: &PullOptions, report: &Report, life: &Life) -> Result<Socket, PullError> {
    let (url, authorization) = credentials::part(url);
    let tell = |state| report(Progress { done: 0, total: 0, received: 0, state });
    let mut patience = Patience::new(options.busy_timeout);
    loop {
        tell(State::Waiting);
        let mut request = url.as_str().into_client_request().map_err(|error| unconnected(&url, error))?;
        request.headers_mut().extend(authorization.clone().map(|value| (AUTHORIZATION, value)));
        let config = WebSocketConfig::default()
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let stream = Heard(reach(&url, options.timeout).await?, life.clone());
        life.sign();
        let answer = tokio::select! {
            answer = client_async_tls_with_config(request, stream, Some(config), None) => answer,
            () = life.silence(options.timeout) => {
                let doing = format!("{url} was reached, but does not answer");
                return Err(PullError::during(Phase::Waiting, doing, silent(options.timeout)));
            }
        };
        let error = match answer {
            Ok((socket, _)) => return Ok(socket),
            Err(error) => error,
        };
        let Some(told) = busy(&error) else { return Err(unconnected(&url, error)) };
        let Some(wait) = patience.next(told) else {
            let doing = format!("{url} is busy for {:?}", options.busy_timeout);
            return Err(PullError::during(Phase::Waiting, doing, error));
        };
        tell(State::Busy(wait));
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
        Err(_) => Err(PullError::during(Phase::Connecting, doing(), format!("no connection within {limit:?}"))),
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
            let detail = if body.is_empty() { "is there a server of this protocol?".into() } else { body };
            PullError::protocol(format!("{url} answers {} to a WebSocket", answer.status()), detail)
        }
        error @ Error::Tls(_) => PullError::during(Phase::Connecting, format!("cannot set up TLS with {url}"), error),
        error if is_tls(&error) => PullError::during(Phase::Connecting, format!("cannot set up TLS with {url}"), error),
        error => {
            PullError::during(Phase::Waiting, format!("{url} was reached, but broke off before it answered"), error)
        }
    }
}
