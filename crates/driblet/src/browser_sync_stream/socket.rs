//! A WebSocket as a stream of bytes. Each message is a piece of the stream.

use std::io;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, Join, join};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

/// Joins both directions into a duplex stream. Each write becomes one message.
pub(crate) fn joined(
    messages: impl Stream<Item = io::Result<Bytes>> + Unpin,
    out: impl Sink<Bytes, Error = io::Error> + Unpin,
) -> Join<impl AsyncRead + Unpin, impl AsyncWrite + Unpin> {
    join(StreamReader::new(messages), SinkWriter::new(CopyToBytes::new(out)))
}
