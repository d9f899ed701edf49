//! Parts: some 16 MiB of new files each, the unit of transfer, caching and resuming.

use std::collections::HashSet;
use std::ops::Range;

use super::manifest::Manifest;
use crate::version::{Version, VersionHasher};

/// Bytes from which on a part may end.
const MIN_PART: u64 = 4 << 20;
/// Bytes that a part of several files has at most.
const MAX_PART: u64 = 16 << 20;

/// A run of new files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Which of the new files.
    pub files: Range<usize>,
    /// Bytes of all of them.
    pub len: u64,
}

/// The files of `new` whose versions `old` does not have: the index of the first file of each version, in order.
///
/// Files of no bytes are left out: a receiver makes them without being sent anything.
pub fn new_files(old: Option<&Manifest>, new: &Manifest) -> Vec<usize> {
    let mut seen: HashSet<Version> = old.into_iter().flat_map(Manifest::entries).map(|entry| entry.version).collect();
    seen.insert(Version::EMPTY);
    let is_new = new.entries().map(|entry| seen.insert(entry.version));
    is_new.enumerate().filter_map(|(index, is_new)| is_new.then_some(index)).collect()
}

/// Cuts new files, given by version and length, into parts.
///
/// A part ends after a file whose version begins with three zero bits, once it has 4 MiB, and before a file with which it would have more than 16 MiB. A longer
/// file is a part of its own. So cuts depend on content: a file that is inserted changes the parts near it only, and the others keep their names.
pub fn cut_parts(files: impl IntoIterator<Item = (Version, u64)>) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut part = Part { files: 0..0, len: 0 };
    let mut end = |part: &mut Part| {
        if !part.files.is_empty() {
            let next = Part { files: part.files.end..part.files.end, len: 0 };
            parts.push(std::mem::replace(part, next));
        }
    };
    for (version, len) in files {
        if MAX_PART < part.len.saturating_add(len) {
            end(&mut part);
        }
        part.files.end += 1;
        part.len = part.len.saturating_add(len);
        let may_end = version.as_bytes()[0] < 0x20;
        if MAX_PART < part.len || (MIN_PART <= part.len && may_end) {
            end(&mut part);
        }
    }
    end(&mut part);
    parts
}

/// What a part is named by: the hash of its files' versions, one after the other.
pub fn part_version(versions: impl IntoIterator<Item = Version>) -> Version {
    let mut hasher = VersionHasher::new();
    versions.into_iter().for_each(|version| hasher.update(version.as_bytes()));
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(lens: &[u64]) -> impl Iterator<Item = (Version, u64)> + Clone + '_ {
        lens.iter().enumerate().map(|(number, len)| (Version::of(&number.to_le_bytes()), *len))
    }

    #[test]
    fn parts_hold_each_file_once_and_stay_within_their_limits() {
        let lens: Vec<u64> =
            (0..5_000u64).map(|number| number * number % 70_001).chain([40 << 20, 1, 16 << 20, 3]).collect();
        let parts = cut_parts(files(&lens));
        let mut at = 0;
        for part in &parts {
            assert_eq!(part.files.start, at);
            assert_eq!(part.len, lens[part.files.clone()].iter().sum::<u64>());
            assert!(part.len <= MAX_PART || part.files.len() == 1);
            let next = lens.get(part.files.end).copied().unwrap_or(u64::MAX);
            assert!(MIN_PART <= part.len || MAX_PART < part.len.saturating_add(next), "{part:?} is short");
            at = part.files.end;
        }
        assert_eq!(at, lens.len());
        assert!(cut_parts([]).is_empty());
    }

    #[test]
    fn an_inserted_file_leaves_the_other_parts_their_names() {
        let versions: Vec<(Version, u64)> = files(&[7_000; 100_000]).collect();
        let names = |files: &[(Version, u64)]| -> HashSet<Version> {
            let parts = cut_parts(files.iter().copied());
            parts.into_iter().map(|part| part_version(files[part.files].iter().map(|file| file.0))).collect()
        };
        let before = names(&versions);
        for at in [0, 777, 50_000] {
            let mut inserted = versions.clone();
            inserted.insert(at, (Version::of(b"new"), 9_000));
            let kept = names(&inserted).intersection(&before).count();
            assert!(before.len() * 9 <= kept * 10, "{kept} of {} after {at}", before.len());
        }
    }
}
