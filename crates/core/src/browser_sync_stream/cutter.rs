use std::collections::VecDeque;

use rustic_cdc::{Rabin64, RollingHash64};
use sha2::{Digest, Sha256};

use super::chunk::{Chunk, ChunkHash};
use super::options::{BadOptions, CutRule, RabinOptions};

/// log2 of the bytes that a fingerprint covers.
const FINGERPRINT_LOG2: u32 = 6;
/// Bytes that a fingerprint covers.
const FINGERPRINT_LEN: u64 = 1 << FINGERPRINT_LOG2;

/// Cuts a file that comes piece by piece, where npm `rabin` cuts it. Holds no bytes of it.
pub struct Cutter {
    rule: CutRule,
    rabin: Rabin64,
    /// Of the chunk that is not cut yet.
    hasher: Sha256,
    offset: u64,
    len: u64,
    cut: VecDeque<Chunk>,
}

impl Cutter {
    /// A cutter at the start of a file.
    pub fn new(options: RabinOptions) -> Result<Cutter, BadOptions> {
        let rule = CutRule::new(options)?;
        let mut rabin = Rabin64::new(FINGERPRINT_LOG2);
        restart(&mut rabin);
        Ok(Cutter { rule, rabin, hasher: Sha256::new(), offset: 0, len: 0, cut: VecDeque::new() })
    }

    /// Takes the next bytes of the file, however they were split.
    pub fn handle_input(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (scanned, is_cut) = self.scan(rest);
            self.hasher.update(&rest[..scanned]);
            self.len += scanned as u64;
            rest = &rest[scanned..];
            if is_cut {
                self.end_chunk();
            }
        }
    }

    /// The file has ended: what is left is its last chunk.
    pub fn handle_end(&mut self) {
        if self.len != 0 {
            self.end_chunk();
        }
    }

    /// The next chunk whose end is known.
    pub fn poll_chunk(&mut self) -> Option<Chunk> {
        self.cut.pop_front()
    }

    /// How many bytes come before the next cut, and whether there is one among these.
    fn scan(&mut self, bytes: &[u8]) -> (usize, bool) {
        let CutRule { mask, min, max } = self.rule;
        // A fingerprint knows no more than its window, so what lies before the first one that can end a chunk is not looked at.
        let unseen = min.min(max).saturating_sub(FINGERPRINT_LEN).saturating_sub(self.len).min(bytes.len() as u64);
        let mut len = self.len + unseen;
        for (at, byte) in bytes.iter().enumerate().skip(unseen as usize) {
            self.rabin.slide(*byte);
            len += 1;
            if (min <= len && self.rabin.hash & mask == 0) || max <= len {
                return (at + 1, true);
            }
        }
        (bytes.len(), false)
    }

    fn end_chunk(&mut self) {
        let hash = ChunkHash::from_bytes(self.hasher.finalize_reset().into());
        self.cut.push_back(Chunk { hash, offset: self.offset, len: self.len as u32 });
        self.offset += self.len;
        self.len = 0;
        restart(&mut self.rabin);
    }
}

/// Each chunk is cut by itself: npm `rabin` empties the window and slides a 1 in first.
fn restart(rabin: &mut Rabin64) {
    rabin.reset();
    rabin.slide(1);
}
