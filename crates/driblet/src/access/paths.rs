//! Paths as rules compare them.

use std::collections::HashSet;
use std::sync::Arc;

/// The form in which paths are compared: without slashes around it, and the same for all spellings in capitals and small
/// letters, since some file systems open the same file for each.
pub(super) fn compared(path: &str) -> String {
    path.trim_matches('/').to_uppercase().to_lowercase()
}

/// The path and those above it, down to the root, which is `""`.
pub(super) fn upwards(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| {
        (!path.is_empty()).then(|| path.rsplit_once('/').map_or("", |(above, _)| above))
    })
}

/// The paths that rules are about, in the form in which paths are compared.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct GuardedPaths(Arc<HashSet<String>>);

impl GuardedPaths {
    pub(super) fn new(paths: impl Iterator<Item = String>) -> GuardedPaths {
        GuardedPaths(Arc::new(paths.collect()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a rule is about this very path.
    pub(crate) fn contains(&self, path: &str) -> bool {
        !self.is_empty() && self.0.contains(&compared(path))
    }

    /// Whether a rule covers a path, but not the directory above it: so the guard of the directory does not guard it.
    pub(crate) fn covers_below(&self, directory: &str, path: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        let (directory, path) = (compared(directory), compared(path));
        upwards(&path).take_while(|above| **above != directory).any(|above| self.0.contains(above))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_below_a_rule_is_covered_unless_the_rule_covers_the_directory_too() {
        let guarded = GuardedPaths::new(["private", "a/b"].map(str::to_owned).into_iter());
        for (directory, path, is_covered) in [
            ("", "private", true),
            ("", "private/x/y", true),
            ("", "PRIVATE/x", true),
            ("", "privately", false),
            ("", "a", false),
            ("", "a/b/c", true),
            ("a", "a/b/c", true),
            ("a/b", "a/b/c", false),
            ("private", "private/x", false),
            ("Private", "private/x", false),
        ] {
            assert_eq!(guarded.covers_below(directory, path), is_covered, "{directory} {path}");
        }
        assert!(guarded.contains("a/B") && !guarded.contains("a/b/c") && !guarded.contains(""));
        let all = GuardedPaths::new([String::new()].into_iter());
        assert!(!all.covers_below("", "private"), "the rule of the root guards its snapshot");
    }
}
