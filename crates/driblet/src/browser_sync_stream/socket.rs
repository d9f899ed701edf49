//! A WebSocket as a stream of bytes: its messages are pieces of it, at any split.

use std::future::ready;
use std::io;

use axum::extract::ws;
use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt, TryStreamExt};
use tokio::io::{AsyncRead, AsyncWrite, Join, join};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

/// The bytes of a WebSocket's messages, and one message for each write.
pub(crate) fn joined(
    messages: impl Stream<Item = io::Result<Bytes>> + Unpin,
    out: impl Sink<Bytes, Error = io::Error> + Unpin,
) -> Join<impl AsyncRead + Unpin, impl AsyncWrite + Unpin> {
    join(StreamReader::new(messages), SinkWriter::new(CopyToBytes::new(out)))
}

/// Both directions of a server's WebSocket. A receiver that closes it has hung up, whatever code it gives.
pub(crate) fn server_side<'a>(
    messages: &'a mut (impl Stream<Item = Result<ws::Message, axum::Error>> + Unpin + Send),
    out: &'a mut (impl Sink<ws::Message, Error = axum::Error> + Unpin + Send),
) -> (impl Stream<Item = io::Result<Bytes>> + Unpin + Send + 'a, impl Sink<Bytes, Error = io::Error> + Unpin + Send + 'a)
{
    let bytes = |message| {
        ready(match message {
            ws::Message::Binary(bytes) => Ok(Some(bytes)),
            ws::Message::Text(text) => Ok(Some(text.into())),
            ws::Message::Ping(_) | ws::Message::Pong(_) => Ok(None),
            ws::Message::Close(_) => Err(io::ErrorKind::ConnectionAborted.into()),
        })
    };
    let messages = messages.map_err(io::Error::other).try_filter_map(bytes);
    let out = out.sink_map_err(io::Error::other).with(|bytes| ready(Ok::<_, io::Error>(ws::Message::Binary(bytes))));
    (messages, out)
}

/// Both directions of a client's WebSocket. It ends where the server closes it in order; any other close is a refusal.
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
    let messages = messages.map_err(io::Error::other).try_filter_map(bytes);
    (messages, out.sink_map_err(io::Error::other).with(|bytes| ready(Ok(Message::Binary(bytes)))))
}

/// The server closed the WebSocket with a code that is no end.
#[derive(Debug, thiserror::Error)]
#[error("the server closed with {code}: {reason}")]
pub(super) struct Refused {
    code: u16,
    reason: String,
}
