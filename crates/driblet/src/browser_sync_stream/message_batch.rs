use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use driblet_core::browser_sync_stream::{Chunk, Sender};
use tokio::task::spawn_blocking;

/// Bytes after which a piece is sent.
const LEN: usize = 128 << 10;

/// Some messages in a row, whose chunks are read from the file at once.
#[derive(Default)]
pub(super) struct Piece {
    bytes: Vec<u8>,
    /// Where chunks are missing in `bytes`, and where they lie in the file.
    missing: Vec<Chunk>,
    starts: Vec<usize>,
}

impl Piece {
    pub(super) fn add(&mut self, sender: &Sender, chunk: Chunk) {
        if sender.put_head(&chunk, &mut self.bytes) {
            self.starts.push(self.bytes.len());
            self.bytes.resize(self.bytes.len() + chunk.len as usize, 0);
            self.missing.push(chunk);
        }
    }

    pub(super) fn is_full(&self) -> bool {
        LEN <= self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The messages' bytes, whole; the piece is empty then.
    pub(super) async fn take(&mut self, file: &Arc<File>) -> io::Result<Vec<u8>> {
        let Piece { mut bytes, missing, starts } = std::mem::take(self);
        if missing.is_empty() {
            return Ok(bytes);
        }
        let file = file.clone();
        let read = spawn_blocking(move || {
            for (chunk, start) in missing.iter().zip(starts) {
                file.read_exact_at(&mut bytes[start..start + chunk.len as usize], chunk.offset)?;
            }
            Ok(bytes)
        });
        read.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}
