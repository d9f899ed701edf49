use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::chunk::{ChunkHash, RabinChunk};
use super::error::WireError;
use super::frames::Frames;
use super::index::ChunkIndex;
use crate::wire::put_varint;

/// The sender: reads the receiver's list, and then knows what to send for each chunk.
///
/// **After each `handle_…` call, poll until the event is [`SenderEvent::NeedInput`] or [`SenderEvent::Listed`].** When
/// the list is complete, call [`put_head`](Sender::put_head) for the chunks of the file, in file order. The
/// [module](super) has an example of a whole transfer.
///
/// A list can be longer than the sender has room for. [`keep_only`](Sender::keep_only) makes it forget the hashes of
/// chunks that the file does not have:
///
/// ```
/// use std::sync::Arc;
///
/// use driblet_core::browser_sync_stream::{ChunkHash, ChunkIndex, MAX_CHUNK, RabinChunk, Receiver};
/// use driblet_core::browser_sync_stream::{Sender, SenderEvent};
///
/// let mut receiver = Receiver::new(MAX_CHUNK);
/// [b"one", b"two", b"six"].map(|held| receiver.announce(ChunkHash::of(held)));
/// receiver.end_announcing();
/// let mut sender = Sender::new(2);
/// while let Some(bytes) = receiver.poll_output() {
///     sender.handle_input(&bytes);
/// }
/// assert_eq!(sender.poll_event()?, SenderEvent::Full);
/// let file = [RabinChunk { hash: ChunkHash::of(b"six"), offset: 0, len: 3 }];
/// sender.keep_only(Arc::new(ChunkIndex::of(&file)));
/// assert_eq!(sender.poll_event()?, SenderEvent::Listed);
/// assert_eq!(sender.announced(), 3);
/// assert!(!sender.put_head(&file[0], &mut Vec::new()), "the receiver holds the file's only chunk");
/// # Ok::<(), driblet_core::browser_sync_stream::WireError>(())
/// ```
pub struct Sender {
    frames: Frames,
    held: HeldChunks,
    room: usize,
    is_listed: bool,
    announced: u64,
    failed: Option<WireError>,
}

/// What a [`Sender`] needs.
///
/// This enum is exhaustive on purpose. A caller that skips an event waits forever, so a new event must be a compile
/// error in each caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SenderEvent {
    /// The sender needs more of the receiver's list: call [`Sender::handle_input`] or [`Sender::handle_end`].
    NeedInput,
    /// The sender holds as many hashes as it has room for. Call [`Sender::keep_only`] to continue, or stop.
    Full,
    /// The list is complete. The sender ignores further bytes from the receiver.
    Listed,
}

/// The chunks that the receiver holds.
enum HeldChunks {
    /// Any chunks, by their hashes.
    Any(HashSet<ChunkHash>),
    /// Chunks of the file only: a mark for each chunk of the index.
    OfFile(Arc<ChunkIndex>, Vec<bool>),
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("announced", &self.announced)
            .field("is_listed", &self.is_listed)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Sender {
    /// A sender that holds at most `room` hashes of the receiver's list, of 32 bytes each, until
    /// [`keep_only`](Sender::keep_only) is called.
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

    /// Takes the next bytes of the receiver's list. They may be split anywhere.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        if !self.is_listed {
            self.frames.push(bytes);
        }
    }

    /// Call this when the receiver has ended its side.
    pub fn handle_end(&mut self) {
        self.frames.end();
    }

    /// The next event.
    ///
    /// # Errors
    /// Fails if the list is refused. An error is final: every later call returns it again.
    pub fn poll_event(&mut self) -> Result<SenderEvent, WireError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.advance().inspect_err(|error| self.failed = Some(error.clone()))
    }

    /// Forgets the hashes of chunks that the file does not have, and ignores such hashes from now on. A list of any
    /// length fits then.
    pub fn keep_only(&mut self, index: Arc<ChunkIndex>) {
        let marks = index.hashes().map(|hash| self.held.has(hash)).collect();
        self.held = HeldChunks::OfFile(index, marks);
    }

    /// Appends the message about a chunk, up to where the chunk's bytes begin. Returns whether the bytes must follow,
    /// because the receiver did not announce the chunk.
    pub fn put_head(&self, chunk: &RabinChunk, out: &mut Vec<u8>) -> bool {
        let is_new = !self.held.has(&chunk.hash);
        put_varint(out, ChunkHash::LEN as u64 + if is_new { u64::from(chunk.len) } else { 0 });
        out.extend_from_slice(chunk.hash.as_bytes());
        is_new
    }

    /// How many hashes were announced so far.
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
