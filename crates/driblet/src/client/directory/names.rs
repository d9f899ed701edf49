//! Which files of a directory are written, and which names cannot be.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use driblet_core::directory::Manifest;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::error::{PathProblem, PatternError, PullDirectoryError};
use super::options::PullDirectoryOptions;

/// The longest name that every file system with encrypted names permits, in bytes: that of eCryptfs.
const MAX_ENCRYPTED_NAME: usize = 143;
/// The same name in both normalisation forms of Unicode, in capital and in small letters.
const PROBES: [[&str; 2]; 2] = [["driblet-a", "DRIBLET-A"], ["driblet-\u{e9}", "driblet-e\u{301}"]];

/// The paths that a pull leaves alone.
#[derive(Debug)]
pub(super) struct Filter {
    hidden: bool,
    exclude: Gitignore,
}

/// The files of a manifest that are written.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) included: Vec<bool>,
    /// How many are left out because of a dot.
    pub(super) hidden: usize,
    /// How many are left out by a pattern.
    pub(super) excluded: usize,
}

impl Filter {
    pub(super) fn new(options: &PullDirectoryOptions) -> Result<Filter, PullDirectoryError> {
        let mut builder = GitignoreBuilder::new("");
        for pattern in &options.exclude {
            let added = builder.add_line(None, pattern);
            added.map_err(|error| PullDirectoryError::Pattern {
                pattern: pattern.clone(),
                source: PatternError(error),
            })?;
        }
        let exclude = builder.build().map_err(|error| PullDirectoryError::Pattern {
            pattern: options.exclude.join(" "),
            source: PatternError(error),
        })?;
        Ok(Filter { hidden: options.hidden, exclude })
    }

    /// Whether a pattern excludes a path or a folder on the way to it.
    pub(super) fn excludes(&self, path: &str) -> bool {
        self.exclude.matched_path_or_any_parents(path, false).is_ignore()
    }

    /// Whether a path is left alone because a part of it begins with a dot.
    pub(super) fn hides(&self, path: &str) -> bool {
        !self.hidden && path.split('/').any(|part| part.starts_with('.'))
    }

    /// Whether a pull may write and remove a path.
    pub(super) fn admits(&self, path: &str) -> bool {
        !self.hides(path) && !self.excludes(path)
    }

    /// The files that are written.
    ///
    /// # Errors
    /// If one of them has a name that is always refused.
    pub(super) fn select(&self, manifest: &Manifest) -> Result<Selection, PullDirectoryError> {
        let mut selection = Selection { included: Vec::with_capacity(manifest.len()), hidden: 0, excluded: 0 };
        for entry in manifest.entries() {
            let is_excluded = self.excludes(entry.path);
            let refused = PathProblem::of(entry.path).filter(|_| !is_excluded);
            let is_hidden = self.hides(entry.path);
            match refused {
                Some(PathProblem::Git) => return Err(PullDirectoryError::path(entry.path, PathProblem::Git)),
                Some(problem) if !is_hidden => return Err(PullDirectoryError::path(entry.path, problem)),
                _ => {}
            }
            selection.excluded += usize::from(is_excluded);
            selection.hidden += usize::from(is_hidden && !is_excluded);
            selection.included.push(!is_excluded && !is_hidden);
        }
        Ok(selection)
    }
}

/// Finds out whether the file system can hold all names side by side. On a file system that tells all names apart, two
/// files show it, and a file is made for each name that some of these refuse. On any other one, a file is made for each
/// name.
pub(super) fn try_names(folder: &Path, manifest: &Manifest, selection: &Selection) -> Result<(), PullDirectoryError> {
    let place = folder.join("names");
    let failed = |error| PullDirectoryError::store(format!("cannot use {}", place.display()), error);
    remove_all(&place).map_err(failed)?;
    fs::create_dir(&place).map_err(failed)?;
    let tells_apart = tells_names_apart(&place);
    let tried = match tells_apart.map_err(failed)? {
        true => try_each(&place, manifest, selection, is_refused_by_some),
        false => try_each(&place, manifest, selection, |_| true),
    };
    remove_all(&place).map_err(failed)?;
    tried
}

fn tells_names_apart(place: &Path) -> io::Result<bool> {
    for [one, other] in PROBES {
        fs::write(place.join(one), [])?;
        if place.join(other).symlink_metadata().is_ok() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a file system refuses a path although it tells names apart: NTFS and shares of Windows refuse what Windows
/// cannot open, and file systems that encrypt names permit only shorter ones.
fn is_refused_by_some(path: &str) -> bool {
    let is_device = |part: &str| {
        let stem = part.split('.').next().unwrap_or(part).trim_end().to_ascii_lowercase();
        let numbered = |start: &str| stem.strip_prefix(start).is_some_and(|rest| rest.chars().count() == 1);
        matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
    };
    path.split('/').any(|part| {
        MAX_ENCRYPTED_NAME < part.len()
            || part.ends_with(['.', ' '])
            || part.contains(|char: char| char.is_ascii_control() || "<>:\"|?*\\".contains(char))
            || is_device(part)
    })
}

fn try_each(
    place: &Path,
    manifest: &Manifest,
    selection: &Selection,
    is_tried: impl Fn(&str) -> bool,
) -> Result<(), PullDirectoryError> {
    let place = place.join("each");
    let written = manifest.entries().zip(&selection.included).filter(|(_, included)| **included);
    for (entry, _) in written.filter(|(entry, _)| is_tried(entry.path)) {
        let path = place.join(entry.path);
        let made = fs::create_dir_all(path.parent().unwrap_or(&place)).and_then(|()| fs::File::create_new(&path));
        if let Err(error) = made {
            return Err(match PathProblem::of_error(&error) {
                Some(problem) => PullDirectoryError::path(entry.path, problem),
                None => PullDirectoryError::store(format!("cannot try the name {}", entry.path), error),
            });
        }
    }
    Ok(())
}

fn remove_all(place: &Path) -> io::Result<()> {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use driblet_core::Version;
    use driblet_core::directory::FileEntry;

    use super::*;

    fn manifest(paths: &[&str]) -> Manifest {
        let file = |path: &&str| FileEntry {
            path: (*path).to_owned(),
            executable: false,
            len: 1,
            version: Version::of(path.as_bytes()),
        };
        Manifest::new(paths.iter().map(file).collect()).unwrap()
    }

    fn select(paths: &[&str], options: PullDirectoryOptions) -> Result<Selection, String> {
        let selected = Filter::new(&options).unwrap().select(&manifest(paths));
        selected.map_err(|error| match error {
            PullDirectoryError::Path { path, .. } => path,
            error => panic!("{error}"),
        })
    }

    #[test]
    fn dots_and_patterns_leave_files_out() {
        let options = PullDirectoryOptions::default;
        let paths = ["a.js", "a.js.map", "x/.env", ".well-known/y", "docs/deep/z", "docs.txt"];
        let selection = select(&paths, options()).unwrap();
        assert_eq!((selection.hidden, selection.excluded), (2, 0));
        let selection = select(&paths, options().hidden(true).exclude("*.map").exclude("/docs/")).unwrap();
        assert_eq!((selection.hidden, selection.excluded), (0, 2));
        assert_eq!(selection.included.iter().filter(|included| **included).count(), 4);
        assert!(Filter::new(&options().exclude("[z-a]")).is_err());
    }

    #[test]
    fn some_names_are_refused() {
        let options = PullDirectoryOptions::default;
        let long = "x".repeat(256);
        for name in [".git/config", "a/.GIT/hooks/x", "sub/.git", &format!("a/{long}/b")] {
            assert_eq!(select(&["a.js", name], options()).unwrap_err(), name);
            assert_eq!(select(&["a.js", name], options().hidden(true)).unwrap_err(), name);
        }
        assert!(select(&["a.js", ".git/config"], options().exclude(".git")).is_ok());
        assert!(select(&[".driblet/x"], options()).is_ok());
        assert_eq!(select(&[".driblet/x"], options().hidden(true)).unwrap_err(), ".driblet/x");
        assert!(select(&[&"y".repeat(255), ".gitignore"], options()).is_ok());
    }

    #[test]
    fn names_are_tried_where_the_file_system_takes_two_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = manifest(&["a", "b/c"]);
        let all = Selection { included: vec![true; 2], hidden: 0, excluded: 0 };
        assert!(try_names(folder.path(), &manifest, &all).is_ok());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        // As if the name that is tried had been made for another path.
        fs::create_dir_all(folder.path().join("each/b")).unwrap();
        fs::write(folder.path().join("each/b/c"), []).unwrap();
        let refused = try_each(folder.path(), &manifest, &all, |_| true);
        assert!(matches!(refused, Err(PullDirectoryError::Path { path, source: PathProblem::Twin }) if path == "b/c"));
    }

    #[test]
    fn names_that_some_file_systems_refuse() {
        for path in ["con", "a/AUX.txt", "lpt1/x", "x.", "x /y", "a:b", "a?", "tab\t", &"x".repeat(144)] {
            assert!(is_refused_by_some(path), "{path:?}");
        }
        for path in ["icon", "console.txt", "com", "com10", ".con", "a/x.y", "a b", "\u{e9}", &"x".repeat(143)] {
            assert!(!is_refused_by_some(path), "{path:?}");
        }
    }
}
