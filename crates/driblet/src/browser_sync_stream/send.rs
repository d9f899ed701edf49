use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use driblet_core::browser_sync_stream::{ChunkHash, Cutter, RabinOptions, Sender, SenderEvent};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf};
use tokio::time::{Instant, timeout, timeout_at};

use super::error::SendError;
use super::list::{ChunkList, CutError};
use super::message_batch::MessageBatch;
use crate::task::blocking;

/// How long a receiver may take to send its list.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// The most hashes of a receiver that are kept while the file is still being cut. A longer list waits until the file is
/// cut.
const ROOM: usize = 1 << 14;
/// Bytes of one read from a receiver.
const READ: usize = 16 << 10;
/// The most bytes that are read and ignored after a receiver's list.
const SPARE: u64 = 1 << 20;

/// The message of a sender that cannot continue: the hash of no chunk.
pub(crate) const GAVE_UP: [u8; 1 + ChunkHash::LEN] = {
    let mut message = [0; 1 + ChunkHash::LEN];
    message[0] = ChunkHash::LEN as u8;
    message
};

/// The result of a [`send`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Sent {
    /// Hashes that the receiver announced.
    pub announced: u64,
    /// Chunks of the file.
    pub chunks: u64,
    /// Bytes sent.
    pub sent: u64,
}

/// Sends a file to a receiver, and ends this side of the stream.
///
/// Sending begins as soon as the receiver's list has arrived and the first chunk is cut. Memory holds a list of 80
/// bytes for each chunk, at most 80 MiB, and some pieces of the file. If the file changes meanwhile, the receiver
/// refuses the changed chunks. `send` waits without limit for a receiver that stops reading, unless `io` has a limit.
///
/// See the [module](crate::browser_sync_stream) for an example.
///
/// # Errors
/// [`SendError`] says what failed. The receiver learns that the file is not complete.
pub async fn send<IO>(mut io: IO, path: impl AsRef<Path>, options: RabinOptions) -> Result<Sent, SendError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let result = send_on(&mut io, path.as_ref().to_path_buf(), options).await;
    match &result {
        Ok(_) => io.shutdown().await?,
        Err(SendError::Network(_)) => {}
        Err(_) => {
            let give_up = async {
                io.write_all(&GAVE_UP).await?;
                io.shutdown().await
            };
            // The first error counts, even if the receiver cannot be told.
            let _ = timeout(LIST_TIMEOUT, give_up).await;
        }
    }
    result
}

async fn send_on<IO>(io: &mut IO, path: PathBuf, options: RabinOptions) -> Result<Sent, SendError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let cutter = Cutter::new(options)?;
    let list = ChunkList::new();
    let growing = list.clone();
    let open = move || -> io::Result<_> {
        let file = File::open(path)?;
        let len = file.metadata().and_then(|data| match data.is_file() {
            true => Ok(data.len()),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")),
        })?;
        Ok((Arc::new(file), len))
    };
    let (file, len) = blocking(open).await.map_err(|source| SendError::File { source })?;
    let (cut, failing) = (file.clone(), list.clone());
    tokio::spawn(async move {
        let work = move || {
            growing.cut(&cut, len, cutter);
            Ok(())
        };
        if let Err(error) = blocking::<_, CutError>(work).await {
            failing.fail(error);
        }
    });
    session(io, &file, &list, LIST_TIMEOUT).await
}

/// Sends a file whose chunks are cut or being cut. The stream stays open.
pub(crate) async fn session<IO>(
    io: IO,
    file: &Arc<File>,
    list: &ChunkList,
    list_timeout: Duration,
) -> Result<Sent, SendError>
where
    IO: AsyncRead + AsyncWrite,
{
    let (mut reader, writer) = tokio::io::split(io);
    let sender = read_list(&mut reader, list, list_timeout).await?;
    tokio::select! {
        result = send_chunks(writer, &sender, file, list) => result,
        error = failure(reader) => Err(error.into()),
    }
}

/// Reads the receiver's list.
async fn read_list<IO: AsyncRead>(
    reader: &mut ReadHalf<IO>,
    list: &ChunkList,
    list_timeout: Duration,
) -> Result<Sender, SendError> {
    let mut sender = Sender::new(ROOM);
    let mut bytes = vec![0; READ];
    let mut deadline = Instant::now() + list_timeout;
    loop {
        match sender.poll_event()? {
            SenderEvent::NeedInput => {
                let read = timeout_at(deadline, reader.read(&mut bytes)).await;
                match read
                    .map_err(|_| SendError::ListLate { announced: sender.announced(), timeout: list_timeout })??
                {
                    0 => sender.handle_end(),
                    read => sender.handle_input(&bytes[..read]),
                }
            }
            SenderEvent::Full => {
                let begin = Instant::now();
                sender.keep_only(list.index().await?);
                deadline += begin.elapsed();
            }
            SenderEvent::Listed => return Ok(sender),
        }
    }
}

/// Sends the file, chunk by chunk.
async fn send_chunks(
    mut writer: impl AsyncWrite + Unpin,
    sender: &Sender,
    file: &Arc<File>,
    list: &ChunkList,
) -> Result<Sent, SendError> {
    let mut sent = Sent { announced: sender.announced(), ..Sent::default() };
    let mut batch = MessageBatch::default();
    loop {
        let chunks = list.after(sent.chunks as usize).await?;
        let is_end = chunks.is_empty();
        for chunk in chunks {
            batch.add(sender, chunk);
            sent.chunks += 1;
            if batch.is_full() {
                sent.sent += write(&mut writer, &mut batch, file).await?;
            }
        }
        // The receiver gets the chunks that are cut before the sender waits for the next one.
        if !batch.is_empty() && (is_end || !list.is_ready(sent.chunks as usize)) {
            sent.sent += write(&mut writer, &mut batch, file).await?;
            writer.flush().await?;
        }
        if is_end {
            writer.flush().await?;
            return Ok(sent);
        }
    }
}

async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    batch: &mut MessageBatch,
    file: &Arc<File>,
) -> Result<u64, SendError> {
    let bytes = batch.take(file).await.map_err(|source| SendError::File { source })?;
    writer.write_all(&bytes).await?;
    Ok(bytes.len() as u64)
}

/// Waits until the stream fails. It is no failure if the receiver ends its side, or sends bytes that are not needed.
async fn failure(reader: impl AsyncRead + Unpin) -> io::Error {
    match tokio::io::copy(&mut reader.take(SPARE), &mut tokio::io::sink()).await {
        Err(error) => error,
        Ok(_) => std::future::pending().await,
    }
}
