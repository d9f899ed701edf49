//! Tag alignment: finds the tags of one list in another, although a single tag is too short to identify a chunk.
//!
//! Two versions of a file have most of their chunks in the same order. So the next chunk is known, and a tag of some 16
//! bits is enough to confirm it. (zsync asks for several weak sums in a row for the same reason.) The search has three
//! rules. Several tags in a row start a run; their number makes an accident improbable among all pairs of places. A run
//! then grows tag by tag in both directions. Between two runs there are few pairs left, so fewer tags in a row are
//! enough there.

use std::ops::Range;

/// Bounds the probability that unequal chunks match by accident in the searches between runs. All searches for rows of
/// one length together have an accident with a probability of at most 2^-5, if each compares all of its pairs. Most
/// compare far fewer: of 300 syncs of a rebuilt bundle, one had an accident.
const SAFETY: u32 = 5;
/// The same bound for the search through the whole head: a probability of at most 2^-10. The longer rows that this
/// needs lose hardly any match there.
const SAFETY_ANYWHERE: u32 = 10;
/// Bounds the time of the searches between runs if the runs are out of order. For each row length, the searches look at
/// no more chunks than twice the number of all tags and chunks.
const MAX_EFFORT: usize = 2;

/// The tags of the head's chunks, and of its sections, which stand for all their chunks.
#[derive(Default)]
pub(crate) struct HeadTags {
    /// One tag for each chunk.
    pub(crate) chunks: Vec<u64>,
    /// One tag for each section, and the chunks of the section.
    pub(crate) sections: Vec<(u64, Range<usize>)>,
}

/// A place in the head: one chunk or one section.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HeadPlace {
    /// The chunk with this index.
    Chunk(usize),
    /// The section with this index.
    Section(usize),
}

impl HeadTags {
    /// The chunks at a place.
    pub(crate) fn chunks_of(&self, found: HeadPlace) -> Range<usize> {
        match found {
            HeadPlace::Chunk(index) => index..index + 1,
            HeadPlace::Section(index) => self.sections[index].1.clone(),
        }
    }

    /// The chunk or section with this tag that begins at a chunk.
    fn after(&self, at: usize, tag: u64) -> Option<HeadPlace> {
        if self.chunks.get(at) == Some(&tag) {
            return Some(HeadPlace::Chunk(at));
        }
        let section = self.sections.binary_search_by_key(&at, |(_, within)| within.start).ok()?;
        (self.sections[section].0 == tag).then_some(HeadPlace::Section(section))
    }

    /// The chunk or section with this tag that ends before a chunk.
    fn before(&self, at: usize, tag: u64) -> Option<HeadPlace> {
        let last = at.checked_sub(1)?;
        if self.chunks[last] == tag {
            return Some(HeadPlace::Chunk(last));
        }
        let section = self.sections.binary_search_by_key(&at, |(_, within)| within.end).ok()?;
        (self.sections[section].0 == tag).then_some(HeadPlace::Section(section))
    }
}

/// The place in the head of each tag that was found. Tags have `bits` bits.
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
    /// The chunks between the places that were found before and after the run. If these are out of order, the range is
    /// empty or ends before its start.
    chunks: Range<usize>,
}

impl OpenRun {
    /// How many tags in a row make an accident improbable among all pairs of places, in this many searches.
    fn needed(&self, searches: usize, bits: u8, safety: u32) -> usize {
        let log2 = |n: usize| usize::BITS - n.leading_zeros();
        let needed = log2(self.tags.len()) + log2(self.chunks.len()) + log2(searches) + safety;
        needed.div_ceil(bits.into()) as usize
    }
}

impl TagAlignment<'_> {
    /// Searches the whole head for rows of tags.
    fn search_everywhere(&mut self, row: usize) {
        let rows = Rows::of(self.head, 0..self.head.chunks.len(), row);
        for open in std::mem::take(&mut self.open) {
            let rest = self.grow(open);
            self.search(rest, &rows, |rows, key, open| {
                rows.first(key, open.chunks.start).or_else(|| rows.first(key, 0))
            });
        }
    }

    /// Searches for rows of tags between the places that were found before and after them.
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

    /// Finds rows in an open run, from its start on. The tags that remain are open again.
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

    /// Whether the head continues with this row of tags at a chunk.
    fn is_at(&self, at: usize, chunk: usize, row: usize) -> bool {
        let mut next = chunk;
        self.tags[at..at + row].iter().all(|tag| {
            let found = self.head.after(next, *tag);
            next = found.map_or(next, |found| self.head.chunks_of(found).end);
            found.is_some()
        })
    }

    /// Extends the found places on both sides into the open run.
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

/// Where rows of tags begin in the head, by a hash of the row.
struct Rows {
    row: usize,
    starts: Vec<(u64, usize)>,
}

impl Rows {
    /// The rows of chunks and of sections that begin in a range of chunks.
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

    /// The first place with this row, from a chunk on.
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

    /// Tags that look random; equal numbers have equal tags.
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
    fn equal_tags_are_found_from_both_ends() {
        assert_eq!(found(0..500), (0..500).map(Some).collect::<Vec<_>>());
        let with_others = (0..200).chain(7000..7003).chain(200..500);
        let expected = (0..200).map(Some).chain([None; 3]).chain((200..500).map(Some));
        assert_eq!(found(with_others), expected.collect::<Vec<_>>());
        assert_eq!(found(0..0), []);
    }

    #[test]
    fn one_chunk_between_two_changes_is_found_only_in_its_place() {
        let one = |chunk: u64| (0..100).chain([7000, chunk, 7001]).chain(105..500);
        assert_eq!(found(one(102))[101], Some(102));
        assert_eq!(found(one(300))[101], None, "elsewhere a tag is too short to say");
    }

    #[test]
    fn moved_and_repeated_rows_are_found() {
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
    fn unknown_tags_are_not_found() {
        assert_eq!(found(7000..7400), vec![None; 400]);
        assert!(align_tags(&[1, 2, 3], &HeadTags::default(), BITS).iter().all(Option::is_none));
    }
}
