use std::path::Path;
use std::sync::Arc;

use driblet_core::seed::RabinOptions;
use tokio::time::timeout;
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use url::Url;

use super::receive::{Received, receive_as};
use super::socket::{client_side, joined};
use super::store::FileStore;
use crate::client::{Progress, PullError, PullOptions};

/// The longest WebSocket message that is taken, in bytes: an original sender makes one of each chunk.
const MAX_MESSAGE: usize = 17 << 20;

/// Makes the file at `dest` what a server of this protocol has at `url`, which begins with `ws:` or `wss:`.
///
/// What `dest` holds now is cut by `chunks`, which must be the server's, and only chunks that are new are transferred. `dest` is replaced in
/// one step after the whole file came and is durable; until then, and after any error, it stays as it was. `progress` knows no total length:
/// the wire does not tell it.
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
    if !matches!(url.scheme(), "ws" | "wss") {
        let scheme = format!("{} is neither ws nor wss", url.scheme());
        return Err(PullError::protocol(format!("cannot pull from {url}"), scheme));
    }
    let store = FileStore::open(dest, chunks).await?;
    // The TLS library takes the process' provider; another part of the program may have chosen one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = WebSocketConfig::default()
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let connected = timeout(options.timeout, connect_async_with_config(url.as_str(), Some(config), true)).await;
    let (socket, _) = connected
        .map_err(|_| PullError::network(format!("cannot reach {url}"), format!("no answer for {:?}", options.timeout)))?
        .map_err(|error| unconnected(url, error))?;
    let (messages, out) = client_side(socket);
    tokio::pin!(messages, out);
    receive_as(joined(messages, out), store, options, Arc::new(progress)).await
}

fn unconnected(url: &Url, error: Error) -> PullError {
    match error {
        Error::Http(answer) => {
            let body = String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default()).trim().to_owned();
            let detail = if body.is_empty() { "is there a server of this protocol?".into() } else { body };
            PullError::protocol(format!("{url} answers {} to a WebSocket", answer.status()), detail)
        }
        error => PullError::network(format!("cannot reach {url}"), error),
    }
}
