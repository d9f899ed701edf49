//! The paths that a manifest may name.

use std::cmp::Ordering;

use super::error::BadPath;

/// Bytes of the longest path.
pub(super) const MAX_PATH: usize = 4096;

/// Checks a path for a manifest: relative, with `/` between its parts; no part is empty, `.` or `..`; no NUL, no backslash; at most 4,096 bytes.
///
/// ```
/// use driblet_core::directory::{BadPath, check_path};
///
/// assert_eq!(check_path("assets/app.js"), Ok(()));
/// assert_eq!(check_path("../etc/passwd"), Err(BadPath::DotPart));
/// ```
pub fn check_path(path: &str) -> Result<(), BadPath> {
    match path {
        "" => return Err(BadPath::Empty),
        _ if MAX_PATH < path.len() => return Err(BadPath::TooLong { len: path.len(), max: MAX_PATH }),
        _ if path.contains('\0') => return Err(BadPath::Nul),
        _ if path.contains('\\') => return Err(BadPath::Backslash),
        _ => {}
    }
    path.split('/').try_for_each(|part| match part {
        "" => Err(BadPath::EmptyPart),
        "." | ".." => Err(BadPath::DotPart),
        _ => Ok(()),
    })
}

/// The order of paths in a manifest: by bytes, where `/` counts as smaller than every other byte.
///
/// In this order a file stands directly before everything that would lie below it, so one look at the entry before shows that no file is also a directory.
pub fn path_order(a: &str, b: &str) -> Ordering {
    let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
    a.bytes().map(rank).cmp(b.bytes().map(rank))
}

/// Whether `path` lies below `parent`.
pub(super) fn is_below(path: &str, parent: &str) -> bool {
    path.strip_prefix(parent).is_some_and(|rest| rest.starts_with('/'))
}

/// How many bytes two paths share at their start.
pub(super) fn shared_len(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_escape_or_mislead_are_refused() {
        for good in ["a", "a/b", ".hidden", "...", "a b/ü.js", "C:", "con"] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        assert_eq!(check_path(""), Err(BadPath::Empty));
        for bad in ["/a", "a/", "a//b", "/"] {
            assert_eq!(check_path(bad), Err(BadPath::EmptyPart), "{bad}");
        }
        for bad in [".", "..", "a/./b", "a/..", "../a"] {
            assert_eq!(check_path(bad), Err(BadPath::DotPart), "{bad}");
        }
        assert_eq!(check_path("a\\b"), Err(BadPath::Backslash));
        assert_eq!(check_path("a\0b"), Err(BadPath::Nul));
        assert_eq!(check_path(&"x".repeat(4096)), Ok(()));
        assert_eq!(check_path(&"x".repeat(4097)), Err(BadPath::TooLong { len: 4097, max: 4096 }));
    }

    #[test]
    fn what_lies_below_a_file_would_stand_right_after_it() {
        let mut paths = ["a-b", "a/x", "a", "ab", "a/x/y", "a!"];
        paths.sort_by(|a, b| path_order(a, b));
        assert_eq!(paths, ["a", "a/x", "a/x/y", "a!", "a-b", "ab"]);
    }
}
