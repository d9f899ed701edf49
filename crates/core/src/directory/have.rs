//! What a receiver holds of a directory, for a server that does not know the receiver's version of it.

use super::error::{HaveError, ManifestError};
use super::format::FORMAT;
use super::manifest::{FileEntry, Manifest};
use crate::version::Version;
use crate::wire::{ByteReader, Stop, put_varint};

/// The first byte of every such list.
const MAGIC: u8 = 0xde;
/// Bytes before the bits.
const START: usize = 34;
/// The most bytes that a version and its place take.
const OTHER: usize = 37;

/// What a receiver holds of a directory.
///
/// ```
/// use driblet_core::Version;
/// use driblet_core::directory::Have;
///
/// let have = Have {
///     target: Version::of(b"a manifest of 3 files"),
///     held: vec![0, 2],
///     others: vec![(1, Version::of(b"an older version of the second file"))],
/// };
/// let bytes = have.encode(3);
/// assert_eq!(Have::target(&bytes)?, have.target);
/// assert_eq!(Have::parse(&bytes, 3)?, have);
/// # Ok::<(), driblet_core::directory::HaveError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Have {
    /// The version of the manifest that the indices are of.
    pub target: Version,
    /// The indices of the files whose versions the receiver holds, at any path; in order.
    pub held: Vec<usize>,
    /// The indices of other files, in order, and what the receiver holds at their paths. At most 65,536.
    pub others: Vec<(usize, Version)>,
}

impl Have {
    /// The most other versions of a list.
    pub const MAX_OTHERS: usize = 1 << 16;

    /// The bytes of a list. `count` is the number of the manifest's files. Of the others, as many are listed as the
    /// format allows.
    pub fn encode(&self, count: usize) -> Vec<u8> {
        let mut out = vec![MAGIC, FORMAT];
        out.extend_from_slice(self.target.as_bytes());
        let bits = out.len();
        out.resize(bits + count.div_ceil(8), 0);
        for index in &self.held {
            out[bits + index / 8] |= 1 << (index % 8);
        }
        let others = &self.others[..self.others.len().min(Have::MAX_OTHERS)];
        put_varint(&mut out, others.len() as u64);
        let mut next = 0;
        for (index, version) in others {
            put_varint(&mut out, (index - next) as u64);
            out.extend_from_slice(version.as_bytes());
            next = index + 1;
        }
        out
    }

    /// The manifest of what the receiver holds, as both sides make it: the files of `target` that are held, and the
    /// others that the server accepted. `lens` has the length of each other, or `None` if it was not accepted.
    ///
    /// # Errors
    /// Fails if an accepted other stands at the path of a file that is held.
    ///
    /// # Panics
    /// If an index is not one of the target's.
    pub fn manifest(&self, target: &Manifest, lens: &[Option<u64>]) -> Result<Manifest, ManifestError> {
        let held = self.held.iter().map(|index| {
            let entry = target.entry(*index);
            (*index, entry.version, entry.len)
        });
        let others = self.others.iter().zip(lens);
        let others = others.filter_map(|((index, version), len)| len.map(|len| (*index, *version, len)));
        let files = held.chain(others).map(|(index, version, len)| {
            let entry = target.entry(index);
            FileEntry { path: entry.path.to_owned(), executable: entry.executable, len, version }
        });
        Manifest::new(files.collect())
    }

    /// The most bytes of a list for a manifest with this many files.
    pub fn max_len(count: usize) -> usize {
        START + count.div_ceil(8) + 10 + OTHER * count.min(Have::MAX_OTHERS)
    }

    /// The version of the manifest that a list is of.
    ///
    /// # Errors
    /// Fails if the bytes are no such list.
    pub fn target(bytes: &[u8]) -> Result<Version, HaveError> {
        start(&mut ByteReader::new(bytes))
    }

    /// Parses a list for a manifest with this many files.
    ///
    /// # Errors
    /// Fails if the bytes are no such list, or if it names files that the manifest does not have.
    pub fn parse(bytes: &[u8], count: usize) -> Result<Have, HaveError> {
        let mut reader = ByteReader::new(bytes);
        let target = start(&mut reader)?;
        let bits = reader.take(count.div_ceil(8)).map_err(stopped)?;
        let is_set = |index: &usize| bits[index / 8] & (1 << (index % 8)) != 0;
        if (count..8 * bits.len()).any(|index| is_set(&index)) {
            return Err(HaveError::NoSuchFile { count });
        }
        let held = (0..count).filter(is_set).collect();
        let len = reader.varint().map_err(stopped)?;
        if (Have::MAX_OTHERS as u64) < len {
            return Err(HaveError::TooMany { announced: len, limit: Have::MAX_OTHERS as u64 });
        }
        let (mut others, mut next) = (Vec::new(), 0u64);
        for _ in 0..len {
            let index = next.saturating_add(reader.varint().map_err(stopped)?);
            if count as u64 <= index {
                return Err(HaveError::NoSuchFile { count });
            }
            let version = Version::from_bytes(reader.array().map_err(stopped)?);
            others.push((index as usize, version));
            next = index + 1;
        }
        match reader.is_empty() {
            true => Ok(Have { target, held, others }),
            false => Err(HaveError::TooLong { extra: bytes.len() - reader.position() }),
        }
    }
}

fn start(reader: &mut ByteReader<'_>) -> Result<Version, HaveError> {
    if reader.u8().map_err(stopped)? != MAGIC {
        return Err(HaveError::NoHave);
    }
    match reader.u8().map_err(stopped)? {
        FORMAT => Ok(Version::from_bytes(reader.array().map_err(stopped)?)),
        format => Err(HaveError::UnknownFormat { format }),
    }
}

fn stopped(stop: Stop) -> HaveError {
    match stop {
        Stop::Incomplete => HaveError::CutOff,
        Stop::BadVarint => HaveError::BadNumber,
    }
}
