//! Where what is made is kept: in memory while it is short, in an unnamed file of the history beyond.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::sync::{Arc, Weak};

use bytes::Bytes;

use crate::history::History;

/// What is longer goes to an unnamed file of the history.
const IN_MEMORY: usize = 64 << 10;

/// Bytes that were made once.
#[derive(Clone)]
pub(crate) struct Artifact {
    pub(crate) content: Content,
    /// The first 16 hex digits of the BLAKE3 of the bytes.
    pub(crate) etag: Arc<str>,
}

#[derive(Clone)]
pub(crate) enum Content {
    Memory(Bytes),
    File(Arc<File>, u64),
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::File(_, len) => *len,
        }
    }
}

/// Bytes that move from memory to a file when they become many. It keeps no history open: who drops a server can open its folder at
/// once, whatever is still being made.
pub(super) struct Spool {
    history: Weak<dyn History>,
    memory: Vec<u8>,
    file: Option<File>,
    len: u64,
    hasher: blake3::Hasher,
}

impl Spool {
    pub(super) fn new(history: Weak<dyn History>) -> Spool {
        Spool { history, memory: Vec::new(), file: None, len: 0, hasher: blake3::Hasher::new() }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        if self.file.is_none() && self.memory.len() + bytes.len() <= IN_MEMORY {
            self.memory.extend_from_slice(bytes);
            return Ok(());
        }
        if self.file.is_none() {
            let history = self.history.upgrade().ok_or_else(|| io::Error::other("the server is gone"))?;
            let mut file = history.scratch()?;
            file.write_all(&std::mem::take(&mut self.memory))?;
            self.file = Some(file);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }

    pub(super) fn finish(self) -> io::Result<Artifact> {
        let etag: Arc<str> = self.hasher.finalize().to_hex()[..16].into();
        let content = match self.file {
            None => Content::Memory(self.memory.into()),
            Some(mut file) => {
                file.rewind()?;
                Content::File(Arc::new(file), self.len)
            }
        };
        Ok(Artifact { content, etag })
    }
}
