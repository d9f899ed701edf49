//! Verification of a target as it is made, group by group.

use crate::verify::group::Groups;
use crate::verify::group_verifier::GroupVerifier;

/// How many bytes are hashed at once: while they are in the processor's cache, and so that no step of the decoder takes long.
const AHEAD: usize = 1 << 17;

/// Collects a target group by group and lets none out before its hash is right.
pub(crate) struct Verifier {
    groups: Groups,
    /// Where the group at hand begins in the target.
    start: u64,
    /// What has come of it.
    bytes: Vec<u8>,
    /// How long it is.
    len: usize,
    group: GroupVerifier,
    /// How many of its bytes are hashed.
    hashed: usize,
    verified: bool,
}

impl Verifier {
    pub(crate) fn new(groups: Groups) -> Verifier {
        let (len, group) = group_at(&groups, 0);
        Verifier { groups, start: 0, bytes: Vec::with_capacity(len), len, group, hashed: 0, verified: false }
    }

    /// Bytes of the target that are still to come.
    pub(crate) fn left(&self) -> u64 {
        self.groups.len - self.start - self.bytes.len() as u64
    }

    /// How many bytes the group at hand still takes.
    pub(crate) fn space(&self) -> usize {
        self.len - self.bytes.len()
    }

    /// Has the next bytes made, at most `most` of them.
    pub(crate) fn fill<E>(
        &mut self,
        most: usize,
        make: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let filled = self.bytes.len();
        self.bytes.resize(filled + self.space().min(most), 0);
        let made = make(&mut self.bytes[filled..]);
        self.bytes.truncate(filled + made.as_ref().map_or(0, |made| *made));
        self.hash_ahead();
        made
    }

    /// Takes the next bytes, at most [`space`](Verifier::space).
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.hash_ahead();
    }

    /// Whether the group at hand is complete and has not been given out.
    pub(crate) fn is_full(&self) -> bool {
        !self.bytes.is_empty() && self.space() == 0
    }

    fn hash_ahead(&mut self) {
        let until = self.bytes.len() / AHEAD * AHEAD;
        self.group.update(&self.bytes[self.hashed..until]);
        self.hashed = until;
    }

    /// Hashes what is left of the complete group, and compares.
    pub(crate) fn verify(&mut self) -> Result<(), WrongGroup> {
        self.group.update(&self.bytes[self.hashed..]);
        if !self.group.is_right() {
            return Err(WrongGroup { index: self.start / self.groups.size.len() });
        }
        self.verified = true;
        Ok(())
    }

    /// The verified group; empty where none is at hand.
    pub(crate) fn verified(&self) -> &[u8] {
        if self.verified { &self.bytes } else { &[] }
    }

    /// Goes on to the next group if the one at hand was verified, and so given out.
    pub(crate) fn release(&mut self) {
        if self.verified {
            self.start += self.bytes.len() as u64;
            (self.len, self.group) = group_at(&self.groups, self.start);
            self.bytes.clear();
            self.hashed = 0;
            self.verified = false;
        }
    }
}

/// The group that begins there: how long it is, and what verifies it. After the last comes an empty one.
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
