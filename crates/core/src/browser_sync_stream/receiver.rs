use std::collections::HashSet;
use std::fmt;

use super::chunk::ChunkHash;
use super::error::WireError;
use super::frames::Frames;
use crate::wire::put_varint;

/// The receiver: announces the chunks that it holds, and gives out the chunks of the file in order. New chunks are
/// verified.
///
/// Call [`announce`](Receiver::announce) for each held chunk, then [`end_announcing`](Receiver::end_announcing), and
/// send what [`poll_output`](Receiver::poll_output) returns. **After each `handle_…` call, poll until the event is
/// [`ReceiverEvent::NeedInput`] or [`ReceiverEvent::Done`].** The [module](super) has an
/// example without held chunks.
///
/// ```
/// use driblet_core::browser_sync_stream::{ChunkHash, MAX_CHUNK, RabinChunk, Receiver, ReceiverEvent};
/// use driblet_core::browser_sync_stream::{Sender, SenderEvent};
///
/// let held = RabinChunk { hash: ChunkHash::of(b"driblet"), offset: 0, len: 7 };
/// let mut receiver = Receiver::new(MAX_CHUNK);
/// receiver.announce(held.hash);
/// receiver.end_announcing();
/// let mut sender = Sender::new(1000);
/// while let Some(bytes) = receiver.poll_output() {
///     sender.handle_input(&bytes);
/// }
/// assert_eq!(sender.poll_event()?, SenderEvent::Listed);
///
/// let mut message = Vec::new();
/// assert!(!sender.put_head(&held, &mut message), "the receiver needs no bytes of this chunk");
/// receiver.handle_input(&message);
/// receiver.handle_end();
/// assert_eq!(receiver.poll_event()?, ReceiverEvent::Held(held.hash));
/// assert_eq!(receiver.poll_event()?, ReceiverEvent::Done);
/// # Ok::<(), driblet_core::browser_sync_stream::WireError>(())
/// ```
pub struct Receiver {
    frames: Frames,
    announced: HashSet<ChunkHash>,
    output: Vec<u8>,
    chunks: u64,
    failed: Option<WireError>,
}

/// What a [`Receiver`] needs or gives out.
///
/// This enum is exhaustive on purpose. A caller that skips an event loses chunks or waits forever, so a new event must
/// be a compile error in each caller.
#[derive(Debug, PartialEq, Eq)]
pub enum ReceiverEvent<'a> {
    /// The receiver needs more bytes from the sender: call [`Receiver::handle_input`] or [`Receiver::handle_end`].
    NeedInput,
    /// The next chunk of the file is one that was announced.
    Held(ChunkHash),
    /// The next chunk of the file, with its bytes. The sender may also send a chunk that was announced.
    New {
        /// The hash of the bytes, as the receiver computed it.
        hash: ChunkHash,
        /// The bytes of the chunk.
        bytes: &'a [u8],
    },
    /// The sender ended its side between two messages. As far as this protocol can tell, the file is complete.
    Done,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("announced", &self.announced.len())
            .field("chunks", &self.chunks)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Receiver {
    /// A receiver that accepts chunks of at most `max_chunk` bytes. [`MAX_CHUNK`](super::MAX_CHUNK) accepts every chunk
    /// that driblet sends.
    pub fn new(max_chunk: u32) -> Receiver {
        Receiver {
            frames: Frames::new(ChunkHash::LEN as u64 + u64::from(max_chunk)),
            announced: HashSet::new(),
            output: Vec::new(),
            chunks: 0,
            failed: None,
        }
    }

    /// Announces a chunk that the receiver holds.
    pub fn announce(&mut self, hash: ChunkHash) {
        if self.announced.insert(hash) {
            put_varint(&mut self.output, ChunkHash::LEN as u64);
            self.output.extend_from_slice(hash.as_bytes());
        }
    }

    /// Ends the list of held chunks.
    pub fn end_announcing(&mut self) {
        self.output.extend_from_slice(&[1, 0]);
    }

    /// The next bytes to send.
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut self.output)).filter(|output| !output.is_empty())
    }

    /// Takes the next bytes from the sender. They may be split anywhere.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
    }

    /// Call this when the sender has ended its side.
    pub fn handle_end(&mut self) {
        self.frames.end();
    }

    /// The next event.
    ///
    /// # Errors
    /// Fails if the sender's bytes are refused. An error is final: every later call returns it again.
    pub fn poll_event(&mut self) -> Result<ReceiverEvent<'_>, WireError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let ended = self.frames.ended();
        let chunk = self.chunks;
        let result = match self.frames.poll() {
            Ok(None) if ended => return Ok(ReceiverEvent::Done),
            Ok(None) => return Ok(ReceiverEvent::NeedInput),
            Ok(Some(message)) => read(message, &self.announced, chunk),
            Err(error) => Err(error),
        };
        match result {
            Ok(_) => self.chunks += 1,
            Err(ref error) => self.failed = Some(error.clone()),
        }
        result
    }
}

/// Reads and checks one message.
fn read<'a>(message: &'a [u8], announced: &HashSet<ChunkHash>, chunk: u64) -> Result<ReceiverEvent<'a>, WireError> {
    let Some((hash, bytes)) = message.split_first_chunk() else {
        return Err(WireError::NoHash { len: message.len() });
    };
    let hash = ChunkHash::from_bytes(*hash);
    if bytes.is_empty() {
        if hash == ChunkHash::NONE {
            return Err(WireError::GaveUp);
        }
        let is_known = announced.contains(&hash);
        return if is_known { Ok(ReceiverEvent::Held(hash)) } else { Err(WireError::NeverAnnounced { chunk, hash }) };
    }
    let found = ChunkHash::of(bytes);
    if found == hash {
        Ok(ReceiverEvent::New { hash, bytes })
    } else {
        Err(WireError::WrongHash { chunk, hash, found })
    }
}
