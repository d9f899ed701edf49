//! Finding what of one list of tags stands in another, where a tag alone is too short to say.
//!
//! Two versions of a file have most of their chunks in the same order, so that what comes next is known, and a tag of some 16 bits is
//! enough to see whether it did. (zsync asks for several weak sums in a row for the same reason.) So: several tags in a row anchor a run, as many
//! as make an accident improbable among all pairs of places; a run grows tag by tag to both sides; and between two runs there
//! are few pairs left, so fewer tags in a row are enough there.

use std::ops::Range;

/// log2 of how improbable an accident is in all searches of one kind, if each takes as many pairs as it may; most take far fewer.
/// (Measured: one sync in 300 of a rebuilt bundle. At 8, none in 300; a tenth less is found then.)
const SAFETY: u32 = 5;
/// The same for the search through the whole head, where to ask for more loses next to nothing.
const SAFETY_ANYWHERE: u32 = 10;
/// How many of the head's chunks the searches between runs look at, for each tag and chunk: what bounds them if the runs are in disorder.
const MAX_EFFORT: usize = 2;

/// The tags of the head: of its chunks, and of its sections, which stand for all their chunks.
#[derive(Default)]
pub(crate) struct HeadTags {
    /// One tag per chunk.
    pub(crate) chunks: Vec<u64>,
    /// One tag per section, with the chunks it stands for.
    pub(crate) sections: Vec<(u64, Range<usize>)>,
}

/// What a tag was found to be: one chunk of the head, or a section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HeadPlace {
    /// The chunk with this index.
    Chunk(usize),
    /// The section with this index.
    Section(usize),
}

impl HeadTags {
    /// The chunks that were found.
    pub(crate) fn chunks_of(&self, found: HeadPlace) -> Range<usize> {
        match found {
            HeadPlace::Chunk(index) => index..index + 1,
            HeadPlace::Section(index) => self.sections[index].1.clone(),
        }
    }

    /// What with this tag begins at a chunk.
    fn after(&self, at: usize, tag: u64) -> Option<HeadPlace> {
        if self.chunks.get(at) == Some(&tag) {
            return Some(HeadPlace::Chunk(at));
        }
        let section = self.sections.binary_search_by_key(&at, |(_, within)| within.start).ok()?;
        (self.sections[section].0 == tag).then_some(HeadPlace::Section(section))
    }

    /// What with this tag ends before a chunk.
    fn before(&self, at: usize, tag: u64) -> Option<HeadPlace> {
        let last = at.checked_sub(1)?;
        if self.chunks[last] == tag {
            return Some(HeadPlace::Chunk(last));
        }
        let section = self.sections.binary_search_by_key(&at, |(_, within)| within.end).ok()?;
        (self.sections[section].0 == tag).then_some(HeadPlace::Section(section))
    }
}

/// Which of the head's chunks and sections the tags are those of, each of `bits` bits.
///
/// Takes time n log n in both lists.
pub(crate) fn align_tags(tags: &[u64], head: &HeadTags, bits: u8) -> Vec<Option<HeadPlace>> {
    let whole = OpenRun { tags: 0..tags.len(), chunks: 0..head.chunks.len() };
    let most = whole.needed(1, bits, SAFETY_ANYWHERE);
    let mut alignment = TagAlignment { tags, head, bits, found: vec![None; tags.len()], open: vec![whole] };
    alignment.search_everywhere(most);
    for row in (1..=most).rev() {
        alignment.search_between(row);
    }
    alignment.found
}

struct TagAlignment<'a> {
    tags: &'a [u64],
    head: &'a HeadTags,
    bits: u8,
    found: Vec<Option<HeadPlace>>,
    open: Vec<OpenRun>,
}

/// A run of tags that are not found yet.
struct OpenRun {
    tags: Range<usize>,
    /// The chunks between what was found before and after; where these are in disorder it is empty or ends before its start.
    chunks: Range<usize>,
}

impl OpenRun {
    /// How many tags in a row make an accident improbable among all pairs of places, with so many more searches like this.
    fn needed(&self, searches: usize, bits: u8, safety: u32) -> usize {
        let log2 = |n: usize| usize::BITS - n.leading_zeros();
        let needed = log2(self.tags.len()) + log2(self.chunks.len()) + log2(searches) + safety;
        needed.div_ceil(bits.into()) as usize
    }
}

impl TagAlignment<'_> {
    /// Looks for rows of tags in the whole head.
    fn search_everywhere(&mut self, row: usize) {
        let rows = Rows::of(self.head, 0..self.head.chunks.len(), row);
        for open in std::mem::take(&mut self.open) {
            let rest = self.grow(open);
            self.search(rest, &rows, |rows, key, open| {
                rows.first(key, open.chunks.start).or_else(|| rows.first(key, 0))
            });
        }
    }

    /// Looks for rows of tags between what was found before and after them.
    fn search_between(&mut self, row: usize) {
        let mut effort = MAX_EFFORT * (self.tags.len() + self.head.chunks.len());
        let opens = std::mem::take(&mut self.open);
        let searches = opens.len();
        for open in opens {
            let chunks = open.chunks.len();
            if chunks == 0 || effort < chunks || row < open.needed(searches, self.bits, SAFETY) {
                self.open.push(open);
                continue;
            }
            effort -= chunks;
            let rows = Rows::of(self.head, open.chunks.clone(), row);
            self.search(open, &rows, |rows, key, open| {
                rows.first(key, open.chunks.start).filter(|at| open.chunks.contains(at))
            });
        }
    }

    /// Finds rows in an open run, from its start on; what is left is open again.
    fn search(&mut self, mut open: OpenRun, rows: &Rows, place: impl Fn(&Rows, u64, &OpenRun) -> Option<usize>) {
        let mut at = open.tags.start;
        while at + rows.row <= open.tags.end {
            let key = key(&self.tags[at..at + rows.row]);
            let Some(start) = place(rows, key, &open).filter(|start| self.is_at(at, *start, rows.row)) else {
                at += 1;
                continue;
            };
            let before = self.grow(OpenRun { tags: open.tags.start..at, chunks: open.chunks.start..start });
            if !before.tags.is_empty() {
                self.open.push(before);
            }
            open = self.grow(OpenRun { tags: at..open.tags.end, chunks: start..open.chunks.end });
            at = open.tags.start;
        }
        if !open.tags.is_empty() {
            self.open.push(open);
        }
    }

    /// Whether a row of tags is what follows from a chunk on.
    fn is_at(&self, at: usize, chunk: usize, row: usize) -> bool {
        let mut next = chunk;
        self.tags[at..at + row].iter().all(|tag| {
            let found = self.head.after(next, *tag);
            next = found.map_or(next, |found| self.head.chunks_of(found).end);
            found.is_some()
        })
    }

    /// Takes from both ends what goes on from there.
    fn grow(&mut self, mut open: OpenRun) -> OpenRun {
        while let Some(at) = open.tags.clone().next()
            && let Some(found) = self.head.after(open.chunks.start, self.tags[at])
        {
            self.found[at] = Some(found);
            open = OpenRun { tags: at + 1..open.tags.end, chunks: self.head.chunks_of(found).end..open.chunks.end };
        }
        while let Some(at) = open.tags.clone().next_back()
            && let Some(found) = self.head.before(open.chunks.end, self.tags[at])
        {
            self.found[at] = Some(found);
            open = OpenRun { tags: open.tags.start..at, chunks: open.chunks.start..self.head.chunks_of(found).start };
        }
        open
    }
}

/// Where in the head rows of so many tags begin, by what they are.
struct Rows {
    row: usize,
    starts: Vec<(u64, usize)>,
}

impl Rows {
    /// The rows that begin in a range of chunks: of chunks, and of sections.
    fn of(head: &HeadTags, range: Range<usize>, row: usize) -> Rows {
        let end = (range.end + row - 1).min(head.chunks.len());
        let of_chunks = head.chunks[range.start..end].windows(row).zip(range.start..).map(|(tags, at)| (key(tags), at));
        let first = head.sections.partition_point(|(_, within)| within.start < range.start);
        let sections = head.sections[first..].windows(row).take_while(|of| of[0].1.start < range.end);
        let of_sections = sections.map(|of| (of.iter().fold(0, |key, (tag, _)| mix(key, *tag)), of[0].1.start));
        let mut starts: Vec<(u64, usize)> = of_chunks.chain(of_sections).collect();
        starts.sort_unstable();
        Rows { row, starts }
    }

    /// The first place from a chunk on that has such a row.
    fn first(&self, key: u64, from: usize) -> Option<usize> {
        let next = self.starts.partition_point(|start| *start < (key, from));
        self.starts.get(next).filter(|start| start.0 == key).map(|start| start.1)
    }
}

fn key(tags: &[u64]) -> u64 {
    tags.iter().fold(0, |key, tag| mix(key, *tag))
}

fn mix(key: u64, tag: u64) -> u64 {
    (key.rotate_left(29) ^ tag).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BITS: u8 = 16;

    /// Tags that look random, by what they are of.
    fn tags(of: impl Iterator<Item = u64>) -> Vec<u64> {
        let tag = |n: u64| (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 23 & 0xffff;
        of.map(tag).collect()
    }

    /// A head of chunks 0 to `len`, in sections of ten.
    fn head(len: u64) -> HeadTags {
        let within = |section: u64| (10 * section) as usize..(10 * section + 10) as usize;
        let sections = (0..len / 10).map(|section| (tags([1000 + section].into_iter())[0], within(section))).collect();
        HeadTags { chunks: tags(0..len), sections }
    }

    fn found(of: impl Iterator<Item = u64>) -> Vec<Option<usize>> {
        let (tags, head) = (tags(of), head(500));
        let starts = |found: Option<HeadPlace>| found.map(|found| head.chunks_of(found).start);
        align_tags(&tags, &head, BITS).into_iter().map(starts).collect()
    }

    #[test]
    fn what_is_equal_is_found_from_both_ends() {
        assert_eq!(found(0..500), (0..500).map(Some).collect::<Vec<_>>());
        let with_others = (0..200).chain(7000..7003).chain(200..500);
        let expected = (0..200).map(Some).chain([None; 3]).chain((200..500).map(Some));
        assert_eq!(found(with_others), expected.collect::<Vec<_>>());
        assert_eq!(found(0..0), []);
    }

    #[test]
    fn one_chunk_between_two_changes_is_found_in_its_place_only() {
        let one = |chunk: u64| (0..100).chain([7000, chunk, 7001]).chain(105..500);
        assert_eq!(found(one(102))[101], Some(102));
        assert_eq!(found(one(300))[101], None, "elsewhere a tag is too short to say");
    }

    #[test]
    fn rows_that_moved_or_come_again_are_found() {
        let moved = (250..500).chain(0..250).chain(40..60);
        let expected = (250..500).chain(0..250).chain(40..60).map(Some);
        assert_eq!(found(moved), expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_section_stands_for_its_chunks() {
        let mixed = (0..20).chain([1002, 1003]).chain([7000]).chain([1005]).chain(60..500);
        let expected = (0..20).chain([20, 30]).map(Some).chain([None]).chain([Some(50)]).chain((60..500).map(Some));
        assert_eq!(found(mixed), expected.collect::<Vec<_>>());
        assert_eq!(found(1000..1050), (0..50).map(|section| Some(10 * section)).collect::<Vec<_>>());
    }

    #[test]
    fn others_are_not_found() {
        assert_eq!(found(7000..7400), vec![None; 400]);
        assert!(align_tags(&[1, 2, 3], &HeadTags::default(), BITS).iter().all(Option::is_none));
    }
}
