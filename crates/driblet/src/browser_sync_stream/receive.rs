use std::io;
use std::sync::Arc;

use bytes::Bytes;
use driblet_core::browser_sync_stream::{MAX_CHUNK, Receiver, ReceiverEvent, WireError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::socket::Refused;
use super::store::Store;
use crate::transfer::{Life, Progress, PullError, PullOptions, Report, State, blocking};

/// Pieces that may wait for the file thread.
const QUEUE: usize = 16;
/// Bytes read at once of what the sender sends, and sent at once of the list.
const PIECE: usize = 64 << 10;

/// What a [`receive`] brought, and what it cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received<T> {
    /// What the store made of it.
    pub output: T,
    /// The file's length in bytes.
    pub len: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
    /// Chunks of the file.
    pub chunks: u64,
    /// Bytes of the file that were held.
    pub reused: u64,
}

/// Receives a file from a sender: announces what the store holds, and stores what is new.
///
/// Each chunk's hash is recomputed before the store has it, and the store forgets nothing before the whole file came. Takes files of at most
/// 1 TiB, and gives up when nothing comes for 30 s.
///
/// # Errors
/// [`PullError::Network`]: the stream failed; try again. [`PullError::Protocol`]: the sender does not speak this protocol, or sent bytes
/// that do not verify. [`PullError::Store`]: the store failed.
pub async fn receive<S: Store>(io: impl AsyncRead + AsyncWrite, store: S) -> Result<Received<S::Output>, PullError> {
    receive_as(io, store, &PullOptions::default(), Arc::new(|_| {}), &Life::new()).await
}

pub(super) async fn receive_as<S: Store>(
    io: impl AsyncRead + AsyncWrite,
    mut store: S,
    options: &PullOptions,
    report: Report,
    life: &Life,
) -> Result<Received<S::Output>, PullError> {
    let mut receiver = Receiver::new(MAX_CHUNK);
    let announce = move || {
        for hash in store.held().map_err(|error| PullError::store("cannot read what is held", error))? {
            receiver.announce(hash);
        }
        receiver.end_announcing();
        Ok((receiver.poll_output().unwrap_or_default(), receiver, store))
    };
    let (list, receiver, store) = blocking(announce).await?;
    let (pieces, queue) = mpsc::channel(QUEUE);
    let file = Incoming { receiver, store, queue, report, max_len: options.max_len };
    let work = tokio::spawn(blocking(move || file.take()));
    let failed = carry(io, &list, pieces, options, life).await.err();
    let taken = work.await.unwrap_or_else(|error| Err(PullError::store("a task ended early", io::Error::other(error))));
    match (failed, taken) {
        // The file thread only learns that nothing more comes.
        (Some(error), Err(PullError::Network { .. }) | Ok(_)) => Err(error),
        (_, Err(error)) => Err(error),
        (None, Ok(received)) => Ok(Received { sent: list.len() as u64, ..received }),
    }
}

/// Sends the list, and at the same time hands what comes to the file thread: a sender that refuses says so before it has read it all.
async fn carry(
    io: impl AsyncRead + AsyncWrite,
    list: &[u8],
    pieces: mpsc::Sender<Came>,
    options: &PullOptions,
    life: &Life,
) -> Result<(), PullError> {
    let (mut reader, mut writer) = tokio::io::split(io);
    // In pieces, since a WebSocket makes a message of each.
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
                life.sign();
                continue;
            }
            // A sender may well be silent until it has the list.
            () = life.silence(options.timeout), if sent.is_some() => {
                let silence = format!("nothing came for {:?}", options.timeout);
                return Err(PullError::network("the stream from the sender", silence));
            }
            read = reader.read(&mut bytes) => read,
        };
        life.sign();
        let len = read.map_err(broken)?;
        if len == 0
            && let Some(Err(error)) = sent
        {
            return Err(PullError::network("the list of held chunks could not be sent", error));
        }
        let piece = if len == 0 { Came::End } else { Came::Bytes(Bytes::copy_from_slice(&bytes[..len])) };
        // The file thread stops listening when it has failed or has all; its result says which.
        if pieces.send(piece).await.is_err() || len == 0 {
            return Ok(());
        }
    }
}

/// A stream that failed; one that was refused will be again.
fn broken(error: io::Error) -> PullError {
    if error.get_ref().is_some_and(|error| error.is::<Refused>()) {
        return PullError::protocol("the file", error);
    }
    PullError::network("the stream from the sender failed", error)
}

/// What came is refused. Why a sender gave up it says with the end, if it does.
fn refused(error: WireError, queue: &mut mpsc::Receiver<Came>) -> PullError {
    if error != WireError::GaveUp {
        return PullError::protocol("what the sender sent", error);
    }
    while let Some(Came::Bytes(_)) = queue.blocking_recv() {}
    PullError::network("the file", error)
}

enum Came {
    Bytes(Bytes),
    End,
}

/// The file thread's side.
struct Incoming<S> {
    receiver: Receiver,
    store: S,
    queue: mpsc::Receiver<Came>,
    report: Report,
    max_len: u64,
}

impl<S: Store> Incoming<S> {
    fn take(mut self) -> Result<Received<S::Output>, PullError> {
        let unstored = |error| PullError::store("cannot store a chunk", error);
        let (mut len, mut received, mut chunks, mut reused) = (0, 0, 0, 0);
        loop {
            let event = self.receiver.poll_event();
            match event.map_err(|error| refused(error, &mut self.queue))? {
                ReceiverEvent::NeedInput => {
                    match self.queue.blocking_recv() {
                        Some(Came::Bytes(bytes)) => {
                            received += bytes.len() as u64;
                            self.receiver.handle_input(&bytes);
                        }
                        Some(Came::End) => self.receiver.handle_end(),
                        None => return Err(PullError::network("the file", "it was cut off")),
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
                let what = format!("it is longer than the {} bytes that are accepted", self.max_len);
                return Err(PullError::protocol("the file", what));
            }
            chunks += 1;
            (self.report)(Progress { done: len, total: len, received, state: State::Receiving });
        }
        let output = self.store.finish().map_err(|error| PullError::store("cannot finish the file", error))?;
        Ok(Received { output, len, sent: 0, received, chunks, reused })
    }
}
