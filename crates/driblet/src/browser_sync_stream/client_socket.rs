use std::future::ready;
use std::io;

use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt, TryStreamExt};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};

/// Both directions of a client's WebSocket. The stream ends if the server closes it normally. Any other close code is a
/// refusal.
pub(super) fn client_side(
    socket: impl Stream<Item = tungstenite::Result<Message>> + Sink<Message, Error = tungstenite::Error>,
) -> (impl Stream<Item = io::Result<Bytes>>, impl Sink<Bytes, Error = io::Error>) {
    let bytes = |message| {
        ready(match message {
            Message::Binary(bytes) => Ok(Some(bytes)),
            Message::Text(text) => Ok(Some(text.into())),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Close(None) => Ok(None),
            Message::Close(Some(frame)) if frame.code == CloseCode::Normal => Ok(None),
            Message::Close(Some(frame)) => {
                Err(io::Error::other(Refused { code: frame.code.into(), reason: frame.reason.to_string() }))
            }
        })
    };
    let (out, messages) = socket.split();
    let messages = messages.map_err(io_error).try_filter_map(bytes);
    (messages, out.sink_map_err(io_error).with(|bytes| ready(Ok(Message::Binary(bytes)))))
}

fn io_error(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(error) => error,
        error => io::Error::other(SocketFailed(error)),
    }
}

/// The WebSocket failed. The message contains those of its causes, so it has no source.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct SocketFailed(tungstenite::Error);

/// The server closed the WebSocket with the code of a refusal.
#[derive(Debug, thiserror::Error)]
#[error("the server closed the WebSocket with {code}: {reason}")]
pub(super) struct Refused {
    code: u16,
    reason: String,
}
