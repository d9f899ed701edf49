//! The directory delta: the delta between two manifests, and which parts carry the new files.

use super::error::DirectoryDeltaError;
use super::format::FORMAT;
use super::manifest::{Manifest, ManifestLimits};
use super::parts::{new_files, part_version};
use crate::delta::Limits;
#[cfg(feature = "encode")]
use crate::delta::{EncodeError, EncodeOptions};
use crate::in_memory::patch_within;
use crate::version::Version;
use crate::wire::{ByteReader, Stop, put_varint};

/// The first byte of every directory delta.
const MAGIC: u8 = 0xdd;
/// The most bytes of the delta between two manifests.
const MAX_MANIFEST_DELTA: u64 = 128 << 20;
/// The most bytes of a manifest.
const MAX_MANIFEST: u64 = 128 << 20;
/// The most parts of a directory delta, and the most basis files of all parts together.
const MAX_LISTED: u64 = 1 << 22;

/// All of a directory delta but the bytes of its first part, which follow it.
///
/// ```
/// use driblet_core::Version;
/// use driblet_core::directory::{DeltaPart, DirectoryDelta};
///
/// let delta = DirectoryDelta {
///     target: Version::of(b"a manifest"),
///     manifest_delta: vec![1, 2, 3],
///     parts: vec![DeltaPart { files: 2, bases: vec![0, 5] }],
/// };
/// let mut bytes = delta.encode();
/// let head = bytes.len();
/// assert_eq!(DirectoryDelta::parse(&bytes[..head - 1])?, None);
/// bytes.extend_from_slice(b"part 0");
/// assert_eq!(DirectoryDelta::parse(&bytes)?, Some((delta, head)));
/// # Ok::<(), driblet_core::directory::DirectoryDeltaError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirectoryDelta {
    /// The new directory version.
    pub target: Version,
    /// The delta between the manifests; empty if the receiver holds `target` already.
    pub manifest_delta: Vec<u8>,
    /// The parts, which have all new files in order.
    pub parts: Vec<DeltaPart>,
}

/// What a directory delta says of a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeltaPart {
    /// How many of the new files the part has.
    pub files: usize,
    /// The indices of the basis files in the old manifest, in order.
    pub bases: Vec<usize>,
}

/// A part of a directory delta that was checked against both manifests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedPart {
    /// The indices of the part's files in the new manifest, in order.
    pub files: Vec<usize>,
    /// The indices of the basis files in the old manifest, in order.
    pub bases: Vec<usize>,
    /// The part's name: the hash of its files' versions.
    pub name: Version,
    /// The hash of the basis files' versions, which begins with the basis id; the empty file's without a basis.
    pub basis: Version,
    /// Bytes of all files of the part.
    pub len: u64,
    /// Bytes of all basis files.
    pub basis_len: u64,
}

impl DirectoryDelta {
    /// The delta for a receiver that holds the target already.
    pub fn same(target: Version) -> DirectoryDelta {
        DirectoryDelta { target, manifest_delta: Vec::new(), parts: Vec::new() }
    }

    /// The delta between two manifests, with these parts. Equal manifests have the one of [`DirectoryDelta::same`].
    ///
    /// # Errors
    /// Fails if the compressor gets no memory.
    #[cfg(feature = "encode")]
    pub fn between(
        old: Option<&Manifest>,
        new: &Manifest,
        parts: &[PlannedPart],
        options: EncodeOptions,
    ) -> Result<DirectoryDelta, EncodeError> {
        if old == Some(new) {
            return Ok(DirectoryDelta::same(new.version()));
        }
        let manifest_delta = super::encode_manifest_delta(old, new, options)?;
        let parts = parts.iter().map(|part| DeltaPart { files: part.files.len(), bases: part.bases.clone() });
        Ok(DirectoryDelta { target: new.version(), manifest_delta, parts: parts.collect() })
    }

    /// The bytes up to the first part.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![MAGIC, FORMAT];
        out.extend_from_slice(self.target.as_bytes());
        put_varint(&mut out, self.manifest_delta.len() as u64);
        out.extend_from_slice(&self.manifest_delta);
        put_varint(&mut out, self.parts.len() as u64);
        for part in &self.parts {
            put_varint(&mut out, part.files as u64);
            put_varint(&mut out, part.bases.len() as u64);
            let mut next = 0;
            for base in &part.bases {
                put_varint(&mut out, (base - next) as u64);
                next = base + 1;
            }
        }
        out
    }

    /// Parses the start of a directory delta. Gives how many bytes it takes; the first part follows. `None` if more
    /// bytes are needed.
    ///
    /// # Errors
    /// Fails if the bytes cannot become a directory delta.
    pub fn parse(bytes: &[u8]) -> Result<Option<(DirectoryDelta, usize)>, DirectoryDeltaError> {
        let mut reader = ByteReader::new(bytes);
        match parse(&mut reader) {
            Ok(delta) => Ok(Some((delta, reader.position()))),
            Err(Stopped::Incomplete) => Ok(None),
            Err(Stopped::Bad(error)) => Err(error),
        }
    }

    /// Makes the new manifest, and checks it and the parts.
    ///
    /// # Errors
    /// Fails if the delta between the manifests is invalid or was made from another manifest; if the new manifest breaks
    /// a rule; as [`plan`](DirectoryDelta::plan).
    pub fn apply(
        &self,
        old: Option<&Manifest>,
        limits: ManifestLimits,
    ) -> Result<(Manifest, Vec<PlannedPart>), DirectoryDeltaError> {
        let new = match old.filter(|_| self.manifest_delta.is_empty()) {
            Some(old) => old.clone(),
            None => {
                let old = old.map(Manifest::encode).unwrap_or_default();
                let new = patch_within(&old, &self.manifest_delta, Limits::new().target(MAX_MANIFEST));
                drop(old);
                let new = new.map_err(DirectoryDeltaError::ManifestDelta)?;
                Manifest::parse(&new, limits).map_err(DirectoryDeltaError::Manifest)?
            }
        };
        let parts = self.plan(old, &new)?;
        Ok((new, parts))
    }

    /// Checks the parts against the manifests of both versions.
    ///
    /// # Errors
    /// Fails if the new manifest is not the target, if the parts do not have all new files, or if a basis file does not
    /// exist.
    pub fn plan(&self, old: Option<&Manifest>, new: &Manifest) -> Result<Vec<PlannedPart>, DirectoryDeltaError> {
        let found = new.version();
        if found != self.target {
            return Err(DirectoryDeltaError::OtherTarget { announced: self.target, found });
        }
        let expected = new_files(old, new);
        let announced = self.parts.iter().fold(0usize, |sum, part| sum.saturating_add(part.files));
        if announced != expected.len() {
            return Err(DirectoryDeltaError::OtherFiles { announced, expected: expected.len() });
        }
        let mut rest = expected.as_slice();
        let mut planned = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let (files, after) = rest.split_at(part.files);
            rest = after;
            let count = old.map_or(0, Manifest::len);
            if let Some(index) = part.bases.last().copied().filter(|last| count <= *last) {
                return Err(DirectoryDeltaError::NoSuchBasis { index, count });
            }
            planned.push(PlannedPart::new(files.to_vec(), part.bases.clone(), old, new));
        }
        Ok(planned)
    }
}

impl PlannedPart {
    /// A part of a new manifest.
    ///
    /// # Panics
    /// If an index is not one of its manifest.
    pub fn new(files: Vec<usize>, bases: Vec<usize>, old: Option<&Manifest>, new: &Manifest) -> PlannedPart {
        let of = |manifest: Option<&Manifest>, indices: &[usize]| {
            let entries = || indices.iter().filter_map(|index| Some(manifest?.entry(*index)));
            let version = match indices.is_empty() {
                true => Version::EMPTY,
                false => part_version(entries().map(|entry| entry.version)),
            };
            (version, entries().map(|entry| entry.len).sum())
        };
        let ((name, len), (basis, basis_len)) = (of(Some(new), &files), of(old, &bases));
        PlannedPart { files, bases, name, basis, len, basis_len }
    }
}

enum Stopped {
    Incomplete,
    Bad(DirectoryDeltaError),
}

impl From<Stop> for Stopped {
    fn from(stop: Stop) -> Stopped {
        match stop {
            Stop::Incomplete => Stopped::Incomplete,
            Stop::BadVarint => Stopped::Bad(DirectoryDeltaError::BadNumber),
        }
    }
}

fn parse(reader: &mut ByteReader<'_>) -> Result<DirectoryDelta, Stopped> {
    if reader.u8()? != MAGIC {
        return Err(Stopped::Bad(DirectoryDeltaError::NoDirectoryDelta));
    }
    let format = reader.u8()?;
    if format != FORMAT {
        return Err(Stopped::Bad(DirectoryDeltaError::UnknownFormat { format }));
    }
    let target = Version::from_bytes(reader.array()?);
    let within = |what: &'static str, value: u64, limit: u64| match value <= limit {
        true => Ok(value as usize),
        false => Err(Stopped::Bad(DirectoryDeltaError::TooMany { what, value, limit })),
    };
    let len = within("bytes of the manifest's delta", reader.varint()?, MAX_MANIFEST_DELTA)?;
    let manifest_delta = reader.take(len)?;
    let count = within("parts", reader.varint()?, ManifestLimits::default().files)?;
    let (mut parts, mut listed) = (Vec::new(), 0);
    for _ in 0..count {
        let files = within("files of a part", reader.varint()?, ManifestLimits::default().files)?;
        if files == 0 {
            return Err(Stopped::Bad(DirectoryDeltaError::EmptyPart));
        }
        let bases = reader.varint()?;
        listed = within("basis files", bases.saturating_add(listed), MAX_LISTED)? as u64;
        let mut indices = Vec::new();
        let mut next = 0u64;
        for _ in 0..bases {
            let index = next.saturating_add(reader.varint()?);
            indices.push(within("files of the old manifest", index, ManifestLimits::default().files)?);
            next = index + 1;
        }
        parts.push(DeltaPart { files, bases: indices });
    }
    Ok(DirectoryDelta { target, manifest_delta: manifest_delta.to_vec(), parts })
}
