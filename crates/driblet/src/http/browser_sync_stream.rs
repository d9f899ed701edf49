//! WebSockets for clients of browser-sync-stream. These offer no subprotocol of driblet's.

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

use super::path::RequestPath;
use super::problem::Problem;
use crate::browser_sync_stream::{self, ChunkLists, SendError};
use crate::publisher::PublishError;
use crate::site::{OpenPath, Site};

/// The longest WebSocket message that is accepted, in bytes: 31,775 hashes.
const MAX_MESSAGE: usize = 1 << 20;
/// Bytes of one read from a client, which only announces hashes.
const READ: usize = 16 << 10;
/// The first close code for applications. The server adds the HTTP status that it would answer with.
const APPLICATION_CODES: u16 = 4000;
/// The hash of no chunk. Original receivers ignore close codes: without this message they would take the end of the
/// stream for the end of a file.
const GAVE_UP: &[u8] = &browser_sync_stream::GAVE_UP;
/// The longest reason in a close message, in bytes (RFC 6455, section 5.5).
const MAX_REASON: usize = 123;

/// Whether a request asks for a WebSocket of browser-sync-stream.
pub(super) fn is_asked_for(parts: &Parts) -> bool {
    let upgrades =
        parts.headers.get(header::UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    parts.method == Method::GET && upgrades && !offered(parts).any(|name| name.starts_with("driblet."))
}

/// Accepts the WebSocket, and sends the file in the background.
pub(super) async fn answer(
    site: &Arc<Site>,
    lists: &Arc<ChunkLists>,
    parts: &mut Parts,
    path: RequestPath,
) -> Result<Response, Problem> {
    let Some(permit) = lists.permit() else {
        let detail = "The server has too many receivers at the moment; try again.";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail));
    };
    // A client that offers subprotocols expects one of them in the response.
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
    let (site, lists) = (site.clone(), lists.clone());
    Ok(upgrade.on_upgrade(async move |socket| {
        serve(socket, &site, &lists, path).await;
        drop(permit);
    }))
}

/// One session, from the receiver's list to a close message that states the result.
async fn serve(socket: WebSocket, site: &Site, lists: &ChunkLists, path: RequestPath) {
    let (mut out, mut messages) = socket.split();
    let result = async {
        let (file, list) = open(site, lists, path).await?;
        let (from, to) = browser_sync_stream::server_side(&mut messages, &mut out);
        let sent =
            browser_sync_stream::session(browser_sync_stream::joined(from, to), &file, &list, site.deadline).await;
        sent.map_err(Problem::from)
    };
    let (last, close) = match result.await {
        Ok(_) => (None, CloseFrame { code: 1000, reason: "".into() }),
        Err(problem) => {
            debug!(?problem, "a receiver did not get the whole file");
            let (status, reason) = problem.status_and_detail();
            (Some(GAVE_UP), CloseFrame { code: APPLICATION_CODES + status.as_u16(), reason: shortened(reason).into() })
        }
    };
    // Wait until the receiver has closed too. Dropping a connection with unread bytes resets it, and bytes on their way
    // are lost.
    let end = async {
        if let Some(message) = last {
            let _ = out.send(Message::Binary(Bytes::from_static(message))).await;
        }
        if out.send(Message::Close(Some(close))).await.is_ok() {
            while let Some(Ok(_)) = messages.next().await {}
        }
    };
    let _ = timeout(site.deadline, end).await;
}

/// Opens the file at a path, and its list of chunks.
async fn open(
    site: &Site,
    lists: &ChunkLists,
    path: RequestPath,
) -> Result<(Arc<std::fs::File>, Arc<browser_sync_stream::ChunkList>), Problem> {
    let folder = || {
        let detail = "This is a folder; sync the files in it, each by its own path.";
        Problem::new(StatusCode::NOT_FOUND, "no-such-file", detail)
    };
    let asset = match site.publisher.source().only() {
        Some(only) if path.folder && path.asset.is_empty() => only.to_owned(),
        _ if path.folder => return Err(folder()),
        _ => path.asset,
    };
    match site.open(&asset).await? {
        OpenPath::File(_, stored) => {
            let list = lists.of(&stored, &site.artifacts).await.map_err(SendError::from)?;
            Ok((stored.file().map_err(PublishError::from)?, list))
        }
        OpenPath::Folder => Err(folder()),
        OpenPath::Nothing => Err(Problem::no_such_file("of that name")),
    }
}

/// The subprotocols that a request offers, in its order.
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
            // The receiver is gone.
            SendError::Network(_) => (StatusCode::BAD_REQUEST, "cut-off"),
            SendError::File { .. } | SendError::Options(_) | SendError::Task(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "failed")
            }
        };
        super::problem::internal(status, code, &error)
    }
}
