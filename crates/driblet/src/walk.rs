//! Lists the files of a directory.
//!
//! `.dribletignore` files and the server's exclusions leave files out (the `ignore` crate, with git's syntax but without
//! git's own files). A link to a file is its content, and a link to a folder is walked, unless it leads to a parent
//! folder, out of the directory, or by an absolute path.

#[cfg(feature = "server")]
pub(crate) mod edits;

use std::collections::HashSet;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use driblet_core::directory::{check_path, path_order};
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{DirEntry, WalkBuilder};

#[cfg(feature = "server")]
use crate::access::GuardedPaths;
use crate::fingerprint::Fingerprint;

/// The name of the files that leave files out.
const IGNORE_FILE: &str = ".dribletignore";

/// A file of a directory, as the disk shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WalkedFile {
    /// The path below the directory.
    pub(crate) path: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) executable: bool,
}

/// The files of a directory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Listing {
    /// The device and the inode of the folder.
    identity: (u64, u64),
    /// In the order of a manifest.
    pub(crate) files: Vec<WalkedFile>,
    /// When a folder last changed, in nanoseconds since the epoch.
    pub(crate) folders_changed: i64,
    /// What a manifest cannot name or may not hold, and why.
    pub(crate) left_out: Vec<(PathBuf, &'static str)>,
    /// Whether a path may show the change of another: there are links, or hard links to one file.
    has_links: bool,
    /// Whether there are files that leave out others.
    has_rules: bool,
}

/// Which files belong to a directory.
#[derive(Clone)]
pub(crate) struct WalkRules {
    /// Whether names that begin with a dot belong to it.
    pub(crate) hidden: bool,
    #[cfg(feature = "server")]
    root: PathBuf,
    excluded: Arc<Gitignore>,
    #[cfg(feature = "server")]
    guarded: GuardedPaths,
}

impl WalkRules {
    /// `excluded` has patterns in the syntax of `.gitignore`.
    pub(crate) fn new(root: &Path, hidden: bool, excluded: &[String]) -> Result<WalkRules, ignore::Error> {
        let mut patterns = GitignoreBuilder::new(root);
        for pattern in excluded {
            patterns.add_line(None, pattern)?;
        }
        Ok(WalkRules {
            hidden,
            excluded: Arc::new(patterns.build()?),
            #[cfg(feature = "server")]
            root: root.to_owned(),
            #[cfg(feature = "server")]
            guarded: GuardedPaths::default(),
        })
    }

    /// Leaves out the paths below the root that access rules are about, whatever the patterns say.
    #[cfg(feature = "server")]
    pub(crate) fn guarded(self, guarded: GuardedPaths) -> WalkRules {
        WalkRules { guarded, ..self }
    }

    /// Whether an access rule covers a file of a directory, but not the directory.
    #[cfg(feature = "server")]
    pub(crate) fn is_guarded(&self, directory: &str, file: &str) -> bool {
        if self.guarded.is_empty() {
            return false;
        }
        let path = if directory.is_empty() { file.to_owned() } else { format!("{directory}/{file}") };
        self.guarded.covers_below(directory, &path)
    }

    /// Whether a file or a folder is reserved, git's, or excluded, whatever the files say that leave out others.
    fn leaves_out(&self, path: &Path, is_folder: bool) -> bool {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.ends_with(b".driblet")
            || name.eq_ignore_ascii_case(b".git")
            || self.excluded.matched(path, is_folder).is_ignore()
            || self.is_about_rule(path)
    }

    /// Whether an access rule is about this very path.
    #[cfg(feature = "server")]
    fn is_about_rule(&self, path: &Path) -> bool {
        let below = path.strip_prefix(&self.root).ok().and_then(Path::to_str);
        !self.guarded.is_empty() && below.is_some_and(|below| self.guarded.contains(below))
    }

    #[cfg(not(feature = "server"))]
    fn is_about_rule(&self, _: &Path) -> bool {
        false
    }
}

/// How often a folder is walked anew because another one took its place.
const WALKS: usize = 10;

/// Which folder is at a path: its device and inode.
fn identity_of(folder: &Path) -> io::Result<(u64, u64)> {
    let metadata = folder.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Listing {
    /// Walks a folder. If another folder takes its place meanwhile, as when a link is led elsewhere, walks that one: files
    /// of both would be no version.
    pub(crate) fn of(folder: &Path, rules: &WalkRules) -> io::Result<Listing> {
        for _ in 0..WALKS {
            let identity = identity_of(folder)?;
            let listing = Listing::below(folder, folder, rules)?;
            if identity_of(folder)? == identity {
                return Ok(Listing { identity, ..listing });
            }
        }
        Err(io::Error::other("the folder was replaced again and again while it was read"))
    }

    /// Walks `start`, which lies in `folder`. Paths are those below `folder`.
    fn below(folder: &Path, start: &Path, rules: &WalkRules) -> io::Result<Listing> {
        // It decides on links as the source does, which opens the files.
        let root = Dir::open_ambient_dir(folder, ambient_authority())?;
        let links = Arc::new(Mutex::new((false, Vec::new())));
        let mut walk = WalkBuilder::new(start);
        walk.standard_filters(false).hidden(!rules.hidden).follow_links(true).add_custom_ignore_filename(IGNORE_FILE);
        let (rules, found_links, place) = (rules.clone(), links.clone(), folder.to_path_buf());
        walk.filter_entry(move |entry| {
            if entry.depth() == 0 {
                return true;
            }
            let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
            if rules.leaves_out(entry.path(), is_folder) {
                return false;
            }
            if !entry.path_is_symlink() {
                return true;
            }
            let (has_links, left_out) = &mut *found_links.lock().unwrap_or_else(PoisonError::into_inner);
            *has_links = true;
            let relative = entry.path().strip_prefix(&place).unwrap_or(entry.path());
            let leaves = root.metadata(relative).is_err();
            if leaves {
                let reason = "it is a link that is absolute, or leads out of the directory or nowhere";
                left_out.push((entry.path().to_path_buf(), reason));
            }
            !leaves
        });
        let (mut listing, mut linked) = (Listing::default(), HashSet::new());
        for entry in walk.build() {
            match entry {
                Ok(entry) => listing.add(folder, &entry, &mut linked)?,
                // A link to a parent folder, or a file that was removed while the folder was read.
                Err(error) if error.io_error().is_none_or(|error| error.kind() == io::ErrorKind::NotFound) => {}
                Err(error) => return Err(error.into_io_error().unwrap_or_else(|| io::Error::other("a walk failed"))),
            }
        }
        let (has_links, left_out) = &mut *links.lock().unwrap_or_else(PoisonError::into_inner);
        listing.has_links |= *has_links;
        listing.left_out.append(left_out);
        listing.left_out.sort_unstable();
        listing.files.sort_unstable_by(|a, b| path_order(&a.path, &b.path));
        Ok(listing)
    }

    fn add(&mut self, folder: &Path, entry: &DirEntry, linked: &mut HashSet<(u64, u64)>) -> io::Result<()> {
        let metadata = match entry.metadata().map_err(|error| error.into_io_error()) {
            Ok(metadata) => metadata,
            Err(Some(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) => return Ok(()),
        };
        let fingerprint = Fingerprint::of(&metadata);
        if metadata.is_dir() {
            self.folders_changed = self.folders_changed.max(fingerprint.changed);
            self.has_rules |= entry.path().join(IGNORE_FILE).symlink_metadata().is_ok();
        }
        if !metadata.is_file() {
            return Ok(());
        }
        self.has_links |= 1 < metadata.nlink() && !linked.insert((fingerprint.device, fingerprint.inode));
        let relative = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        match relative.to_str().map(|path| (path, check_path(path))) {
            Some((path, Ok(()))) => self.files.push(WalkedFile::new(path, &metadata)),
            Some((_, Err(_))) => self.left_out.push((entry.path().to_path_buf(), "a manifest cannot hold its name")),
            None => self.left_out.push((entry.path().to_path_buf(), "its name is not UTF-8")),
        }
        Ok(())
    }
}

impl WalkedFile {
    /// A file with this path below the directory.
    fn new(path: &str, metadata: &Metadata) -> WalkedFile {
        let executable = metadata.permissions().mode() & 0o100 != 0;
        WalkedFile { path: path.to_owned(), fingerprint: Fingerprint::of(metadata), executable }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn paths(folder: &Path, hidden: bool, excluded: &[&str]) -> Vec<String> {
        let excluded: Vec<String> = excluded.iter().map(|pattern| (*pattern).to_owned()).collect();
        let rules = WalkRules::new(folder, hidden, &excluded).unwrap();
        Listing::of(folder, &rules).unwrap().files.into_iter().map(|file| file.path).collect()
    }

    pub(super) fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        folder
    }

    #[test]
    fn files_come_in_the_order_of_a_manifest() {
        let folder = folder(&["a-b", "a/x", "a/y/z", "b", "Z"]);
        assert_eq!(paths(folder.path(), false, &[]), ["Z", "a/x", "a/y/z", "a-b", "b"]);
    }

    #[test]
    fn hidden_excluded_ignored_and_reserved_names_are_left_out() {
        let folder = folder(&[
            ".env",
            ".git/config",
            ".GIT/config",
            "a.map",
            "b.js",
            "c.driblet/head",
            "sub/.dribletignore",
            "sub/secret",
            "sub/open",
            "tmp/x",
        ]);
        fs::write(folder.path().join("sub/.dribletignore"), "secret\n").unwrap();
        // git's own files have no effect.
        fs::write(folder.path().join(".gitignore"), "b.js\n").unwrap();
        assert_eq!(paths(folder.path(), false, &["*.map", "/tmp"]), ["b.js", "sub/open"]);
        let all = paths(folder.path(), true, &[]);
        assert!(all.contains(&".env".to_owned()) && !all.iter().any(|path| path.to_lowercase().starts_with(".git/")));
    }

    #[test]
    fn links_are_followed_within_the_root_only() {
        let folder = folder(&["real/file", "real/deep/file"]);
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        symlink("real/file", folder.path().join("link")).unwrap();
        symlink("real", folder.path().join("linked")).unwrap();
        symlink("..", folder.path().join("real/up")).unwrap();
        symlink(outside.path(), folder.path().join("out")).unwrap();
        symlink(outside.path().join("secret"), folder.path().join("out-file")).unwrap();
        symlink("nowhere", folder.path().join("broken")).unwrap();
        let rules = WalkRules::new(folder.path(), false, &[]).unwrap();
        let listing = Listing::of(folder.path(), &rules).unwrap();
        let paths: Vec<&str> = listing.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["link", "linked/deep/file", "linked/file", "real/deep/file", "real/file"]);
        assert!(2 <= listing.left_out.len(), "{:?}", listing.left_out);
    }

    #[test]
    fn whether_a_file_may_be_executed() {
        let folder = folder(&["plain", "run"]);
        fs::set_permissions(folder.path().join("run"), fs::Permissions::from_mode(0o755)).unwrap();
        let rules = WalkRules::new(folder.path(), false, &[]).unwrap();
        let flags: Vec<bool> =
            Listing::of(folder.path(), &rules).unwrap().files.iter().map(|file| file.executable).collect();
        assert_eq!(flags, [false, true]);
    }
}
