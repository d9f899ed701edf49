use std::fs::File;
use std::io;
use std::path::Path;

use driblet_core::Version;

use crate::fingerprint::Fingerprint;
use crate::map::Map;

/// A version that is open. It stays readable when it is evicted.
pub(crate) struct StoredVersion {
    pub(crate) version: Version,
    pub(crate) len: u64,
    file: std::sync::Arc<File>,
    map: Map,
}

impl StoredVersion {
    pub(super) fn open(path: &Path, version: Version) -> io::Result<StoredVersion> {
        StoredVersion::of(File::open(path)?, version)
    }

    pub(super) fn of(file: File, version: Version) -> io::Result<StoredVersion> {
        let map = Map::of(&file)?;
        Ok(StoredVersion { version, len: map.len() as u64, file: std::sync::Arc::new(file), map })
    }

    /// The file, for reading at offsets.
    pub(crate) fn file(&self) -> std::sync::Arc<File> {
        self.file.clone()
    }

    /// All bytes, mapped into memory.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.map
    }

    pub(super) fn fingerprint(&self) -> io::Result<Fingerprint> {
        self.file.metadata().map(|data| Fingerprint::of(&data))
    }

    pub(super) fn is_whole(&self) -> bool {
        Version::of(self.bytes()) == self.version
    }
}
