use std::fmt;
use std::path::PathBuf;

/// A file or stream to read. It is opened when it is used.
///
/// ```
/// use driblet::Input;
///
/// assert_eq!(Input::at("app.js").to_string(), "app.js");
/// assert_eq!(Input::stdin().to_string(), "standard input");
/// ```
///
/// See [`diff_file`](crate::diff_file) for an example that reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input(pub(super) Place);

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Path(PathBuf),
    Stdin,
}

impl Input {
    /// The file at a path: a regular file, a pipe, or any other file that can be read.
    pub fn at(path: impl Into<PathBuf>) -> Input {
        Input(Place::Path(path.into()))
    }

    /// The standard input of this process.
    pub fn stdin() -> Input {
        Input(Place::Stdin)
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Path(path) => path.display().fmt(f),
            Place::Stdin => f.write_str("standard input"),
        }
    }
}
