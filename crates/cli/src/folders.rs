//! Folders in place of files, for `diff` and `patch`.

use std::path::Path;

use driblet::{DirectoryError, DirectoryOptions};

use crate::failure::Failure;

/// Which files belong to a folder.
#[derive(clap::Args)]
#[command(next_help_heading = "Folders")]
pub(crate) struct FolderArgs {
    /// Leave out paths that match this pattern, in the syntax of .gitignore; can be given several times
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Do not leave out names that begin with a dot
    #[arg(long)]
    hidden: bool,
}

impl FolderArgs {
    /// Fails if an option is given that files do not have.
    pub(crate) fn for_files(&self) -> Result<(), Failure> {
        let given = [(self.hidden, "--hidden"), (!self.exclude.is_empty(), "--exclude")];
        match given.into_iter().find(|(given, _)| *given) {
            Some((_, flag)) => Err(Failure::usage(format!("{flag} is for folders"))),
            None => Ok(()),
        }
    }

    pub(crate) fn options(&self) -> DirectoryOptions {
        let options = DirectoryOptions::default().hidden(self.hidden);
        self.exclude.iter().fold(options, |options, pattern| options.exclude(pattern))
    }
}

/// Whether both paths are folders.
pub(crate) fn are_folders(old: &Path, new: &Path) -> Result<bool, Failure> {
    let (folder, other) = match (old.is_dir(), new.is_dir()) {
        (true, true) => return Ok(true),
        (false, false) => return Ok(false),
        (true, false) => (old, new),
        (false, true) => (new, old),
    };
    if let Err(error) = other.metadata()
        && other != Path::new("-")
    {
        return Err(Failure::input(other, &error));
    }
    let (folder, other) = (folder.display(), other.display());
    let what =
        format!("{folder} is a folder and {other} is not: name two folders, one of which may be empty, or two files");
    Err(Failure::said(&what))
}

/// Folders could not be diffed or patched.
pub(crate) fn failure(cause: &DirectoryError) -> Failure {
    match cause {
        DirectoryError::File(cause) => Failure::file(cause),
        DirectoryError::Pattern(cause) => Failure::usage(Failure::new("--exclude", cause).to_string()),
        _ => Failure::of(cause),
    }
}
