//! Which files of the old manifest a part's delta is made against. Never format: any choice makes a valid delta.

use std::collections::{BTreeSet, HashMap};

use super::delta::PlannedPart;
use super::manifest::{Entry, Manifest};
use super::parts::{cut_parts, new_files};
use crate::signature::chunk::{ChunkSize, cut};
use crate::version::Version;

/// Bytes of basis for one part at most.
const MAX_BASIS: u64 = 64 << 20;
/// Hashes that a sketch keeps.
const SKETCH: usize = 64;
/// Letters that the hash in a file's name has at least; vite writes 8, webpack 20, Parcel 8.
const MIN_HASH: usize = 6;

/// Files of up to this many bytes are compared to find a basis for a file that has a new name.
const MAX_SKETCHED: u64 = 4 << 20;
/// The most files that are read to find a basis, for each delta of a directory.
const SKETCHES: usize = 256;

/// Cuts the new files into parts, and chooses a basis for each.
///
/// `read` gives the bytes of a version, of at most 4 MiB, if it can. It is called for at most 256 versions.
pub fn plan_parts(
    old: Option<&Manifest>,
    new: &Manifest,
    read: &mut dyn FnMut(Version) -> Option<Vec<u8>>,
) -> Vec<PlannedPart> {
    let files = new_files(old, new);
    let sizes = files.iter().map(|index| new.entry(*index)).map(|entry| (entry.version, entry.len));
    let chooser = old.map(|old| BasisChooser::new(old, new));
    let mut sketches: HashMap<Version, Option<Sketch>> = HashMap::new();
    let mut sketch = |version: Version, len: u64| {
        if !sketches.contains_key(&version) && (MAX_SKETCHED < len || SKETCHES <= sketches.len()) {
            return None;
        }
        sketches.entry(version).or_insert_with(|| read(version).map(|bytes| Sketch::of(&bytes))).clone()
    };
    let planned = |part: super::Part| {
        let files = files[part.files].to_vec();
        let bases = chooser.as_ref().map_or_else(Vec::new, |chooser| chooser.choose(&files, &mut sketch));
        PlannedPart::new(files, bases, old, new)
    };
    cut_parts(sizes).into_iter().map(planned).collect()
}

/// A sample of a file's chunks, by which two files are found to share content (bottom-k sketches, Broder 1997).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sketch(Vec<u64>);

impl Sketch {
    /// Samples a file.
    pub fn of(bytes: &[u8]) -> Sketch {
        let id = |bytes: &[u8; 32]| {
            u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
        };
        let mut ids: Vec<u64> = cut(bytes, ChunkSize::ALL[2]).map(|chunk| id(chunk.id.as_bytes())).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.truncate(SKETCH);
        Sketch(ids)
    }

    /// How much both files share, of 1.
    pub fn similarity(&self, other: &Sketch) -> f64 {
        let (a, b): (BTreeSet<u64>, BTreeSet<u64>) =
            (self.0.iter().copied().collect(), other.0.iter().copied().collect());
        let smallest = a.union(&b).copied().take(SKETCH).collect::<Vec<_>>();
        let shared = smallest.iter().filter(|id| a.contains(id) && b.contains(id)).count();
        shared as f64 / smallest.len().max(1) as f64
    }
}

/// Chooses which files of an old manifest the parts of a new one are made against.
///
/// For each new file that is the old file at the same path; or else one that is gone, whose name differs by a content
/// hash only (`index-B3f2a9.js`, `index-Q9bd1c.js`: every bundler names files so); or else the only one that is gone and
/// has this name in another folder, as git looks for renames first; or else the one that is gone, has the same extension,
/// and shares most content. The delta may copy from all of them, since bundlers move modules between
/// files. All together have at most 64 MiB, unless the part is one file.
#[derive(Debug)]
pub struct BasisChooser<'a> {
    old: &'a Manifest,
    new: &'a Manifest,
    gone: Vec<usize>,
    /// The first file that is gone, by its path without a content hash.
    by_stem: HashMap<String, usize>,
    /// The file that is gone, by its name without a content hash; `None` if several have this name.
    by_name: HashMap<String, Option<usize>>,
}

impl<'a> BasisChooser<'a> {
    /// Compares the paths of two manifests.
    pub fn new(old: &'a Manifest, new: &'a Manifest) -> BasisChooser<'a> {
        let gone: Vec<usize> = (0..old.len()).filter(|index| new.find(old.entry(*index).path).is_none()).collect();
        let (mut by_stem, mut by_name) = (HashMap::new(), HashMap::new());
        gone.iter().for_each(|index| {
            let path = old.entry(*index).path;
            by_stem.entry(without_hash(path)).or_insert(*index);
            by_name.entry(without_hash(name_of(path))).and_modify(|found| *found = None).or_insert(Some(*index));
        });
        BasisChooser { old, new, gone, by_stem, by_name }
    }

    /// The indices of the old files that are the basis of a part, sorted. `part` has indices of new files; `sketch`
    /// samples the file of a version and length, if it can.
    pub fn choose(&self, part: &[usize], sketch: &mut dyn FnMut(Version, u64) -> Option<Sketch>) -> Vec<usize> {
        let mut chosen = BTreeSet::new();
        let mut room = if part.len() == 1 { u64::MAX } else { MAX_BASIS };
        for index in part {
            let entry = self.new.entry(*index);
            let named = self.old.find(entry.path).or_else(|| self.by_stem.get(&without_hash(entry.path)).copied());
            let named = named.or_else(|| self.by_name.get(&without_hash(name_of(entry.path))).copied().flatten());
            let Some(basis) = named.or_else(|| most_similar(self.old, &self.gone, entry, sketch)) else { continue };
            let len = self.old.entry(basis).len;
            if len != 0 && len <= room && chosen.insert(basis) {
                room -= len;
            }
        }
        chosen.into_iter().collect()
    }
}

fn most_similar(
    old: &Manifest,
    gone: &[usize],
    entry: Entry<'_>,
    sketch: &mut dyn FnMut(Version, u64) -> Option<Sketch>,
) -> Option<usize> {
    let alike = gone.iter().map(|index| (*index, old.entry(*index)));
    let mut alike = alike.filter(|(_, other)| extension(other.path) == extension(entry.path)).peekable();
    alike.peek()?;
    let own = sketch(entry.version, entry.len)?;
    let weighed = alike.filter_map(|(index, other)| Some((sketch(other.version, other.len)?.similarity(&own), index)));
    weighed.filter(|(similarity, _)| 0.0 < *similarity).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, index)| index)
}

fn name_of(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn extension(path: &str) -> Option<&str> {
    name_of(path).rsplit_once('.').map(|(_, extension)| extension)
}

/// A path in which each part of the file's name that looks like a content hash is replaced by `*`.
fn without_hash(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    if let Some((before, after)) = around_base64_hash(name) {
        return format!("{folder}/{before}*{after}");
    }
    let mut out = format!("{folder}/");
    let mut rest = name;
    while !rest.is_empty() {
        let end = rest.find(['.', '-', '_', '~']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        let is_first = rest.len() == name.len();
        out.push_str(if looks_like_hash(word, is_first) { "*" } else { word });
        let separator = after.chars().next().map_or(0, char::len_utf8);
        out.push_str(&after[..separator]);
        rest = &after[separator..];
    }
    out
}

/// What is before and behind a hash in base64url that has a `-` or `_` itself: `index-D7e6x-u8.js`. Rollup, and so vite,
/// makes such names, with hashes of eight characters.
fn around_base64_hash(name: &str) -> Option<(&str, &str)> {
    let end = name.rfind('.')?;
    let start = end.checked_sub(8)?;
    let (before, hash) = (name.get(..start)?, name.get(start..end)?);
    let has = |kind: fn(&u8) -> bool| hash.as_bytes().iter().any(kind);
    // Words of a name, such as `about-us` and `test-v12`, have no capitals.
    let is_hash = hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && has(|byte| b"-_".contains(byte))
        && has(u8::is_ascii_uppercase)
        && has(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    (is_hash && before.ends_with(['-', '.', '_'])).then_some((before, &name[end..]))
}

/// Whether a word has digits, or, unless it is a name's first, mixes capital and small letters.
fn looks_like_hash(word: &str, is_first: bool) -> bool {
    let has = |kind: fn(&u8) -> bool| word.as_bytes().iter().any(kind);
    let mixes = has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase);
    MIN_HASH <= word.len()
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && (has(u8::is_ascii_digit) || (mixes && !is_first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::FileEntry;
    use crate::random::random_bytes;

    fn manifest(files: &[(&str, &[u8])]) -> Manifest {
        let entry = |(path, bytes): &(&str, &[u8])| FileEntry {
            path: (*path).into(),
            executable: false,
            len: bytes.len() as u64,
            version: Version::of(bytes),
        };
        Manifest::new(files.iter().map(entry).collect()).unwrap()
    }

    #[test]
    fn names_differ_by_their_hash_only() {
        for (a, b) in [
            ("assets/index-B3f2a9xx.js", "assets/index-Q9bd1cyy.js"),
            ("main.3fa9c1.chunk.css", "main.77bc02.chunk.css"),
            ("static/app~0a1b2c3d.wasm", "static/app~ffee9911.wasm"),
            ("assets/index-D7e6x-u8.js", "assets/index-Q9bd1cyy.js"),
            ("assets/index--_7e6xAu.js", "assets/index-bWx_1-Zz.js"),
        ] {
            assert_eq!(without_hash(a), without_hash(b));
        }
        assert_ne!(without_hash("assets/index-B3f2a9xx.js"), without_hash("other/index-Q9bd1cyy.js"));
        assert_ne!(without_hash("vendor.js"), without_hash("polyfills.js"));
        assert_ne!(without_hash("page-about.js"), without_hash("page-contact.js"));
        assert_ne!(without_hash("page-about-us.js"), without_hash("page-call-us2.js"));
        assert_ne!(without_hash("page-test-v12.js"), without_hash("page-util-v12.js"));
        assert_ne!(without_hash("HomePage-BxkPqTzz.js"), without_hash("AboutPage-CyyLmNoo.js"));
    }

    #[test]
    fn a_folder_that_moved_keeps_its_names() {
        let old = manifest(&[("a/index.js", b"1"), ("b/index.js", b"2"), ("b/lib.js", b"3"), ("stays.js", b"4")]);
        let new = manifest(&[("c/index.js", b"5"), ("c/lib.js", b"6"), ("c/stays.js", b"7"), ("stays.js", b"4")]);
        // Two files are called index.js, and stays.js is not gone.
        let chosen = BasisChooser::new(&old, &new).choose(&[0, 1, 2], &mut |_, _| None);
        assert_eq!(chosen, [old.find("b/lib.js").unwrap()]);
    }

    #[test]
    fn same_path_then_same_name_then_same_content() {
        let (app, page, lib) = (random_bytes(1, 9_000), random_bytes(2, 9_000), random_bytes(3, 90_000));
        let mut changed = lib.clone();
        changed[50_000] ^= 1;
        let old = manifest(&[("app.js", &app), ("page-a1b2c3d4.js", &page), ("old/lib.js", &lib), ("gone.js", b"x")]);
        let new = manifest(&[("app.js", b"new"), ("page-ffee9911.js", b"newer"), ("moved/library.js", &changed)]);
        let part: Vec<usize> = (0..new.len()).collect();
        let chosen = BasisChooser::new(&old, &new).choose(&part, &mut |version, _| {
            let all = [&lib, &changed];
            all.into_iter().find(|bytes| Version::of(bytes) == version).map(|bytes| Sketch::of(bytes))
        });
        let names: Vec<&str> = chosen.iter().map(|index| old.entry(*index).path).collect();
        assert_eq!(names, ["app.js", "old/lib.js", "page-a1b2c3d4.js"]);
    }
}
