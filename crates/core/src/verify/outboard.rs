//! Outboards: verify a stored version group by group, as it is read.

use crate::verify::group::{self, ChainingValue, Groups};
use crate::verify::group_verifier::GroupVerifier;
use crate::version::Version;

/// The most chaining values of an outboard. They take 2 KiB, which fit in any database record.
const MAX_VALUES: usize = 64;

/// The largest exponent of a group in an outboard. With it even a file of 2^64 bytes has only two groups. In a delta
/// the largest exponent is 6, but an outboard merges groups until at most [`MAX_VALUES`] are left.
const MAX_EXPONENT: u8 = 45;

/// The top of a version's BLAKE3 tree, stored apart from its bytes: the chaining values of 2 to 64 groups, each of
/// which can then be verified by itself. The groups of a long version are larger than those of a delta. An outboard
/// without values verifies the whole version as one group.
///
/// The term comes from Bao, whose outboards hold the whole tree.
///
/// ```
/// use driblet_core::{Outboard, Version};
///
/// let file = b"a stored file";
/// let outboard = Outboard::unknown(Version::of(file), file.len() as u64);
/// let mut group = outboard.verify(0);
/// group.update(file);
/// assert!(group.is_right());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outboard {
    version: Version,
    len: u64,
    /// A group has 2^(18 + exponent) bytes. Without values the exponent has no meaning.
    exponent: u8,
    values: Vec<ChainingValue>,
}

impl Outboard {
    /// The outboard of a version without known chaining values. `len` is the version's length in bytes.
    pub fn unknown(version: Version, len: u64) -> Outboard {
        Outboard { version, len, exponent: 0, values: Vec::new() }
    }

    /// The outboard of these groups. If they are more than [`MAX_VALUES`], two groups become one.
    pub(crate) fn new(groups: &Groups) -> Outboard {
        let (mut exponent, mut values) = (groups.size.exponent(), groups.values.clone());
        while MAX_VALUES < values.len() {
            values = values.chunks(2).map(group::subtree).collect();
            exponent += 1;
        }
        Outboard { version: groups.version, len: groups.len, exponent, values }
    }

    /// Reads what [`encode`](Outboard::encode) wrote for a version of `len` bytes. The bytes need not be trusted: if
    /// they are damaged or belong to another version, the version is verified as one group.
    pub fn decode(version: Version, len: u64, bytes: &[u8]) -> Outboard {
        parse(version, len, bytes).unwrap_or_else(|| Outboard::unknown(version, len))
    }

    /// One byte for the exponent, then 32 bytes for each chaining value. Without values, no bytes.
    pub fn encode(&self) -> Vec<u8> {
        if self.values.is_empty() {
            return Vec::new();
        }
        let mut out = vec![self.exponent];
        self.values.iter().for_each(|value| out.extend_from_slice(value));
        out
    }

    /// The length of the groups in bytes, at least 1. The last group can be shorter.
    pub fn group_len(&self) -> u64 {
        if self.values.is_empty() { self.len.max(1) } else { 1 << (18 + self.exponent) }
    }

    /// Begins to verify the group that contains the byte at `offset`.
    pub fn verify(&self, offset: u64) -> GroupVerifier {
        let group = self.group_len();
        let start = offset / group * group;
        let value = self.values.get((offset / group) as usize);
        GroupVerifier::new(self.version, value, start, group.min(self.len.saturating_sub(start)))
    }
}

fn parse(version: Version, len: u64, bytes: &[u8]) -> Option<Outboard> {
    let (&exponent, values) = bytes.split_first()?;
    let (values, []) = values.as_chunks::<32>() else { return None };
    let count = (exponent <= MAX_EXPONENT).then(|| len.div_ceil(1 << (18 + exponent)))?;
    let fits = (2..=MAX_VALUES).contains(&values.len()) && values.len() as u64 == count;
    let is_versions = fits && group::merge(values) == version;
    is_versions.then(|| Outboard { version, len, exponent, values: values.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::group::GroupSize;

    const SIZE: GroupSize = GroupSize::SMALLEST;

    fn bytes(len: u64) -> Vec<u8> {
        (0..len).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
    }

    fn outboard(bytes: &[u8]) -> Outboard {
        {
            let (version, values) = (Version::of(bytes), group::chaining_values(bytes, SIZE));
            Outboard::new(&Groups { version, len: bytes.len() as u64, size: SIZE, values })
        }
    }

    fn is_right(outboard: &Outboard, offset: u64, bytes: &[u8]) -> bool {
        let mut verifier = outboard.verify(offset);
        bytes.chunks(100_003).for_each(|piece| verifier.update(piece));
        verifier.is_right()
    }

    /// Which groups of `bytes` verify with this outboard.
    fn right(outboard: &Outboard, bytes: &[u8]) -> Vec<bool> {
        let len = outboard.group_len() as usize;
        bytes.chunks(len).zip((0..).step_by(len)).map(|(group, at)| is_right(outboard, at, group)).collect()
    }

    #[test]
    fn each_group_is_verified_by_itself() {
        for len in [SIZE.len() + 1, 3 * SIZE.len(), 5 * SIZE.len() - 7] {
            let mut bytes = bytes(len);
            let kept = outboard(&bytes);
            let outboard = Outboard::decode(Version::of(&bytes), len, &kept.encode());
            assert_eq!(outboard, kept);
            let mut expected = vec![true; len.div_ceil(SIZE.len()) as usize];
            assert_eq!(right(&outboard, &bytes), expected, "{len} bytes");
            bytes[SIZE.len() as usize] ^= 1;
            expected[1] = false;
            assert_eq!(right(&outboard, &bytes), expected, "{len} bytes");
        }
    }

    #[test]
    fn two_groups_become_one_if_there_are_too_many() {
        let mut bytes = bytes(131 * SIZE.len() + 5);
        let outboard = outboard(&bytes);
        assert_eq!(outboard.group_len(), 4 * SIZE.len());
        assert_eq!(Outboard::decode(Version::of(&bytes), bytes.len() as u64, &outboard.encode()), outboard);
        assert_eq!(right(&outboard, &bytes), [true; 33]);
        *bytes.last_mut().unwrap() ^= 1;
        assert_eq!(right(&outboard, &bytes).iter().position(|right| !right), Some(32));
    }

    #[test]
    fn a_version_without_values_is_one_group() {
        for len in [0, 1, SIZE.len(), 2 * SIZE.len() + 1] {
            let bytes = bytes(len);
            let outboard = Outboard::decode(Version::of(&bytes), len, &[]);
            assert_eq!((outboard.group_len(), outboard.encode()), (len.max(1), vec![]));
            assert!(is_right(&outboard, 0, &bytes), "{len} bytes");
            assert!(!is_right(&outboard, 0, &[&bytes[..], b"more"].concat()));
            assert!(!is_right(&Outboard::unknown(Version::of(b"another"), len), 0, &bytes));
        }
    }

    #[test]
    fn extra_missing_and_out_of_range_bytes_are_wrong() {
        let bytes = bytes(2 * SIZE.len());
        let outboard = outboard(&bytes);
        let (first, second) = bytes.split_at(SIZE.len() as usize);
        assert!(!is_right(&outboard, 0, &bytes));
        assert!(!is_right(&outboard, 0, &first[1..]));
        assert!(!is_right(&outboard, 0, &[]));
        assert!(!is_right(&outboard, 0, second));
        assert!(!is_right(&outboard, 2 * SIZE.len(), &[]));
        assert!(!is_right(&outboard, u64::MAX, first));
        assert!(is_right(&outboard, SIZE.len() + 9, second));
    }

    #[test]
    fn a_damaged_or_foreign_outboard_is_ignored() {
        let bytes = bytes(3 * SIZE.len());
        let version = Version::of(&bytes);
        let encoded = outboard(&bytes).encode();
        let groups = |version, len, encoded: &[u8]| Outboard::decode(version, len, encoded).values.len();
        assert_eq!(groups(version, 3 * SIZE.len(), &encoded), 3);
        assert_eq!(groups(Version::of(b"another"), 3 * SIZE.len(), &encoded), 0);
        assert_eq!(groups(version, 4 * SIZE.len(), &encoded), 0);
        assert_eq!(groups(version, u64::MAX, &encoded), 0);
        assert_eq!(groups(version, 0, &[0]), 0);
        for at in 0..encoded.len() {
            let mut damaged = encoded.clone();
            damaged[at] ^= 0x80;
            assert_eq!(groups(version, 3 * SIZE.len(), &damaged), 0, "byte {at}");
            assert_eq!(groups(version, 3 * SIZE.len(), &encoded[..at]), 0, "{at} bytes");
        }
    }
}
