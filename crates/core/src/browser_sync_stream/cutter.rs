use std::collections::VecDeque;
use std::fmt;

use rustic_cdc::{Rabin64, RollingHash64};
use sha2::{Digest, Sha256};

use super::chunk::{ChunkHash, RabinChunk};
use super::options::{BadOptions, CutRule, RabinOptions};

/// log2 of [`FINGERPRINT_LEN`].
const FINGERPRINT_LOG2: u32 = 6;
/// The number of bytes that a fingerprint covers.
const FINGERPRINT_LEN: u64 = 1 << FINGERPRINT_LOG2;

/// Cuts a file into chunks piece by piece, at the same places as npm `rabin`. It keeps no bytes of the file.
///
/// ```
/// use driblet_core::browser_sync_stream::{Cutter, RabinOptions};
///
/// let mut cutter = Cutter::new(RabinOptions::default())?;
/// cutter.handle_input(&[7; 100_000]);
/// cutter.handle_end();
/// assert_eq!(cutter.poll_chunk().map(|chunk| chunk.len), Some(32_768));
/// # Ok::<(), driblet_core::browser_sync_stream::BadOptions>(())
/// ```
pub struct Cutter {
    rule: CutRule,
    rabin: Rabin64,
    /// The hash of the bytes after the last cut.
    hasher: Sha256,
    offset: u64,
    len: u64,
    cut: VecDeque<RabinChunk>,
}

impl fmt::Debug for Cutter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cutter")
            .field("rule", &self.rule)
            .field("offset", &self.offset)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl Cutter {
    /// A cutter at the start of a file.
    ///
    /// # Errors
    /// Fails if files cannot be cut by these options.
    pub fn new(options: RabinOptions) -> Result<Cutter, BadOptions> {
        let rule = CutRule::new(options)?;
        let mut rabin = Rabin64::new(FINGERPRINT_LOG2);
        restart(&mut rabin);
        Ok(Cutter { rule, rabin, hasher: Sha256::new(), offset: 0, len: 0, cut: VecDeque::new() })
    }

    /// Takes the next bytes of the file. They may be split anywhere.
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

    /// Ends the file. The bytes after the last cut are its last chunk.
    pub fn handle_end(&mut self) {
        if self.len != 0 {
            self.end_chunk();
        }
    }

    /// The next chunk whose end is known.
    pub fn poll_chunk(&mut self) -> Option<RabinChunk> {
        self.cut.pop_front()
    }

    /// How many of the bytes come before the next cut, and whether there is a cut.
    fn scan(&mut self, bytes: &[u8]) -> (usize, bool) {
        let CutRule { mask, min, max } = self.rule;
        // A fingerprint covers its window only, so the bytes before the first possible window are skipped.
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
        self.cut.push_back(RabinChunk { hash, offset: self.offset, len: self.len as u32 });
        self.offset += self.len;
        self.len = 0;
        restart(&mut self.rabin);
    }
}

/// Begins a chunk as npm `rabin` does: with an empty window, into which a 1 is slid.
fn restart(rabin: &mut Rabin64) {
    rabin.reset();
    rabin.slide(1);
}
