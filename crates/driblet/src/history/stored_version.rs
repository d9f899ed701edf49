use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use driblet_core::Version;

use super::segments::Place;
use crate::fingerprint::Fingerprint;
use crate::map::Map;

/// A version that is open. It stays readable when it is evicted.
pub(crate) struct StoredVersion {
    pub(crate) version: Version,
    pub(crate) len: u64,
    file: Arc<File>,
    bytes: StoredBytes,
}

enum StoredBytes {
    /// All bytes of the file.
    Mapped(Map),
    /// All bytes of a short file, read into memory.
    Read(Vec<u8>),
    /// Bytes of a segment, read into memory.
    Segment(Vec<u8>),
}

/// The longest file that is read into memory instead of mapped.
const SHORT: u64 = 64 << 10;

impl StoredVersion {
    pub(super) fn open(path: &Path, version: Version) -> io::Result<StoredVersion> {
        StoredVersion::of(File::open(path)?, version)
    }

    pub(super) fn of(file: File, version: Version) -> io::Result<StoredVersion> {
        let len = file.metadata()?.len();
        let bytes = if len <= SHORT {
            let mut bytes = vec![0; len as usize];
            file.read_exact_at(&mut bytes, 0)?;
            StoredBytes::Read(bytes)
        } else {
            StoredBytes::Mapped(Map::of(&file)?)
        };
        let mut stored = StoredVersion { version, len, file: Arc::new(file), bytes };
        // A file that changed its length meanwhile is found to be damaged.
        stored.len = stored.bytes().len() as u64;
        Ok(stored)
    }

    /// Reads a version from a segment.
    pub(super) fn in_segment(segment: Arc<File>, place: Place, version: Version) -> io::Result<StoredVersion> {
        let bytes = read_place(&segment, place)?;
        Ok(StoredVersion { version, len: place.len, file: segment, bytes: StoredBytes::Segment(bytes) })
    }

    /// A file with exactly these bytes, for reading at offsets.
    pub(crate) fn file(&self) -> io::Result<Arc<File>> {
        match &self.bytes {
            StoredBytes::Mapped(_) | StoredBytes::Read(_) => Ok(self.file.clone()),
            StoredBytes::Segment(bytes) => {
                let mut copy = file_in_memory()?;
                copy.write_all(bytes)?;
                Ok(Arc::new(copy))
            }
        }
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.bytes {
            StoredBytes::Mapped(map) => map,
            StoredBytes::Read(bytes) | StoredBytes::Segment(bytes) => bytes,
        }
    }

    /// All bytes, if they are in memory.
    pub(crate) fn in_memory(self: &Arc<Self>) -> Option<Bytes> {
        /// The bytes live as long as the version.
        struct Owner(Arc<StoredVersion>);

        impl AsRef<[u8]> for Owner {
            fn as_ref(&self) -> &[u8] {
                self.0.bytes()
            }
        }

        match self.bytes {
            StoredBytes::Mapped(_) => None,
            StoredBytes::Read(_) | StoredBytes::Segment(_) => Some(Bytes::from_owner(Owner(self.clone()))),
        }
    }

    /// What the file looks like that the history has the version in.
    pub(super) fn fingerprint(&self) -> io::Result<Fingerprint> {
        self.file.metadata().map(|data| Fingerprint::of(&data))
    }

    pub(super) fn is_whole(&self) -> bool {
        Version::of(self.bytes()) == self.version
    }
}

/// The bytes at a place of a segment.
pub(super) fn read_place(segment: &File, place: Place) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; place.len as usize];
    segment.read_exact_at(&mut bytes, place.offset)?;
    Ok(bytes)
}

#[cfg(target_os = "linux")]
fn file_in_memory() -> io::Result<File> {
    Ok(rustix::fs::memfd_create("driblet", rustix::fs::MemfdFlags::CLOEXEC)?.into())
}

#[cfg(not(target_os = "linux"))]
fn file_in_memory() -> io::Result<File> {
    tempfile::tempfile()
}
