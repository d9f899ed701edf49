//! Verification of one group.

use std::fmt;

use blake3::Hasher;
use blake3::hazmat::HasherExt;

use crate::verify::group::ChainingValue;
use crate::version::Version;

/// Verifies one group, piece by piece. [`Outboard::verify`](crate::Outboard::verify) makes one.
///
/// ```
/// use driblet_core::{Outboard, Version};
///
/// let file = b"a stored file";
/// let outboard = Outboard::unknown(Version::of(file), file.len() as u64);
/// assert_eq!(outboard.group_len(), 13, "without chaining values, the whole version is one group");
///
/// let mut group = outboard.verify(0);
/// group.update(b"a stored ");
/// assert!(!group.is_right(), "the group is incomplete");
/// group.update(b"file");
/// assert!(group.is_right());
/// ```
pub struct GroupVerifier {
    hasher: Hasher,
    expected: Expected,
    /// How many bytes are missing; `None` if there were too many.
    left: Option<u64>,
}

enum Expected {
    Value(ChainingValue),
    Version(Version),
}

impl fmt::Debug for GroupVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupVerifier").field("left", &self.left).finish_non_exhaustive()
    }
}

impl GroupVerifier {
    /// Verifies the `len` bytes at `start` against a chaining value, or a whole file against its version.
    pub(crate) fn new(version: Version, value: Option<&ChainingValue>, start: u64, len: u64) -> GroupVerifier {
        let mut hasher = Hasher::new();
        let expected = match value {
            Some(value) => {
                hasher.set_input_offset(start);
                Expected::Value(*value)
            }
            None => Expected::Version(version),
        };
        GroupVerifier { hasher, expected, left: Some(len) }
    }

    /// Hashes the next bytes of the group. Pieces of 16 KiB and more hash at full speed.
    pub fn update(&mut self, bytes: &[u8]) {
        self.left = self.left.and_then(|left| left.checked_sub(bytes.len() as u64));
        if self.left.is_some() {
            self.hasher.update(bytes);
        }
    }

    /// Whether the bytes so far are the group, from its first byte to its last.
    pub fn is_right(&self) -> bool {
        self.left == Some(0)
            && match &self.expected {
                Expected::Value(value) => self.hasher.finalize_non_root() == *value,
                Expected::Version(version) => self.hasher.finalize().as_bytes() == version.as_bytes(),
            }
    }
}
