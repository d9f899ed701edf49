use std::collections::HashSet;

use super::chunk::ChunkHash;
use super::error::WireError;
use super::frames::Frames;
use crate::wire::put_varint;

/// The receiver's machine: announces what is held, and gives out the file's chunks in their order, the new ones verified.
///
/// Call [`announce`](Receiver::announce) for each chunk that is held, then [`end_announcing`](Receiver::end_announcing), and send what
/// [`poll_output`](Receiver::poll_output) gives. **After each `handle_…` call, poll until the event is [`ReceiverEvent::NeedInput`] or
/// [`ReceiverEvent::Done`].**
pub struct Receiver {
    frames: Frames,
    announced: HashSet<ChunkHash>,
    output: Vec<u8>,
    chunks: u64,
    failed: Option<WireError>,
}

/// What a [`Receiver`] wants or has.
#[derive(Debug, PartialEq, Eq)]
pub enum ReceiverEvent<'a> {
    /// More of what the sender sends: call [`Receiver::handle_input`] or [`Receiver::handle_end`].
    NeedInput,
    /// The file goes on with a chunk that was announced.
    Held(ChunkHash),
    /// The file goes on with a chunk that is new, or was sent all the same; these bytes have that hash.
    New {
        /// Their hash, recomputed.
        hash: ChunkHash,
        /// The chunk.
        bytes: &'a [u8],
    },
    /// The sender ended its side between two messages: what came is the file, as far as this wire can tell.
    Done,
}

impl Receiver {
    /// A receiver before its first announcement, which takes chunks of at most `max_chunk` bytes; [`MAX_CHUNK`](super::MAX_CHUNK) takes
    /// all that driblet sends.
    pub fn new(max_chunk: u32) -> Receiver {
        Receiver {
            frames: Frames::new(ChunkHash::LEN as u64 + u64::from(max_chunk)),
            announced: HashSet::new(),
            output: Vec::new(),
            chunks: 0,
            failed: None,
        }
    }

    /// Announces a chunk that is held.
    pub fn announce(&mut self, hash: ChunkHash) {
        if self.announced.insert(hash) {
            put_varint(&mut self.output, ChunkHash::LEN as u64);
            self.output.extend_from_slice(hash.as_bytes());
        }
    }

    /// All that is held has been announced.
    pub fn end_announcing(&mut self) {
        self.output.extend_from_slice(&[1, 0]);
    }

    /// The next bytes to send.
    pub fn poll_output(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut self.output)).filter(|output| !output.is_empty())
    }

    /// Takes the next bytes of what the sender sends, however they were split.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
    }

    /// The sender has ended its side.
    pub fn handle_end(&mut self) {
        self.frames.end();
    }

    /// What to do next. An error is final: every later call returns it again.
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

/// One message, checked.
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
