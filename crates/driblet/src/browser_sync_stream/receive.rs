use std::io;
use std::sync::Arc;

use bytes::Bytes;
use driblet_core::browser_sync_stream::{MAX_CHUNK, Receiver, ReceiverEvent, WireError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

#[cfg(feature = "client")]
use super::client_socket::Refused;
use super::store::Store;
use crate::task::{TaskFailed, blocking};
use crate::transfer::{NetworkCause, Progress, ProtocolCause, PullError, PullOptions, PullState, Report, Watchdog};

/// The most pieces that wait for the file thread.
const QUEUE: usize = 16;
/// Bytes of one read from the sender, and of one write of the list.
const PIECE: usize = 64 << 10;

/// The result of a [`receive`], and its cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Received<T> {
    /// The result of the store.
    pub output: T,
    /// The length of the file in bytes.
    pub len: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// Chunks of the file.
    pub chunks: u64,
    /// Bytes of the file that were held already.
    pub reused: u64,
}

/// Receives a file from a sender: announces the chunks that the store holds, and stores the new ones.
///
/// The hash of each chunk is verified before the store gets it. The file may have at most 1 TiB. `receive` fails if no
/// byte arrives for 30 s.
///
/// See the [module](crate::browser_sync_stream) for an example.
///
/// # Errors
/// [`PullError::Network`]: the stream failed; try again. [`PullError::Protocol`]: the sender does not speak this
/// protocol, or sent bytes that do not verify. [`PullError::Store`]: the store failed.
pub async fn receive<S: Store>(io: impl AsyncRead + AsyncWrite, store: S) -> Result<Received<S::Output>, PullError> {
    receive_as(io, store, &PullOptions::default(), Arc::new(|_| {}), &Watchdog::new()).await
}

pub(super) async fn receive_as<S: Store>(
    io: impl AsyncRead + AsyncWrite,
    mut store: S,
    options: &PullOptions,
    report: Report,
    watchdog: &Watchdog,
) -> Result<Received<S::Output>, PullError> {
    let mut receiver = Receiver::new(MAX_CHUNK);
    let announce = move || -> Result<_, PullError> {
        for hash in store.held().map_err(|error| PullError::store("cannot read the held chunks", error))? {
            receiver.announce(hash);
        }
        receiver.end_announcing();
        Ok((receiver.poll_output().unwrap_or_default(), receiver, store))
    };
    let (list, receiver, store) = blocking(announce).await?;
    let (pieces, queue) = mpsc::channel(QUEUE);
    let file = FileThread { receiver, store, queue, report, max_len: options.max_len };
    let work = tokio::spawn(blocking(move || file.take()));
    let failed = carry(io, &list, pieces, options, watchdog).await.err();
    let taken = work.await.unwrap_or_else(|error| Err(TaskFailed::of(error).into()));
    match (failed, taken) {
        // The file thread knows only that no more bytes arrive.
        (Some(error), Err(PullError::Network { .. }) | Ok(_)) => Err(error),
        (_, Err(error)) => Err(error),
        (None, Ok(received)) => Ok(Received { sent: list.len() as u64, ..received }),
    }
}

/// Sends the list, and at the same time passes arriving bytes to the file thread: a sender may refuse before it has
/// read the whole list.
async fn carry(
    io: impl AsyncRead + AsyncWrite,
    list: &[u8],
    pieces: mpsc::Sender<StreamPiece>,
    options: &PullOptions,
    watchdog: &Watchdog,
) -> Result<(), PullError> {
    let (mut reader, mut writer) = tokio::io::split(io);
    // In pieces, since a WebSocket makes a message of each write.
    let send = async {
        for piece in list.chunks(PIECE) {
            timeout(options.timeout, writer.write_all(piece)).await??;
        }
        writer.flush().await
    };
    tokio::pin!(send);
    let mut sent: Option<io::Result<()>> = None;
    let mut bytes = vec![0; PIECE];
    loop {
        let read = tokio::select! {
            result = &mut send, if sent.is_none() => {
                sent = Some(result);
                watchdog.reset();
                continue;
            }
            // A sender is silent until it has the list.
            () = watchdog.expired(options.timeout), if sent.is_some() => {
                let silent = NetworkCause::Silent(options.timeout);
                return Err(PullError::network("waiting for the sender", silent));
            }
            read = reader.read(&mut bytes) => read,
        };
        watchdog.reset();
        let len = read.map_err(broken)?;
        if len == 0
            && let Some(Err(error)) = sent
        {
            return Err(PullError::network("cannot send the list of held chunks", error));
        }
        let piece = if len == 0 { StreamPiece::End } else { StreamPiece::Bytes(Bytes::copy_from_slice(&bytes[..len])) };
        // The file thread closes the channel when it has failed or has the whole file. Its result says which.
        if pieces.send(piece).await.is_err() || len == 0 {
            return Ok(());
        }
    }
}

/// The error of a stream. A sender that refused would refuse again.
fn broken(error: io::Error) -> PullError {
    #[cfg(feature = "client")]
    if error.get_ref().is_some_and(|error| error.is::<Refused>()) {
        return PullError::protocol("the server refuses to send the file", ProtocolCause::Io(error));
    }
    PullError::network("cannot read from the sender", error)
}

/// The error for invalid bytes. A sender that gives up says so by invalid bytes; its reason may follow with the end of
/// the stream.
fn refused(error: WireError, queue: &mut mpsc::Receiver<StreamPiece>) -> PullError {
    if error != WireError::GaveUp {
        return PullError::protocol("the sender does not follow the protocol", ProtocolCause::Wire(error));
    }
    while let Some(StreamPiece::Bytes(_)) = queue.blocking_recv() {}
    PullError::network("cannot receive the file", NetworkCause::GaveUp(error))
}

/// A message to the file thread.
enum StreamPiece {
    Bytes(Bytes),
    End,
}

/// The part of a sync that runs on the file thread.
struct FileThread<S> {
    receiver: Receiver,
    store: S,
    queue: mpsc::Receiver<StreamPiece>,
    report: Report,
    max_len: u64,
}

impl<S: Store> FileThread<S> {
    fn take(mut self) -> Result<Received<S::Output>, PullError> {
        let unstored = |error| PullError::store("cannot store a chunk", error);
        let (mut len, mut received, mut chunks, mut reused) = (0, 0, 0, 0);
        loop {
            let event = self.receiver.poll_event();
            match event.map_err(|error| refused(error, &mut self.queue))? {
                ReceiverEvent::NeedInput => {
                    match self.queue.blocking_recv() {
                        Some(StreamPiece::Bytes(bytes)) => {
                            received += bytes.len() as u64;
                            self.receiver.handle_input(&bytes);
                        }
                        Some(StreamPiece::End) => self.receiver.handle_end(),
                        None => return Err(PullError::network("cannot receive the file", NetworkCause::CutOff)),
                    }
                    continue;
                }
                ReceiverEvent::Held(hash) => {
                    let held = self.store.reuse(&hash).map_err(unstored)?;
                    len += held;
                    reused += held;
                }
                ReceiverEvent::New { hash, bytes } => {
                    self.store.add(&hash, bytes).map_err(unstored)?;
                    len += bytes.len() as u64;
                }
                ReceiverEvent::Done => break,
            }
            if self.max_len < len {
                let too_long = ProtocolCause::TooLong { limit: self.max_len };
                return Err(PullError::protocol("cannot accept the file", too_long));
            }
            chunks += 1;
            (self.report)(Progress { done: len, total: len, received, state: PullState::Receiving });
        }
        let output = self.store.finish().map_err(|error| PullError::store("cannot finish the file", error))?;
        Ok(Received { output, len, sent: 0, received, chunks, reused })
    }
}
