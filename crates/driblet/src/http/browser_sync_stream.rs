//! WebSockets for the clients of browser-sync-stream: those whose offer has no protocol of driblet's own.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use tokio::time::timeout;
use tracing::debug;

use super::name::Name;
use super::problem::Problem;
use crate::browser_sync_stream::{self, Lists, SendError};
use crate::site::{Open, Shared};

/// The longest WebSocket message that is taken, in bytes: 31,775 hashes.
const MAX_MESSAGE: usize = 1 << 20;
/// Bytes that are read at once from a client that only announces hashes.
const READ: usize = 16 << 10;
/// The first of the codes that applications give their own meaning; ours is what HTTP would answer.
const OWN_CODES: u16 = 4000;
/// The hash of no chunk. Original receivers hear no code, and would take a stream that only ends for a file, an empty one perhaps.
const GAVE_UP: &[u8] = &browser_sync_stream::GAVE_UP;
/// The longest reason that a close may carry, in bytes (RFC 6455, section 5.5).
const MAX_REASON: usize = 123;

/// Whether a request wants a WebSocket of this protocol.
pub(crate) fn is_meant(parts: &Parts) -> bool {
    let upgrades =
        parts.headers.get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    parts.method == Method::GET && upgrades && !offered(parts).any(|name| name.starts_with("driblet."))
}

/// Accepts the WebSocket, and sends the file in the background.
pub(crate) async fn answer(
    shared: &Arc<Shared>,
    lists: &Arc<Lists>,
    parts: &mut Parts,
    name: Name,
) -> Result<Response, Problem> {
    let Some(place) = lists.place() else {
        let detail = "Too many receivers are being served; try again.";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail));
    };
    // Who offers protocols wants to hear one of them.
    let protocol = offered(parts).next().and_then(|name| HeaderValue::from_str(name).ok());
    let mut upgrade = match WebSocketUpgrade::from_request_parts(parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return Ok(rejection.into_response()),
    };
    if let Some(protocol) = protocol {
        upgrade.set_selected_protocol(protocol);
    }
    let upgrade =
        upgrade.read_buffer_size(READ).write_buffer_size(0).max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    let (shared, lists) = (shared.clone(), lists.clone());
    Ok(upgrade.on_upgrade(async move |socket| {
        serve(socket, &shared, &lists, name).await;
        drop(place);
    }))
}

/// One session, from the receiver's list to a close that says how it went.
async fn serve(socket: WebSocket, shared: &Shared, lists: &Lists, name: Name) {
    let (mut out, mut messages) = socket.split();
    let result = async {
        let (file, list) = open(shared, lists, name).await?;
        let (from, to) = browser_sync_stream::server_side(&mut messages, &mut out);
        let sent =
            browser_sync_stream::session(browser_sync_stream::joined(from, to), &file, &list, shared.deadline).await;
        sent.map_err(Problem::from)
    };
    let (last, close) = match result.await {
        Ok(_) => (None, CloseFrame { code: 1000, reason: "".into() }),
        Err(problem) => {
            debug!(?problem, "a receiver got no whole file");
            let (status, reason) = problem.said();
            (Some(GAVE_UP), CloseFrame { code: OWN_CODES + status.as_u16(), reason: shortened(reason).into() })
        }
    };
    // Until the receiver has closed too: what is dropped with unread bytes in it resets the connection, and what was sent is lost.
    let end = async {
        if let Some(message) = last {
            let _ = out.send(Message::Binary(Bytes::from_static(message))).await;
        }
        if out.send(Message::Close(Some(close))).await.is_ok() {
            while let Some(Ok(_)) = messages.next().await {}
        }
    };
    let _ = timeout(shared.deadline, end).await;
}

/// The file at a path, and its chunks as far as they are cut.
async fn open(
    shared: &Shared,
    lists: &Lists,
    name: Name,
) -> Result<(Arc<std::fs::File>, Arc<browser_sync_stream::ChunkList>), Problem> {
    let folder = || {
        let detail = "This is a folder; sync the files in it, each by its own path.";
        Problem::new(StatusCode::NOT_FOUND, "no-such-file", detail)
    };
    let path = match shared.publisher.source().only() {
        Some(only) if name.folder && name.asset.is_empty() => only.to_owned(),
        _ if name.folder => return Err(folder()),
        _ => name.asset,
    };
    match shared.open(&path).await? {
        Open::File(_, kept) => {
            let list = lists.of(&kept, &shared.artifacts).await.map_err(SendError::from)?;
            Ok((kept.file(), list))
        }
        Open::Folder => Err(folder()),
        Open::Nothing => Err(Problem::no_such_file("of that name")),
    }
}

/// The protocols that a request offers, in its order.
fn offered(parts: &Parts) -> impl Iterator<Item = &str> {
    let values = parts.headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

fn shortened(reason: &str) -> &str {
    let end = (0..=MAX_REASON.min(reason.len())).rev().find(|end| reason.is_char_boundary(*end));
    &reason[..end.unwrap_or(0)]
}

impl From<SendError> for Problem {
    fn from(error: SendError) -> Problem {
        let (status, code) = match &error {
            SendError::Receiver(_) => (StatusCode::BAD_REQUEST, "bad-list"),
            SendError::ListLate { .. } => (StatusCode::REQUEST_TIMEOUT, "bad-list"),
            SendError::TooManyChunks { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
            SendError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            // Nobody is there to hear it.
            SendError::Network(_) => (StatusCode::BAD_REQUEST, "cut-off"),
            SendError::File { .. } | SendError::Options(_) => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
        };
        super::problem::internal(status, code, &error)
    }
}
