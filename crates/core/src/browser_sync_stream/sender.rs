use std::collections::HashSet;
use std::sync::Arc;

use super::chunk::{Chunk, ChunkHash};
use super::error::WireError;
use super::frames::Frames;
use super::index::ChunkIndex;
use crate::wire::put_varint;

/// The sender's machine: takes in what the receiver announces, and then knows what to say of each chunk.
///
/// **After each `handle_…` call, poll until the event is [`SenderEvent::NeedInput`] or [`SenderEvent::Listed`].** Chunks are told with
/// [`put_head`](Sender::put_head) once the list is complete, in the file's order, each once for every time that the file has it.
pub struct Sender {
    frames: Frames,
    held: HeldChunks,
    room: usize,
    is_listed: bool,
    announced: u64,
    failed: Option<WireError>,
}

/// What a [`Sender`] wants or has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SenderEvent {
    /// More of the receiver's list: call [`Sender::handle_input`] or [`Sender::handle_end`].
    NeedInput,
    /// As many hashes are held as there is room for: call [`Sender::keep_only`] to go on, or give up.
    Full,
    /// The list is complete. What the receiver sends from now on means nothing.
    Listed,
}

/// What the receiver holds, as far as it matters.
enum HeldChunks {
    /// Any chunks.
    Any(HashSet<ChunkHash>),
    /// Chunks of the file: one mark for each that the index has.
    OfFile(Arc<ChunkIndex>, Vec<bool>),
}

impl Sender {
    /// A sender before the first byte of the receiver's list. Of that it holds at most `room` hashes, of 32 bytes each, until it is told
    /// which ones matter.
    pub fn new(room: usize) -> Sender {
        Sender {
            frames: Frames::new(ChunkHash::LEN as u64),
            held: HeldChunks::Any(HashSet::new()),
            room,
            is_listed: false,
            announced: 0,
            failed: None,
        }
    }

    /// Takes the next bytes of the receiver's list, however they were split.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        if !self.is_listed {
            self.frames.push(bytes);
        }
    }

    /// The receiver has ended its side.
    pub fn handle_end(&mut self) {
        self.frames.end();
    }

    /// What to do next. An error is final: every later call returns it again.
    pub fn poll_event(&mut self) -> Result<SenderEvent, WireError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.advance().inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// All chunks of the file are known: hashes of others need not be held. From now on there is room for any list.
    pub fn keep_only(&mut self, index: Arc<ChunkIndex>) {
        let marks = index.hashes().map(|hash| self.held.has(hash)).collect();
        self.held = HeldChunks::OfFile(index, marks);
    }

    /// Appends the message about a chunk, up to where its bytes begin, and says whether they follow: they do where the receiver did not
    /// announce the chunk.
    pub fn put_head(&self, chunk: &Chunk, out: &mut Vec<u8>) -> bool {
        let is_new = !self.held.has(&chunk.hash);
        put_varint(out, ChunkHash::LEN as u64 + if is_new { u64::from(chunk.len) } else { 0 });
        out.extend_from_slice(chunk.hash.as_bytes());
        is_new
    }

    /// Hashes that were announced so far.
    pub fn announced(&self) -> u64 {
        self.announced
    }

    fn advance(&mut self) -> Result<SenderEvent, WireError> {
        while !self.is_listed {
            if matches!(&self.held, HeldChunks::Any(hashes) if self.room <= hashes.len()) {
                return Ok(SenderEvent::Full);
            }
            let Some(message) = self.frames.poll()? else {
                let announced = self.announced;
                return if self.frames.ended() {
                    Err(WireError::ListCutOff { announced })
                } else {
                    Ok(SenderEvent::NeedInput)
                };
            };
            if message == [0] {
                self.is_listed = true;
                break;
            }
            let hash = message.try_into().map_err(|_| WireError::NoHash { len: message.len() })?;
            self.held.add(ChunkHash::from_bytes(hash));
            self.announced += 1;
        }
        Ok(SenderEvent::Listed)
    }
}

impl HeldChunks {
    fn has(&self, hash: &ChunkHash) -> bool {
        match self {
            HeldChunks::Any(hashes) => hashes.contains(hash),
            HeldChunks::OfFile(index, marks) => index.find(hash).is_some_and(|at| marks[at]),
        }
    }

    fn add(&mut self, hash: ChunkHash) {
        match self {
            HeldChunks::Any(hashes) => {
                hashes.insert(hash);
            }
            HeldChunks::OfFile(index, marks) => {
                if let Some(at) = index.find(&hash) {
                    marks[at] = true;
                }
            }
        }
    }
}
