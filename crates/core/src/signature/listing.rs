//! The list of a head's sections. It shows a receiver which of its own sections it need not describe chunk by chunk.

use crate::signature::chunk::Chunk;
use crate::signature::cuts::Cuts;

/// The most sections in a list. A receiver describes further sections by their chunks.
const MAX_LISTED: usize = 1 << 14;
/// The longest list in which two equal tags in a row are enough to find a section. In a longer list it takes three,
/// since two tags of 16 bits are more often equal by accident there.
const FEW: usize = 1 << 10;

impl Cuts {
    /// The list of the sections: the first two bytes of each section's id.
    pub fn list(&self) -> Vec<u8> {
        let listed = &self.sections()[..self.sections().len().min(MAX_LISTED)];
        listed.iter().flat_map(|section| tag(section).to_le_bytes()).collect()
    }

    /// The chunks that describe this file to a server whose head has this list. A section that is in the list stands
    /// for its chunks; other sections are described chunk by chunk.
    ///
    /// A wrong list makes the next delta longer and does no other harm. Only the first 32 KiB of a list are used.
    pub fn describe(&self, list: &[u8]) -> Vec<Chunk> {
        let listed: Vec<u16> = list.as_chunks().0.iter().take(MAX_LISTED).map(|tag| u16::from_le_bytes(*tag)).collect();
        let held: Vec<u16> = self.sections().iter().map(tag).collect();
        let mut described = Vec::new();
        for (index, (section, is_listed)) in self.sections().iter().zip(are_listed(&held, &listed)).enumerate() {
            let chunks = if is_listed { std::slice::from_ref(section) } else { &self.chunks()[self.within(index)] };
            described.extend_from_slice(chunks);
        }
        described
    }
}

/// Which of the held tags are in the list: at the place that the tags before or after them predict, or several in a row
/// at any place.
///
/// This is simpler than `align_tags` on the server, because there are few sections and browsers load every byte of
/// code.
fn are_listed(held: &[u16], listed: &[u16]) -> Vec<bool> {
    let row = if listed.len() <= FEW { 2 } else { 3 };
    let mut first_with = vec![usize::MAX; 1 << u16::BITS];
    (0..listed.len()).rev().for_each(|index| first_with[usize::from(listed[index])] = index);
    let mut found = vec![false; held.len()];
    // Also try the ends of both lists.
    let (mut end, mut last) = (held.len(), listed.len());
    while 0 < end && 0 < last && held[end - 1] == listed[last - 1] {
        (end, last) = (end - 1, last - 1);
        found[end] = true;
    }
    let mut place = 0;
    for at in 0..end {
        if listed.get(place) != Some(&held[at]) {
            let start = first_with[usize::from(held[at])];
            let is_row =
                held.get(at..at + row).is_some_and(|tags| listed.get(start..start.saturating_add(row)) == Some(tags));
            if !is_row {
                place += 1;
                continue;
            }
            place = start;
            let (mut at, mut start) = (at, start);
            while 0 < at && 0 < start && !found[at - 1] && held[at - 1] == listed[start - 1] {
                (at, start) = (at - 1, start - 1);
                found[at] = true;
            }
        }
        found[at] = true;
        place += 1;
    }
    found
}

fn tag(section: &Chunk) -> u16 {
    let [low, high, ..] = section.id.as_bytes();
    u16::from_le_bytes([*low, *high])
}

#[cfg(all(test, feature = "encode"))]
mod tests {
    use super::*;
    use crate::random::random_bytes;
    use crate::signature::chunk_sizes::ChunkSizes;

    #[test]
    fn only_sections_that_differ_are_described_by_chunks() {
        let old = random_bytes(1, 400_000);
        let new = [&old[..150_000], b"an edit", &old[150_000..]].concat();
        let sizes = ChunkSizes::of(&new);
        let (held, head) = (Cuts::of(&old, sizes), Cuts::of(&new, sizes));
        let described = held.describe(&head.list());
        assert_eq!(described.iter().map(|chunk| chunk.len as usize).sum::<usize>(), old.len());
        assert!(held.sections().len() <= described.len() && described.len() < held.sections().len() + 40);
        assert_eq!(held.describe(&held.list()), held.sections());
        assert_eq!(held.describe(&[]), held.chunks());
        assert_eq!(held.describe(&[7]), held.chunks(), "half a tag");
    }
}
