/// How a directory is pulled.
///
/// ```
/// let options = driblet::PullDirectoryOptions::default().delete(true).exclude("*.map");
/// assert_eq!(options.exclude, ["*.map"]);
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[non_exhaustive]
pub struct PullDirectoryOptions {
    /// Whether files that no pull wrote are removed, if the server's directory does not have them. Default: no.
    pub delete: bool,
    /// Whether the folder is a symbolic link to a tree, which is replaced in one step. Default: no.
    pub atomic: bool,
    /// Whether nothing is changed; the result says what would change. Default: no.
    pub dry_run: bool,
    /// Whether names that begin with a dot are written. Default: no.
    pub hidden: bool,
    /// Patterns of paths that are neither written nor removed, in the syntax of `.gitignore`. Default: none.
    pub exclude: Vec<String>,
}

impl PullDirectoryOptions {
    /// Sets whether files that no pull wrote are removed.
    #[must_use]
    pub fn delete(self, delete: bool) -> PullDirectoryOptions {
        PullDirectoryOptions { delete, ..self }
    }

    /// Sets whether the folder is a symbolic link to a tree, which is replaced in one step.
    #[must_use]
    pub fn atomic(self, atomic: bool) -> PullDirectoryOptions {
        PullDirectoryOptions { atomic, ..self }
    }

    /// Sets whether nothing is changed.
    #[must_use]
    pub fn dry_run(self, dry_run: bool) -> PullDirectoryOptions {
        PullDirectoryOptions { dry_run, ..self }
    }

    /// Sets whether names that begin with a dot are written.
    #[must_use]
    pub fn hidden(self, hidden: bool) -> PullDirectoryOptions {
        PullDirectoryOptions { hidden, ..self }
    }

    /// Adds a pattern of paths that are neither written nor removed.
    #[must_use]
    pub fn exclude(mut self, pattern: impl Into<String>) -> PullDirectoryOptions {
        self.exclude.push(pattern.into());
        self
    }
}
