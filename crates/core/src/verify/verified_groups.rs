//! Verification of a target as a decoder makes it, group by group.

use crate::verify::group::Groups;
use crate::verify::group_verifier::GroupVerifier;

/// The number of bytes that are hashed at once, while they are in the processor's cache. It also bounds the time of one
/// step.
const HASHED_AT_ONCE: usize = 1 << 17;

/// Collects a target group by group. It gives a group out only after the group was verified.
pub(crate) struct VerifiedGroups<G> {
    /// A value that holds the groups.
    source: G,
    /// Where the current group begins in the target.
    start: u64,
    /// The bytes of the current group so far.
    bytes: Vec<u8>,
    /// The length of the current group.
    len: usize,
    group: GroupVerifier,
    /// How many bytes of the current group are hashed.
    hashed: usize,
    verified: bool,
    /// Whether nothing is verified, because what is made of the bytes is.
    unchecked: bool,
}

impl<G: AsRef<Groups>> VerifiedGroups<G> {
    pub(crate) fn new(source: G) -> VerifiedGroups<G> {
        let (len, group) = group_at(source.as_ref(), 0);
        let bytes = Vec::with_capacity(len);
        VerifiedGroups { source, start: 0, bytes, len, group, hashed: 0, verified: false, unchecked: false }
    }

    /// Collects bytes without verifying them: what is made of them is verified.
    #[cfg(feature = "containers")]
    pub(crate) fn unchecked(source: G) -> VerifiedGroups<G> {
        VerifiedGroups { unchecked: true, ..VerifiedGroups::new(source) }
    }

    /// The value that holds the groups.
    pub(crate) fn source(&self) -> &G {
        &self.source
    }

    /// How many bytes of the target are missing.
    pub(crate) fn left(&self) -> u64 {
        self.source.as_ref().len - self.start - self.bytes.len() as u64
    }

    /// How many bytes of the current group are missing.
    pub(crate) fn space(&self) -> usize {
        self.len - self.bytes.len()
    }

    /// Lets `make` produce the next bytes, at most `most`. `make` returns how many it produced.
    pub(crate) fn fill<E>(
        &mut self,
        most: usize,
        make: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let filled = self.bytes.len();
        self.bytes.resize(filled + self.space().min(most), 0);
        let made = make(&mut self.bytes[filled..]);
        self.bytes.truncate(filled + made.as_ref().map_or(0, |made| *made));
        self.hash_whole_pieces();
        made
    }

    /// Appends the next bytes, at most [`space`](VerifiedGroups::space).
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.hash_whole_pieces();
    }

    /// Whether the current group is complete but not released.
    pub(crate) fn is_full(&self) -> bool {
        !self.bytes.is_empty() && self.space() == 0
    }

    fn hash_whole_pieces(&mut self) {
        if self.unchecked {
            return;
        }
        let until = self.bytes.len() / HASHED_AT_ONCE * HASHED_AT_ONCE;
        self.group.update(&self.bytes[self.hashed..until]);
        self.hashed = until;
    }

    /// Hashes the rest of the complete group and compares its chaining value.
    pub(crate) fn verify(&mut self) -> Result<(), WrongGroup> {
        if !self.unchecked {
            self.group.update(&self.bytes[self.hashed..]);
            if !self.group.is_right() {
                return Err(WrongGroup { index: self.start / self.source.as_ref().size.len() });
            }
        }
        self.verified = true;
        Ok(())
    }

    /// The verified group, or no bytes.
    pub(crate) fn verified(&self) -> &[u8] {
        if self.verified { &self.bytes } else { &[] }
    }

    /// Continues with the next group if the current one was verified.
    pub(crate) fn release(&mut self) {
        if self.verified {
            self.start += self.bytes.len() as u64;
            (self.len, self.group) = group_at(self.source.as_ref(), self.start);
            self.bytes.clear();
            self.hashed = 0;
            self.verified = false;
        }
    }
}

/// The length of the group that begins at `start`, and its verifier. After the last group comes an empty one.
fn group_at(groups: &Groups, start: u64) -> (usize, GroupVerifier) {
    let size = groups.size.len();
    let len = size.min(groups.len - start);
    let value = groups.values.get((start / size) as usize).filter(|_| 0 < len);
    (len as usize, GroupVerifier::new(groups.version, value, start, len))
}

/// The group with this index, from 0, does not have its chaining value.
pub(crate) struct WrongGroup {
    pub(crate) index: u64,
}
