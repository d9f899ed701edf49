//! What the last pull wrote.

use std::io;
use std::path::Path;
use std::sync::Arc;

use driblet_core::directory::{Manifest, ManifestLimits};
use serde::{Deserialize, Serialize};

use super::sealed;
use crate::fingerprint::Fingerprint;

/// The fingerprint of a file that a pull wrote and that may have been changed since.
pub(super) const UNKNOWN: Fingerprint = Fingerprint { device: 0, inode: 0, len: 0, modified: 0, changed: 0, born: 0 };
/// Bytes of a fingerprint.
const STAMP: usize = 48;

/// A directory version, and what its files looked like after they were written.
pub(super) struct Record {
    pub(super) manifest: Arc<Manifest>,
    /// One for each file; [`Fingerprint::NONE`] for a file that no pull wrote, [`UNKNOWN`] for one to be read again.
    pub(super) stamps: Vec<Fingerprint>,
    /// When the fingerprints were taken.
    pub(super) taken: i64,
}

#[derive(Serialize, Deserialize)]
struct Header {
    url: String,
    taken: i64,
    manifest: usize,
}

impl Record {
    pub(super) fn load(path: &Path) -> io::Result<Option<Record>> {
        let Some((Header { taken, manifest: len, .. }, bytes)) = sealed::read::<Header>(path)? else { return Ok(None) };
        let Some((manifest, stamps)) = bytes.split_at_checked(len) else { return Ok(None) };
        let Ok(manifest) = Manifest::parse(manifest, ManifestLimits::default()) else { return Ok(None) };
        if stamps.len() != manifest.len() * STAMP {
            return Ok(None);
        }
        let stamps = stamps.chunks_exact(STAMP).map(stamp).collect();
        Ok(Some(Record { manifest: Arc::new(manifest), stamps, taken }))
    }

    pub(super) fn save(&self, path: &Path, url: &str) -> io::Result<()> {
        let manifest = self.manifest.encode();
        let stamps: Vec<u8> = self.stamps.iter().flat_map(bytes).collect();
        let header = Header { url: url.to_owned(), taken: self.taken, manifest: manifest.len() };
        sealed::write(path, &header, &[&manifest, &stamps])
    }

    /// Whether an earlier pull wrote the file.
    pub(super) fn is_ours(&self, index: usize) -> bool {
        self.stamps[index] != Fingerprint::NONE
    }

    /// Whether a file is as it was written. A file that was stamped just before the record was made may have changed
    /// without another stamp (git calls such files "racily clean").
    pub(super) fn is_unchanged(&self, index: usize, found: &Fingerprint) -> bool {
        let stamp = &self.stamps[index];
        stamp == found && stamp.age(self.taken).is_some_and(|age| stamp.granularity() < age)
    }
}

fn bytes(stamp: &Fingerprint) -> [u8; STAMP] {
    let Fingerprint { device, inode, len, modified, changed, born } = *stamp;
    let mut bytes = [0; STAMP];
    let numbers = [device, inode, len, modified as u64, changed as u64, born as u64];
    bytes.chunks_exact_mut(8).zip(numbers).for_each(|(bytes, number)| bytes.copy_from_slice(&number.to_le_bytes()));
    bytes
}

fn stamp(bytes: &[u8]) -> Fingerprint {
    let number = |at: usize| bytes[8 * at..8 * (at + 1)].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    Fingerprint {
        device: number(0),
        inode: number(1),
        len: number(2),
        modified: number(3) as i64,
        changed: number(4) as i64,
        born: number(5) as i64,
    }
}
