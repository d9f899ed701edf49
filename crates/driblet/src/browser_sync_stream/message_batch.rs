use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use driblet_core::browser_sync_stream::{RabinChunk, Sender};

use crate::task::blocking;

/// Bytes at which a batch is sent.
const LEN: usize = 128 << 10;

/// Consecutive messages, whose chunks are read from the file together.
#[derive(Default)]
pub(super) struct MessageBatch {
    bytes: Vec<u8>,
    /// The chunks that are missing in `bytes`.
    missing: Vec<RabinChunk>,
    /// The places of the missing chunks in `bytes`.
    starts: Vec<usize>,
}

impl MessageBatch {
    pub(super) fn add(&mut self, sender: &Sender, chunk: RabinChunk) {
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

    /// The bytes of the messages. The batch is empty then.
    pub(super) async fn take(&mut self, file: &Arc<File>) -> io::Result<Vec<u8>> {
        let MessageBatch { mut bytes, missing, starts } = std::mem::take(self);
        if missing.is_empty() {
            return Ok(bytes);
        }
        let file = file.clone();
        blocking(move || {
            for (chunk, start) in missing.iter().zip(starts) {
                file.read_exact_at(&mut bytes[start..start + chunk.len as usize], chunk.offset)?;
            }
            Ok(bytes)
        })
        .await
    }
}
