//! The list of a head's sections, by which a receiver sees what it need not describe chunk by chunk.

use crate::align::{Found, Head, align};
use crate::chunk::{Chunk, Cuts};

/// The most sections that are listed: what is beyond them is described by its chunks.
const MAX_LISTED: usize = 1 << 14;

impl Cuts {
    /// The list of the sections: the first two bytes of each one's id.
    pub fn list(&self) -> Vec<u8> {
        let listed = &self.sections()[..self.sections().len().min(MAX_LISTED)];
        listed.iter().flat_map(|section| tag(section).to_le_bytes()).collect()
    }

    /// What is held, to be signed for a head with this list: a section that is listed whole, the others by their chunks.
    ///
    /// A list can be wrong and cost bytes, no more. What is beyond its first 32 KiB is not looked at.
    pub fn describe(&self, list: &[u8]) -> Vec<Chunk> {
        let listed = list.as_chunks().0.iter().take(MAX_LISTED).map(|tag| u16::from_le_bytes(*tag).into());
        let head = Head { chunks: listed.collect(), sections: Vec::new() };
        let tags: Vec<u64> = self.sections().iter().map(|section| tag(section).into()).collect();
        let found = align(&tags, &head, u16::BITS as u8);
        let mut described = Vec::new();
        for (index, (section, found)) in self.sections().iter().zip(found).enumerate() {
            match found {
                Some(Found::Chunk(_) | Found::Section(_)) => described.push(*section),
                None => described.extend_from_slice(&self.chunks()[self.within(index)]),
            }
        }
        described
    }
}

fn tag(section: &Chunk) -> u16 {
    let [low, high, ..] = section.id.as_bytes();
    u16::from_le_bytes([*low, *high])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rungs::Rungs;

    fn noise(seed: u32, len: usize) -> Vec<u8> {
        (0..len as u32).map(|i| ((i ^ seed).wrapping_mul(2654435761) >> 13 ^ i >> 7) as u8).collect()
    }

    #[test]
    fn only_sections_that_differ_are_described_by_chunks() {
        let old = noise(1, 400_000);
        let new = [&old[..150_000], b"an edit", &old[150_000..]].concat();
        let rungs = Rungs::of(&new);
        let (held, head) = (Cuts::of(&old, rungs), Cuts::of(&new, rungs));
        let described = held.describe(&head.list());
        assert_eq!(described.iter().map(|chunk| chunk.len as usize).sum::<usize>(), old.len());
        assert!(held.sections().len() <= described.len() && described.len() < held.sections().len() + 40);
        assert_eq!(held.describe(&held.list()), held.sections());
        assert_eq!(held.describe(&[]), held.chunks());
        assert_eq!(held.describe(&[7]), held.chunks(), "half a tag");
    }
}
