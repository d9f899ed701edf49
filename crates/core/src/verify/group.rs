//! Groups: a long file is verified group by group as it arrives.
//!
//! A group is a whole subtree of BLAKE3's tree, so the version of the file determines the chaining value of each group.

use blake3::Hasher;
use blake3::hazmat::{self, HasherExt, Mode};

use crate::version::Version;

/// The chaining value of a subtree: BLAKE3's 32-byte non-root output.
pub(crate) type ChainingValue = [u8; 32];

/// The size of a group in a delta: a power of two from 256 KiB to 16 MiB.
///
/// ```
/// use driblet_core::GroupSize;
///
/// assert_eq!(GroupSize::SMALLEST.len(), 256 << 10);
/// assert_eq!(GroupSize::new(7), None);
///
/// // A file of 100 MiB has at most 64 groups of this size, and a chaining value for each.
/// let size = GroupSize::fine(100 << 20);
/// assert_eq!((size.len(), size.exponent()), (2 << 20, 3));
/// assert_eq!(size.values_for(100 << 20), 50);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GroupSize(u8);

impl GroupSize {
    /// 256 KiB.
    pub const SMALLEST: GroupSize = GroupSize(0);

    /// 16 MiB. Small deltas use this size, so that their header carries only 32 bytes for each 16 MiB of a longer file.
    pub const LARGEST: GroupSize = GroupSize(6);

    /// The size of 2^(18 + exponent) bytes, for exponents 0 to 6.
    pub fn new(exponent: u8) -> Option<GroupSize> {
        (exponent <= 6).then_some(GroupSize(exponent))
    }

    /// The smallest size with which a file of `len` bytes has at most 64 groups. Large deltas use this size.
    pub fn fine(len: u64) -> GroupSize {
        (0..6).map(GroupSize).find(|size| len <= 64 * size.len()).unwrap_or(GroupSize::LARGEST)
    }

    /// The exponent, as in a delta's header.
    pub fn exponent(self) -> u8 {
        self.0
    }

    /// The size in bytes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> u64 {
        1 << (18 + self.0)
    }

    /// How many chaining values a header carries for a file of `len` bytes. One group needs none.
    pub fn values_for(self, len: u64) -> u64 {
        if len <= self.len() { 0 } else { len.div_ceil(self.len()) }
    }
}

/// The groups of a version, and the chaining values that verify them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Groups {
    pub(crate) version: Version,
    /// The version's length in bytes.
    pub(crate) len: u64,
    pub(crate) size: GroupSize,
    /// One chaining value for each group; none if one group holds the whole version.
    pub(crate) values: Vec<ChainingValue>,
}

/// The chaining values of a file's groups; none if one group holds the whole file.
///
/// ```
/// use driblet_core::{GroupSize, chaining_values};
///
/// assert_eq!(chaining_values(&vec![0; 600 << 10], GroupSize::SMALLEST).len(), 3);
/// assert!(chaining_values(b"short", GroupSize::SMALLEST).is_empty());
/// ```
pub fn chaining_values(bytes: &[u8], size: GroupSize) -> Vec<[u8; 32]> {
    if size.values_for(bytes.len() as u64) == 0 {
        return Vec::new();
    }
    let groups = bytes.chunks(size.len() as usize).zip((0..).step_by(size.len() as usize));
    groups.map(|(group, offset)| chaining_value(group, offset)).collect()
}

/// The chaining value of the group that begins `offset` bytes into a longer file.
pub(crate) fn chaining_value(group: &[u8], offset: u64) -> ChainingValue {
    Hasher::new().set_input_offset(offset).update(group).finalize_non_root()
}

/// The version of the file whose groups have these chaining values. There must be at least two.
pub(crate) fn merge(values: &[ChainingValue]) -> Version {
    let (left, right) = split(values);
    let root = hazmat::merge_subtrees_root(&subtree(left), &subtree(right), Mode::Hash);
    Version::from_bytes(*root.as_bytes())
}

/// The chaining value of the subtree of these groups.
pub(crate) fn subtree(values: &[ChainingValue]) -> ChainingValue {
    if let [value] = values {
        return *value;
    }
    let (left, right) = split(values);
    hazmat::merge_subtrees_non_root(&subtree(left), &subtree(right), Mode::Hash)
}

/// BLAKE3's rule: the left subtree is the largest power of two that leaves something for the right subtree.
fn split(values: &[ChainingValue]) -> (&[ChainingValue], &[ChainingValue]) {
    values.split_at(values.len().next_power_of_two() / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_groups_give_the_files_own_version() {
        let size = GroupSize::SMALLEST;
        let group = size.len() as usize;
        for len in [group + 1, 2 * group, 2 * group + 1, 3 * group - 1, 5 * group + 77, 8 * group] {
            let bytes: Vec<u8> = (0..len).map(|i| ((i * 31) >> 3) as u8).collect();
            let values = chaining_values(&bytes, size);
            assert_eq!(values.len() as u64, size.values_for(len as u64));
            assert_eq!(merge(&values), Version::of(&bytes), "{len} bytes");
        }
    }

    #[test]
    fn one_group_needs_no_values() {
        let size = GroupSize::SMALLEST;
        assert!(chaining_values(&vec![1; size.len() as usize], size).is_empty());
        assert_eq!(GroupSize::new(7), None);
    }

    #[test]
    fn fine_groups_grow_with_the_file() {
        assert_eq!(GroupSize::fine(0).exponent(), 0);
        assert_eq!(GroupSize::fine(16 << 20).exponent(), 0);
        assert_eq!(GroupSize::fine((16 << 20) + 1).exponent(), 1);
        assert_eq!(GroupSize::fine(1 << 40), GroupSize::LARGEST);
    }
}
