//! Versions and basis ids.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// A version of a file: the 32-byte BLAKE3 hash of its bytes.
///
/// In text a version is exactly 64 lower-case hex digits.
///
/// ```
/// use driblet_core::Version;
///
/// let version = Version::of(b"driblet");
/// assert_eq!(version.to_string().parse::<Version>()?, version);
/// assert_eq!(Version::from_bytes(*version.as_bytes()), version);
/// # Ok::<(), driblet_core::BadVersion>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version([u8; 32]);

impl Hash for Version {
    /// A version is a hash already: its first bytes tell it apart from others.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_le_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl Version {
    /// The version of the empty file.
    pub const EMPTY: Version = Version([
        0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc, 0xc9, 0x49, 0x9b, 0xcb,
        0x25, 0xc9, 0xad, 0xc1, 0x12, 0xb7, 0xcc, 0x9a, 0x93, 0xca, 0xe4, 0x1f, 0x32, 0x62,
    ]);

    /// Hashes a whole file.
    pub fn of(bytes: &[u8]) -> Version {
        Version(*blake3::hash(bytes).as_bytes())
    }

    /// A version from its 32 bytes. Any 32 bytes name a version, even if no file with it is known.
    pub const fn from_bytes(bytes: [u8; 32]) -> Version {
        Version(bytes)
    }

    /// The 32 bytes of the hash.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The basis id of a delta whose basis is this version.
    pub fn basis_id(&self) -> BasisId {
        BasisId::of_hash(&self.0)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}

impl FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Version, BadVersion> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(BadVersion { len: digits.len() });
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (hex_digit(pair[0]), hex_digit(pair[1]));
            *byte = high.zip(low).map(|(h, l)| h << 4 | l).ok_or(BadVersion { len: 64 })?;
        }
        Ok(Version(bytes))
    }
}

/// Hashes a file piece by piece.
///
/// ```
/// use driblet_core::{Version, VersionHasher};
///
/// let mut hasher = VersionHasher::new();
/// hasher.update(b"drib");
/// hasher.update(b"let");
/// assert_eq!(hasher.finalize(), Version::of(b"driblet"));
/// ```
#[derive(Clone, Default, Debug)]
pub struct VersionHasher(blake3::Hasher);

impl VersionHasher {
    /// A hasher that no bytes were given to.
    pub fn new() -> VersionHasher {
        VersionHasher::default()
    }

    /// Hashes the next bytes of the file. Pieces of 16 KiB and more hash at full speed.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The version of the bytes so far.
    pub fn finalize(&self) -> Version {
        Version(*self.0.finalize().as_bytes())
    }
}

/// The 8 bytes that identify the basis in a delta's header.
///
/// ```
/// use driblet_core::Version;
///
/// let version = Version::of(b"driblet");
/// assert_eq!(version.basis_id().as_bytes(), &version.as_bytes()[..8]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct BasisId([u8; 8]);

impl BasisId {
    /// The first 8 bytes of a hash.
    pub(crate) fn of_hash(hash: &[u8; 32]) -> BasisId {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&hash[..8]);
        BasisId(bytes)
    }

    pub(crate) const fn from_bytes(bytes: [u8; 8]) -> BasisId {
        BasisId(bytes)
    }

    /// The 8 bytes.
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for BasisId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BasisId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BasisId({self})")
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The text is not a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a version is 64 lower-case hex digits, not this text of {len} bytes")]
#[non_exhaustive]
pub struct BadVersion {
    /// The text's length in bytes.
    pub len: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_file_has_the_empty_version() {
        assert_eq!(Version::of(b""), Version::EMPTY);
    }

    #[test]
    fn text_goes_both_ways_and_only_lower_case() {
        let version = Version::of(b"driblet");
        assert_eq!(version.to_string().parse(), Ok(version));
        let upper = version.to_string().to_uppercase();
        assert_eq!(upper.parse::<Version>(), Err(BadVersion { len: 64 }));
        assert_eq!("ab".parse::<Version>(), Err(BadVersion { len: 2 }));
    }

    #[test]
    fn pieces_hash_like_the_whole() {
        let bytes = b"0123456789".repeat(999);
        let mut hasher = VersionHasher::new();
        bytes.chunks(7).for_each(|piece| hasher.update(piece));
        assert_eq!(hasher.finalize(), Version::of(&bytes));
    }
}
