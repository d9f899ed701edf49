use crate::delta::error::{DecodeError, Halt, Limit};
use crate::delta::format::{MAX_GROUPS, MAX_TARGET};
use crate::signature::matched_basis::MatchedBasis;
use crate::verify::group::{self, ChainingValue, GroupSize, Groups};
use crate::verify::outboard::Outboard;
use crate::verify::verified_groups::VerifiedGroups;
use crate::version::{BasisId, Version};
use crate::wire::ByteReader;
#[cfg(feature = "encode")]
use crate::wire::put_varint;

/// The first byte of every delta.
const MAGIC: u8 = 0xdb;
/// The delta format of this implementation: the upper four bits of the second byte.
const FORMAT: u8 = 1;
/// The bit of the second byte that says that the receiver holds the head already.
const SAME: u8 = 1 << 3;

/// The basis that a receiver applies a delta to.
///
/// ```
/// use driblet_core::{Basis, Version};
///
/// let held = b"one driblet";
/// let basis = Basis::of(&Version::of(held), held.len() as u64);
/// ```
#[derive(Clone, Debug)]
pub struct Basis {
    pub(crate) len: u64,
    pub(crate) basis_id: BasisId,
    /// The version, if the receiver named it in its request. Only then can the delta say "same".
    pub(crate) version: Option<Version>,
}

impl Basis {
    /// The empty basis of a first sync.
    pub const EMPTY: Basis = Basis {
        len: 0,
        basis_id: BasisId::from_bytes([0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6]),
        version: None,
    };

    /// A version that the receiver holds and named in its request. `len` is the version's length in bytes.
    pub fn of(version: &Version, len: u64) -> Basis {
        Basis { len, basis_id: version.basis_id(), version: Some(*version) }
    }

    /// The basis that matched chunks make.
    pub fn matched(basis: &MatchedBasis) -> Basis {
        Basis { len: basis.len(), basis_id: basis.basis_id(), version: None }
    }
}

/// What a receiver accepts. A decoder checks the limits before it takes memory.
///
/// ```
/// use driblet_core::Limits;
///
/// assert_eq!(Limits::new().target(64 << 20).target, 64 << 20);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The greatest length of a target in bytes. Default: 1 TiB.
    pub target: u64,
}

impl Limits {
    /// The default limits.
    pub fn new() -> Limits {
        Limits { target: 1 << 40 }
    }

    /// Sets [`target`](Limits::target), in bytes.
    #[must_use]
    pub fn target(self, target: u64) -> Limits {
        Limits { target }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits::new()
    }
}

/// The header of a delta: its target and its basis. [`Decoder::header`](crate::Decoder::header) returns it.
///
/// ```
/// # #[cfg(feature = "encode")] {
/// use driblet_core::{Basis, Decoder, EncodeOptions, Limits, Version, diff};
///
/// let delta = diff(b"", b"one driblet", EncodeOptions::new())?;
/// let mut decoder = Decoder::new(Basis::EMPTY, Limits::new());
/// decoder.handle_input(&delta);
/// decoder.poll_event()?;
/// let header = decoder.header().ok_or("the header is incomplete")?;
/// assert_eq!((header.target(), header.len()), (Version::of(b"one driblet"), 11));
/// assert!(!header.is_same());
///
/// // The target fits into one group, so its outboard has no chaining values.
/// assert!(header.len() <= header.group().len());
/// assert!(header.outboard().encode().is_empty());
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    pub(crate) groups: Groups,
    /// `None` if the delta says "same".
    pub(crate) basis: Option<BasisId>,
}

impl AsRef<Groups> for Header {
    fn as_ref(&self) -> &Groups {
        &self.groups
    }
}

/// Verifies and gives out the target that a header announces.
pub(crate) type TargetVerifier = VerifiedGroups<Header>;

impl Header {
    /// The version of the target.
    pub fn target(&self) -> Version {
        self.groups.version
    }

    /// The length of the target in bytes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.groups.len
    }

    /// Whether the delta says that the receiver holds the head already. Nothing follows such a header.
    pub fn is_same(&self) -> bool {
        self.basis.is_none()
    }

    /// The size of the groups in which the target is verified and given out.
    pub fn group(&self) -> GroupSize {
        self.groups.size
    }

    /// The outboard that verifies the target group by group when it is read later.
    pub fn outboard(&self) -> Outboard {
        Outboard::new(&self.groups)
    }

    /// Reads a header and checks it against the limits and the basis.
    pub(crate) fn parse(reader: &mut ByteReader<'_>, basis: &Basis, limits: &Limits) -> Result<Header, Halt> {
        let first = reader.u8()?;
        if first != MAGIC {
            return Err(DecodeError::BadMagic { first }.into());
        }
        let flags = reader.u8()?;
        if flags >> 4 != FORMAT {
            return Err(DecodeError::BadFormat { format: flags >> 4 }.into());
        }
        let exponent = flags & 7;
        let size = GroupSize::new(exponent).ok_or(DecodeError::BadGroup { exponent })?;
        let target = Version::from_bytes(reader.array()?);
        let len = Limit::Target.check(reader.varint()?, limits.target.min(MAX_TARGET))?;
        if flags & SAME != 0 {
            if basis.version != Some(target) || basis.len != len {
                return Err(DecodeError::UnexpectedSame { target }.into());
            }
            return Ok(Header { groups: Groups { version: target, len, size, values: Vec::new() }, basis: None });
        }
        let named = BasisId::from_bytes(reader.array()?);
        if named != basis.basis_id {
            return Err(DecodeError::WrongBasis { named, held: basis.basis_id }.into());
        }
        let count = Limit::Groups.check(size.values_for(len), MAX_GROUPS)?;
        let bytes = reader.take(32 * count as usize)?;
        let values: Vec<ChainingValue> = bytes.as_chunks::<32>().0.to_vec();
        if 1 < values.len() {
            let merged = group::merge(&values);
            if merged != target {
                return Err(DecodeError::BadTree { target, merged }.into());
            }
        }
        Ok(Header { groups: Groups { version: target, len, size, values }, basis: Some(named) })
    }

    #[cfg(feature = "encode")]
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let same = if self.is_same() { SAME } else { 0 };
        out.extend([MAGIC, FORMAT << 4 | same | self.groups.size.exponent()]);
        out.extend_from_slice(self.groups.version.as_bytes());
        put_varint(out, self.groups.len);
        if let Some(basis_id) = &self.basis {
            out.extend_from_slice(basis_id.as_bytes());
        }
        self.groups.values.iter().for_each(|value| out.extend_from_slice(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_basis_has_the_basis_id_of_the_empty_version() {
        assert_eq!(Basis::EMPTY.basis_id, Version::EMPTY.basis_id());
    }
}
