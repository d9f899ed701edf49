use std::io::{self, Write};
use std::ops::Deref;
use std::path::Path;

use driblet_core::directory::{DirectoryDelta, plan_parts};
use driblet_core::{EncodeOptions, Encoder, Version};

use super::error::DirectoryError;
use super::folder::{Folder, LeftOut};
use super::options::DirectoryOptions;
use crate::files::diff::{DiffOptions, write_delta};
use crate::files::read::{Loaded, open_input};
use crate::files::{FileError, Input};
use crate::output::Output;

/// The result of [`diff_directory`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DiffedDirectory {
    /// The version of the new directory.
    pub version: Version,
    /// Files of the new directory.
    pub files: usize,
    /// Bytes of the files of the new directory.
    pub len: u64,
    /// Distinct files that the old directory does not have at any path.
    pub new_files: usize,
    /// Bytes of these files.
    pub new_len: u64,
    /// How many parts the delta has.
    pub parts: usize,
    /// The length of the delta in bytes.
    pub delta_len: u64,
    /// Files of both folders that the delta cannot have.
    pub left_out: Vec<LeftOut>,
}

/// Writes the delta from the directory `old` to the directory `new` into `delta`, in one durable step. The delta also
/// moves, removes and copies files, and sets executable flags.
///
/// The call blocks and takes a core until the delta is made. It reads all files, and holds those of one part in memory:
/// some 16 MiB of new files, and up to 64 MiB of old ones; or one long file and what it is made from. Files above 256
/// MiB are mapped, as in [`diff_file`](crate::diff_file). The same directories give the same delta.
///
/// ```
/// use driblet::output::Output;
/// use driblet::{DiffOptions, DirectoryOptions, Input, diff_directory, patch_directory};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = |name: &str| folder.path().join(name);
/// # for name in ["app-1", "app-2"] { std::fs::create_dir(path(name))?; }
/// std::fs::write(path("app-1/a.js"), "let answer = 41;")?;
/// std::fs::write(path("app-2/b.js"), "let answer = 42;")?;
/// let (delta, options) = (path("app.delta"), DirectoryOptions::default());
/// let output = Output::at(&delta)?;
/// let diffed = diff_directory(path("app-1"), path("app-2"), &output, &DiffOptions::default(), &options)?;
/// assert_eq!((diffed.files, diffed.new_files), (1, 1));
///
/// patch_directory(path("app-1"), &Input::at(&delta), path("app"), &options)?;
/// assert_eq!(std::fs::read(path("app/b.js"))?, b"let answer = 42;");
/// assert!(!path("app/a.js").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`DirectoryError`] says what failed. The output is as it was.
pub fn diff_directory(
    old: impl AsRef<Path>,
    new: impl AsRef<Path>,
    delta: &Output,
    diff: &DiffOptions,
    options: &DirectoryOptions,
) -> Result<DiffedDirectory, DirectoryError> {
    let (old, new) = (Folder::read(old.as_ref(), options)?, Folder::read(new.as_ref(), options)?);
    let parts = plan_parts(Some(&old.manifest), &new.manifest, &mut |version| read(&old, &new, version));
    let unwritten = |error| FileError::write(delta.name(), error);
    let target = Input::at(new.name());
    let start =
        DirectoryDelta::between(Some(&old.manifest), &new.manifest, &parts, EncodeOptions::new().budget(diff.memory));
    let start = start.map_err(|source| FileError::Encode { input: target.clone(), source })?;
    let version = start.target;
    let start = start.encode();
    let mut staged = delta.stage().map_err(unwritten)?;
    staged.write_all(&start).map_err(unwritten)?;
    let mut delta_len = start.len() as u64;
    for part in &parts {
        let (from, to) = (Concatenation::load(&old, &part.bases)?, Concatenation::load(&new, &part.files)?);
        let encoder = Encoder::of_versions((&from, part.basis), (&to, Version::of(&to)), diff.encode());
        delta_len += write_delta(encoder, &target, &mut staged, delta)?;
        from.check_unchanged()?;
        to.check_unchanged()?;
    }
    staged.commit().map_err(unwritten)?;
    Ok(DiffedDirectory {
        version,
        files: new.manifest.len(),
        len: new.manifest.total_len(),
        new_files: parts.iter().map(|part| part.files.len()).sum(),
        new_len: parts.iter().map(|part| part.len).sum(),
        parts: parts.len(),
        delta_len,
        left_out: old.left_out().chain(new.left_out()).collect(),
    })
}

/// The bytes of a version, to compare it with others. Without them the delta is longer, and as valid.
fn read(old: &Folder, new: &Folder, version: Version) -> Option<Vec<u8>> {
    let found = [old, new].into_iter().find_map(|folder| Some((folder, folder.find(&version)?)));
    found.and_then(|(folder, index)| load(folder, index).ok()).map(|bytes| bytes.to_vec())
}

/// Several files, one after the other.
enum Concatenation {
    One(Loaded),
    Many(Vec<u8>),
}

impl Concatenation {
    fn load(folder: &Folder, files: &[usize]) -> Result<Concatenation, FileError> {
        if let [index] = files {
            return load(folder, *index).map(Concatenation::One);
        }
        let len = files.iter().map(|index| folder.manifest.entry(*index).len as usize).sum();
        let mut bytes = Vec::with_capacity(len);
        for index in files {
            bytes.extend_from_slice(&load(folder, *index)?);
        }
        Ok(Concatenation::Many(bytes))
    }

    fn check_unchanged(&self) -> Result<(), FileError> {
        match self {
            Concatenation::One(loaded) => loaded.check_unchanged(),
            Concatenation::Many(_) => Ok(()),
        }
    }
}

impl Deref for Concatenation {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Concatenation::One(loaded) => loaded,
            Concatenation::Many(bytes) => bytes,
        }
    }
}

/// Reads a file again, which must have its version still.
fn load(folder: &Folder, index: usize) -> Result<Loaded, FileError> {
    let input = Input::at(folder.place(index));
    let bytes = open_input(&input)?.whole()?.loaded()?;
    match Version::of(&bytes) == folder.manifest.entry(index).version {
        true => Ok(bytes),
        false => Err(FileError::read(&input, io::Error::other("it was changed while it was read; try again"))),
    }
}
