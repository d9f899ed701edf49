use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use driblet_core::browser_sync_stream::{ChunkHash, Cutter, RabinOptions, Sender, SenderEvent};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use super::error::SendError;
use super::list::ChunkList;
use super::message_batch::Piece;

/// How long a receiver may take to announce what it holds, where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(30);
/// Hashes held of a receiver while its file is still being cut: those of a version of some 200 MB. A longer list waits for the cutting.
const ROOM: usize = 1 << 14;
/// Bytes read at once of what a receiver sends.
const READ: usize = 16 << 10;
/// Bytes read, and forgotten, of what a receiver sends after its list.
const SPARE: u64 = 1 << 20;

/// The message by which a sender says that it cannot go on: the hash of no chunk.
pub(crate) const GAVE_UP: [u8; 1 + ChunkHash::LEN] = {
    let mut message = [0; 1 + ChunkHash::LEN];
    message[0] = ChunkHash::LEN as u8;
    message
};

/// What a [`send`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
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
/// Sending begins as soon as the receiver's list is there and the first chunk is cut; what is held in memory is a list of 80 bytes for each
/// chunk, at most 80 MiB, and some pieces of the file. A file that changes meanwhile makes chunks that the receiver refuses. A receiver that
/// stops reading is waited for as long as `io` waits.
///
/// # Errors
/// [`SendError`] says what; the receiver hears that the file is not complete.
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
            // What failed first is told, whether or not the receiver hears it.
            let _ = timeout(PATIENCE, give_up).await;
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
    let opened = spawn_blocking(open).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let (file, len) = opened.map_err(|source| SendError::File { source })?;
    let cut = file.clone();
    spawn_blocking(move || growing.cut(&cut, len, cutter));
    session(io, &file, &list, PATIENCE).await
}

/// Sends a file whose chunks are known, or are being cut. The stream stays open.
pub(crate) async fn session<IO>(
    io: IO,
    file: &Arc<File>,
    list: &ChunkList,
    patience: Duration,
) -> Result<Sent, SendError>
where
    IO: AsyncRead + AsyncWrite,
{
    let (mut reader, writer) = tokio::io::split(io);
    let sender = listen(&mut reader, list, patience).await?;
    tokio::select! {
        result = tell(writer, &sender, file, list) => result,
        error = failure(reader) => Err(error.into()),
    }
}

/// Takes the receiver's list.
async fn listen<IO: AsyncRead>(
    reader: &mut ReadHalf<IO>,
    list: &ChunkList,
    patience: Duration,
) -> Result<Sender, SendError> {
    let mut sender = Sender::new(ROOM);
    let mut bytes = vec![0; READ];
    let mut deadline = Instant::now() + patience;
    loop {
        match sender.poll_event()? {
            SenderEvent::NeedInput => {
                let read = timeout_at(deadline, reader.read(&mut bytes)).await;
                match read.map_err(|_| SendError::ListLate { announced: sender.announced(), patience })?? {
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

/// Tells the file, chunk by chunk.
async fn tell(
    mut writer: impl AsyncWrite + Unpin,
    sender: &Sender,
    file: &Arc<File>,
    list: &ChunkList,
) -> Result<Sent, SendError> {
    let mut sent = Sent { announced: sender.announced(), ..Sent::default() };
    let mut piece = Piece::default();
    loop {
        let chunks = list.after(sent.chunks as usize).await?;
        let is_end = chunks.is_empty();
        for chunk in chunks {
            piece.add(sender, chunk);
            sent.chunks += 1;
            if piece.is_full() {
                sent.sent += write(&mut writer, &mut piece, file).await?;
            }
        }
        // Whoever waits for the next chunk to be cut need not wait for those that are.
        if !piece.is_empty() && (is_end || !list.is_ready(sent.chunks as usize)) {
            sent.sent += write(&mut writer, &mut piece, file).await?;
            writer.flush().await?;
        }
        if is_end {
            writer.flush().await?;
            return Ok(sent);
        }
    }
}

async fn write(writer: &mut (impl AsyncWrite + Unpin), piece: &mut Piece, file: &Arc<File>) -> Result<u64, SendError> {
    let bytes = piece.take(file).await.map_err(|source| SendError::File { source })?;
    writer.write_all(&bytes).await?;
    Ok(bytes.len() as u64)
}

/// Waits until the stream fails. That the receiver ends its side is no failure, nor is what it sends though nobody asked.
async fn failure(reader: impl AsyncRead + Unpin) -> io::Error {
    match tokio::io::copy(&mut reader.take(SPARE), &mut tokio::io::sink()).await {
        Err(error) => error,
        Ok(_) => std::future::pending().await,
    }
}
