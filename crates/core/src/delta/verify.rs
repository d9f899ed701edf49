use super::error::DecodeError;
use super::header::Header;
use crate::group;
use crate::version::Version;

/// Collects a target group by group and lets none out before its hash is right.
pub(crate) struct Verifier {
    header: Header,
    /// Where the group at hand begins in the target.
    start: u64,
    /// As long as the group; the system gives zeroed pages only as they are written.
    bytes: Vec<u8>,
    filled: usize,
    verified: bool,
}

impl Verifier {
    pub(crate) fn new(header: Header) -> Verifier {
        let len = group_len(&header, 0);
        Verifier { header, start: 0, bytes: vec![0; len], filled: 0, verified: false }
    }

    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Bytes of the target that are still to come.
    pub(crate) fn left(&self) -> u64 {
        self.header.len - self.start - self.filled as u64
    }

    /// How many bytes the group at hand still takes.
    pub(crate) fn space(&self) -> usize {
        self.bytes.len() - self.filled
    }

    /// Where the next bytes go, at most `most` of them; say with [`filled`](Verifier::filled) how many came.
    pub(crate) fn room(&mut self, most: usize) -> &mut [u8] {
        let end = self.bytes.len().min(self.filled + most);
        &mut self.bytes[self.filled..end]
    }

    pub(crate) fn filled(&mut self, len: usize) {
        self.filled += len;
    }

    /// Takes the next bytes, at most [`space`](Verifier::space).
    pub(crate) fn append(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.filled(bytes.len());
    }

    /// Whether the group at hand is complete and has not been given out.
    pub(crate) fn is_full(&self) -> bool {
        self.filled != 0 && self.space() == 0
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
            self.start += self.filled as u64;
            self.bytes.truncate(group_len(&self.header, self.start));
            self.filled = 0;
            self.verified = false;
        }
    }
}

fn group_len(header: &Header, start: u64) -> usize {
    header.group.len().min(header.len - start) as usize
}
