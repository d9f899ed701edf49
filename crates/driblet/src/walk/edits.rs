//! What has changed in a directory since it was walked, from a look at a few paths.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use driblet_core::directory::{check_path, path_order};

use super::{IGNORE_FILE, Listing, WalkRules, WalkedFile, identity_of};
use crate::fingerprint::Fingerprint;

/// How a directory differs from an earlier listing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Edits {
    /// The files at these paths now; `None` where no file is any more.
    pub(crate) files: BTreeMap<ListedPath, Option<WalkedFile>>,
    /// When a folder last changed, in nanoseconds since the epoch.
    pub(crate) folders_changed: i64,
}

/// A path below a directory. The order is that of a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ListedPath(pub(crate) String);

impl Ord for ListedPath {
    fn cmp(&self, other: &ListedPath) -> Ordering {
        path_order(&self.0, &other.0)
    }
}

impl PartialOrd for ListedPath {
    fn partial_cmp(&self, other: &ListedPath) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Listing {
    /// The file at a path.
    pub(crate) fn file(&self, path: &str) -> Option<&WalkedFile> {
        self.find(path).ok().map(|index| &self.files[index])
    }

    /// The index of the file at a path, or where it would stand.
    pub(crate) fn find(&self, path: &str) -> Result<usize, usize> {
        self.files.binary_search_by(|file| path_order(&file.path, path))
    }

    /// Looks again at these paths, and at all below them: what has changed since this listing was made. `None` if the
    /// whole folder must be walked to know that.
    pub(crate) fn edits(
        &self,
        folder: &Path,
        rules: &WalkRules,
        paths: &BTreeSet<ListedPath>,
    ) -> io::Result<Option<Edits>> {
        if self.has_links || !self.left_out.is_empty() || identity_of(folder)? != self.identity {
            return Ok(None);
        }
        let mut edits = Edits { files: BTreeMap::new(), folders_changed: self.folders_changed };
        let mut walked = None;
        for ListedPath(path) in paths {
            if walked.is_some_and(|above| is_at_or_below(path, above)) {
                continue;
            }
            if path.is_empty() || path.rsplit('/').next() == Some(IGNORE_FILE) {
                return Ok(None);
            }
            let place = folder.join(path);
            if let Some(above) = place.parent().and_then(|parent| parent.symlink_metadata().ok()) {
                edits.folders_changed = edits.folders_changed.max(Fingerprint::of(&above).changed);
            }
            let start = self.find(path).unwrap_or_else(|index| index);
            let listed = self.files[start..].iter().take_while(|file| is_at_or_below(&file.path, path));
            edits.files.extend(listed.map(|file| (ListedPath(file.path.clone()), None)));
            let metadata = match place.symlink_metadata() {
                Ok(metadata) => metadata,
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    continue;
                }
                Err(error) => return Err(error),
            };
            let mut ends = path.match_indices('/').map(|(end, _)| (end, true)).chain([(path.len(), metadata.is_dir())]);
            if ends.any(|(end, is_folder)| rules.leaves_out(&folder.join(&path[..end]), is_folder)) {
                continue;
            }
            // A rule decides on a new file. It can also list a hidden one.
            let is_hidden = !rules.hidden && path.split('/').any(|name| name.starts_with('.'));
            if metadata.is_symlink() || self.has_rules && (is_hidden || self.file(path).is_none()) {
                return Ok(None);
            }
            if is_hidden {
                continue;
            }
            let now = if metadata.is_dir() {
                walked = Some(path);
                match Listing::below(folder, &place, rules) {
                    Ok(now) => now,
                    // It was removed meanwhile. The next look shows that.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error),
                }
            } else if metadata.is_file() && metadata.nlink() == 1 && check_path(path).is_ok() {
                Listing { files: vec![WalkedFile::new(path, &metadata)], ..Listing::default() }
            } else if metadata.is_file() {
                return Ok(None);
            } else {
                Listing::default()
            };
            if now.has_links || now.has_rules || !now.left_out.is_empty() {
                return Ok(None);
            }
            edits.folders_changed = edits.folders_changed.max(now.folders_changed);
            edits.files.extend(now.files.into_iter().map(|file| (ListedPath(file.path.clone()), Some(file))));
        }
        edits.files.retain(|path, now| self.file(&path.0) != now.as_ref());
        // Another folder may have taken its place meanwhile.
        Ok((identity_of(folder)? == self.identity).then_some(edits))
    }

    /// Takes over what has changed.
    pub(crate) fn apply(&mut self, edits: Edits) {
        self.folders_changed = edits.folders_changed;
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        for (path, now) in edits.files {
            match (self.find(&path.0), now) {
                (Ok(index), Some(now)) => self.files[index] = now,
                (Ok(index), None) => gone.push(index),
                (Err(_), now) => new.extend(now),
            }
        }
        let (mut index, mut gone) = (0, gone.into_iter().peekable());
        if gone.peek().is_some() {
            self.files.retain(|_| {
                index += 1;
                gone.next_if(|gone| gone + 1 == index).is_none()
            });
        }
        if !new.is_empty() {
            self.files.extend(new);
            // Two sorted runs are merged in one pass.
            self.files.sort_by(|a, b| path_order(&a.path, &b.path));
        }
    }

    /// How many files there are after edits.
    pub(crate) fn len_after(&self, edits: &Edits) -> usize {
        let counts = edits.files.iter().map(|(path, now)| (self.find(&path.0).is_ok(), now.is_some()));
        counts.fold(self.files.len(), |len, (was, is)| len + usize::from(is) - usize::from(was))
    }
}

/// Whether a path is another one, or one below it.
fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::super::tests::folder;
    use super::*;

    /// Random changes, and one list of the paths that events would name.
    #[test]
    fn edits_show_what_a_walk_shows() {
        let folder = folder(&["a/b/c", "a/d", "e", "a-b"]);
        let rules = WalkRules::new(folder.path(), false, &["*.map".to_owned()]).unwrap();
        let mut seed = 7u64;
        let mut choose = move |count: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) % count
        };
        let mut listing = Listing::of(folder.path(), &rules).unwrap();
        let mut few = 0;
        for round in 0..400 {
            let mut paths = BTreeSet::new();
            for _ in 0..=choose(3) {
                let names = ["a", "b", "c", "a-b", "d.map", ".e", "f.driblet"];
                let path: Vec<&str> = (0..=choose(3)).map(|_| names[choose(7) as usize]).collect();
                let path = path.join("/");
                let place = folder.path().join(&path);
                match choose(4) {
                    0 => drop(fs::remove_file(&place)),
                    1 => drop(fs::remove_dir_all(&place)),
                    2 => {
                        let other = folder.path().join(names[choose(7) as usize]);
                        if fs::rename(&other, &place).is_ok() {
                            let other = other.strip_prefix(folder.path()).unwrap();
                            paths.insert(ListedPath(other.to_str().unwrap().to_owned()));
                        }
                    }
                    _ => {
                        // Events name each folder that is made.
                        let _ = fs::create_dir_all(place.parent().unwrap());
                        let _ = fs::write(&place, round.to_string());
                        let ends = path.match_indices('/').map(|(end, _)| end);
                        paths.extend(ends.map(|end| ListedPath(path[..end].to_owned())));
                    }
                }
                paths.insert(ListedPath(path));
            }
            let walked = Listing::of(folder.path(), &rules).unwrap();
            let edits = listing.edits(folder.path(), &rules, &paths).unwrap();
            few += usize::from(edits.is_some());
            match edits {
                Some(edits) => {
                    assert_eq!(listing.len_after(&edits), walked.files.len());
                    listing.apply(edits);
                    assert_eq!(listing.files, walked.files, "round {round}: {paths:?}");
                }
                None => listing = walked,
            }
        }
        assert!(390 < few, "{few}");
    }

    #[test]
    fn what_one_path_does_not_show_needs_a_walk() {
        let place = folder(&["a/b", "c", "d"]);
        let rules = WalkRules::new(place.path(), false, &[]).unwrap();
        let edits = |listing: &Listing, paths: &[&str]| {
            let paths = paths.iter().map(|path| ListedPath((*path).to_owned())).collect();
            listing.edits(place.path(), &rules, &paths).unwrap()
        };
        let listing = Listing::of(place.path(), &rules).unwrap();
        assert_eq!(edits(&listing, &["a", "c"]).unwrap().files, BTreeMap::new());
        assert_eq!(edits(&listing, &[""]), None, "the folder itself");
        assert_eq!(edits(&listing, &["a/.dribletignore"]), None);
        symlink("a", place.path().join("link")).unwrap();
        assert_eq!(edits(&listing, &["link"]), None);
        assert_eq!(edits(&Listing::of(place.path(), &rules).unwrap(), &["c"]), None, "there is a link");
        fs::remove_file(place.path().join("link")).unwrap();
        fs::hard_link(place.path().join("c"), place.path().join("e")).unwrap();
        assert_eq!(edits(&listing, &["e"]), None);
        assert_eq!(edits(&Listing::of(place.path(), &rules).unwrap(), &["d"]), None, "two names of one file");
        fs::remove_file(place.path().join("e")).unwrap();
        fs::write(place.path().join("a/.dribletignore"), "x").unwrap();
        let listing = Listing::of(place.path(), &rules).unwrap();
        fs::write(place.path().join("a/b"), "changed").unwrap();
        assert_eq!(edits(&listing, &["a/b"]).unwrap().files.len(), 1, "a listed file stays listed");
        assert_eq!(edits(&listing, &["a/x"]).unwrap().files.len(), 0, "there is no such file");
        fs::write(place.path().join("a/x"), "").unwrap();
        assert_eq!(edits(&listing, &["a/x"]), None, "a rule decides on a new file");
        fs::write(place.path().join(".dribletignore"), "!.shown").unwrap();
        fs::write(place.path().join(".shown"), "").unwrap();
        let listing = Listing::of(place.path(), &rules).unwrap();
        assert!(listing.find(".shown").is_ok(), "a rule lists a hidden file");
        fs::write(place.path().join(".shown"), "changed").unwrap();
        assert_eq!(edits(&listing, &[".shown"]), None, "it is not left out");
        fs::write(place.path().join(".new"), "").unwrap();
        assert_eq!(edits(&listing, &[".new"]), None, "a rule decides on it");
        // Another folder in its place.
        let root = place.path().join("root");
        let folders = ["one", "two"].map(|name| place.path().join(name));
        for folder in &folders {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("a"), "").unwrap();
        }
        symlink(&folders[0], &root).unwrap();
        let led = Listing::of(&root, &rules).unwrap();
        fs::remove_file(&root).unwrap();
        symlink(&folders[1], &root).unwrap();
        let paths = BTreeSet::from([ListedPath("a".to_owned())]);
        assert_eq!(led.edits(&root, &rules, &paths).unwrap(), None, "a link was led elsewhere");
        assert_ne!(Listing::of(&root, &rules).unwrap(), led);
        fs::write(place.path().join("x.driblet"), "").unwrap();
        assert!(edits(&listing, &["x.driblet"]).is_some(), "no rule lists a reserved name");
    }
}
