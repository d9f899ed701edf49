/// Which files belong to a directory that is read. [`diff_directory`](crate::diff_directory) and
/// [`patch_directory`](crate::patch_directory) need the same ones.
///
/// Files that a `.dribletignore` names never belong to it, nor do folders called `.git`, and names that end in
/// `.driblet`. A link to a file stands for its content, and one to a folder for the files below, unless it leads out of
/// the directory.
///
/// ```
/// let options = driblet::DirectoryOptions::default().hidden(true).exclude("*.map");
/// assert_eq!(options.exclude, ["*.map"]);
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct DirectoryOptions {
    /// Whether names that begin with a dot belong to it. Default: no.
    pub hidden: bool,
    /// Patterns of paths that do not belong to it, in the syntax of `.gitignore`. Default: none.
    pub exclude: Vec<String>,
}

impl DirectoryOptions {
    /// Sets whether names that begin with a dot belong to it.
    #[must_use]
    pub fn hidden(self, hidden: bool) -> DirectoryOptions {
        DirectoryOptions { hidden, ..self }
    }

    /// Adds a pattern of paths that do not belong to it.
    #[must_use]
    pub fn exclude(mut self, pattern: impl Into<String>) -> DirectoryOptions {
        self.exclude.push(pattern.into());
        self
    }
}
