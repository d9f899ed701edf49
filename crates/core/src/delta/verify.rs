use super::error::DecodeError;
use super::header::Header;
use crate::group;
use crate::version::Version;

/// Collects a target group by group and lets none out before its hash is right.
pub(crate) struct Verifier {
    header: Header,
    /// Where the group at hand begins in the target.
    start: u64,
    bytes: Vec<u8>,
    verified: bool,
}

impl Verifier {
    pub(crate) fn new(header: Header) -> Verifier {
        Verifier { header, start: 0, bytes: Vec::new(), verified: false }
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes of the target that are still to come.
    pub(crate) fn left(&self) -> u64 {
        self.header.len - self.start - self.bytes.len() as u64
    }

    /// How many bytes the group at hand still takes.
    pub(crate) fn space(&self) -> usize {
        self.group_len() - self.bytes.len()
    }

    /// The group at hand: append to it, at most [`space`](Verifier::space) bytes.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Whether the group at hand is complete and has not been given out.
    pub(crate) fn is_full(&self) -> bool {
        !self.bytes.is_empty() && self.space() == 0
    }

    /// Hashes the complete group.
    pub(crate) fn verify(&mut self) -> Result<(), DecodeError> {
        let index = self.start / self.header.group.len();
        let right = match self.header.values.get(index as usize) {
            Some(value) => group::chaining_value(&self.bytes, self.start) == *value,
            None => Version::of(&self.bytes) == self.header.target,
        };
        if !right {
            return Err(DecodeError::BadGroupHash { index });
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
            self.bytes.clear();
            self.verified = false;
        }
    }

    fn group_len(&self) -> usize {
        self.header.group.len().min(self.header.len - self.start) as usize
    }
}
