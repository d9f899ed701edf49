use std::future::ready;
use std::io;

use axum::extract::ws;
use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, TryStreamExt};

/// Both directions of a server's WebSocket. If the receiver closes it, the stream fails, whatever the close code is.
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
