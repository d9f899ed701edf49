use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use driblet_core::directory::{
    DirectoryDelta, DirectoryDeltaError, Manifest, ManifestLimits, PartError, PartsDecoder, PartsEvent, PlannedPart,
};
use driblet_core::{DecodeError, Version};

use super::error::DirectoryError;
use super::folder::Folder;
use super::new_folder::{Destination, NewFolder};
use super::options::DirectoryOptions;
use crate::client::PathProblem;
use crate::disk::{LastFile, copy_version};
use crate::files::read::{OpenInput, open_input};
use crate::files::{FileError, Input};

/// Bytes of the delta that one call reads.
const PIECE: usize = 64 << 10;

/// The result of [`patch_directory`].
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct PatchedDirectory {
    /// The version of the new directory.
    pub version: Version,
    /// Files of the new directory.
    pub files: usize,
    /// Bytes of the files of the new directory.
    pub len: u64,
    /// Distinct files that the delta brought.
    pub new_files: usize,
    /// Bytes of these files.
    pub new_len: u64,
}

/// Applies a delta to the directory `old`, and makes the new directory at `new`, where nothing or an empty folder is. It
/// appears in one durable step, after every byte is verified. `old` is not changed.
///
/// See [`diff_directory`](crate::diff_directory) for an example.
///
/// # Errors
/// [`DirectoryError::OtherDirectory`] if the delta was made from other files. [`DirectoryError::Apply`] and
/// [`DirectoryError::ApplyPart`] if the delta is invalid. [`DirectoryError::Path`] if a name cannot be written, or is
/// one that no directory may have. After any error `new` is as it was.
pub fn patch_directory(
    old: impl AsRef<Path>,
    delta: &Input,
    new: impl AsRef<Path>,
    options: &DirectoryOptions,
) -> Result<PatchedDirectory, DirectoryError> {
    let name = new.as_ref();
    let unwritten = |error| FileError::write(name, error);
    let destination = Destination::at(name).map_err(unwritten)?;
    let mut stream = open_input(delta)?;
    let old = Folder::read(old.as_ref(), options)?;
    let (start, rest) = read_start(&mut stream, delta)?;
    let (new, parts) = apply(&start, &old, delta)?;
    check_paths(&new, options)?;
    let patched = PatchedDirectory {
        version: start.target,
        files: new.len(),
        len: new.total_len(),
        new_files: parts.iter().map(|part| part.files.len()).sum(),
        new_len: parts.iter().map(|part| part.len).sum(),
    };
    let folder = destination.begin().map_err(unwritten)?;
    let mut patching = Patching { name, old: &old, new: Arc::new(new), folder, made: HashMap::new() };
    let decoder = PartsDecoder::new(parts, Some(old.manifest.clone()), patching.new.clone());
    let written = patching.write_parts(decoder, rest, &mut stream, delta);
    if matches!(written, Err(DirectoryError::ApplyPart { .. })) && old.has_changed() {
        return Err(DirectoryError::Changed { folder: old.name().to_path_buf() });
    }
    written?;
    patching.write_others()?;
    patching.folder.commit().map_err(unwritten)?;
    Ok(patched)
}

/// Reads a directory delta up to its parts. Gives the bytes that were read of them, too.
fn read_start(stream: &mut OpenInput, delta: &Input) -> Result<(DirectoryDelta, Vec<u8>), DirectoryError> {
    let unapplied = |source| DirectoryError::Apply { delta: delta.clone(), source };
    let (mut bytes, mut piece, mut next) = (Vec::new(), vec![0; PIECE], 0);
    loop {
        let read = stream.read(&mut piece)?;
        bytes.extend_from_slice(&piece[..read]);
        // Parsed anew whenever there are twice as many bytes, so that the time is linear.
        if read != 0 && bytes.len() < next {
            continue;
        }
        next = 2 * bytes.len();
        match DirectoryDelta::parse(&bytes).map_err(unapplied)? {
            Some((start, len)) => return Ok((start, bytes.split_off(len))),
            None if read == 0 => return Err(unapplied(DirectoryDeltaError::CutOff)),
            None => {}
        }
    }
}

fn apply(start: &DirectoryDelta, old: &Folder, delta: &Input) -> Result<(Manifest, Vec<PlannedPart>), DirectoryError> {
    let is_same = start.manifest_delta.is_empty();
    start.apply(Some(&old.manifest), ManifestLimits::default()).map_err(|source| match source {
        DirectoryDeltaError::OtherTarget { .. } if !is_same => DirectoryError::Apply { delta: delta.clone(), source },
        DirectoryDeltaError::ManifestDelta(DecodeError::WrongBasis { .. })
        | DirectoryDeltaError::OtherTarget { .. } => {
            DirectoryError::OtherDirectory { delta: delta.clone(), folder: old.name().to_path_buf() }
        }
        source => DirectoryError::Apply { delta: delta.clone(), source },
    })
}

/// Checks the names of all new files before the first one is written.
fn check_paths(new: &Manifest, options: &DirectoryOptions) -> Result<(), DirectoryError> {
    for entry in new.entries() {
        let is_hidden = !options.hidden && entry.path.split('/').any(|part| part.starts_with('.'));
        let problem = PathProblem::of(entry.path).or(is_hidden.then_some(PathProblem::Hidden));
        if let Some(source) = problem {
            return Err(DirectoryError::Path { path: entry.path.to_owned(), source });
        }
    }
    Ok(())
}

/// A new directory that is being written.
struct Patching<'a> {
    /// The new directory, as it was given.
    name: &'a Path,
    old: &'a Folder,
    new: Arc<Manifest>,
    folder: NewFolder,
    /// The files that the delta brought, by version.
    made: HashMap<Version, usize>,
}

impl Patching<'_> {
    /// Writes the files that the delta brings.
    fn write_parts(
        &mut self,
        mut decoder: PartsDecoder,
        rest: Vec<u8>,
        stream: &mut OpenInput,
        delta: &Input,
    ) -> Result<(), DirectoryError> {
        let unapplied = |source: PartError| DirectoryError::ApplyPart { delta: delta.clone(), source };
        decoder.handle_input(&rest);
        drop(rest);
        let (mut piece, mut basis) = (vec![0; PIECE], Vec::new());
        let (mut held, mut open): (LastFile, Option<File>) = (LastFile::default(), None);
        loop {
            match decoder.poll_event().map_err(unapplied)? {
                PartsEvent::NeedInput => match stream.read(&mut piece)? {
                    0 => decoder.handle_end(),
                    read => decoder.handle_input(&piece[..read]),
                },
                PartsEvent::NeedBasis { file, range } => {
                    basis.resize((range.end - range.start) as usize, 0);
                    let read = held.read_at(file, &mut basis, range.start, || self.old.open(file));
                    read.map_err(|error| FileError::read(&Input::at(self.old.place(file)), error))?;
                    decoder.handle_basis(&basis);
                }
                PartsEvent::Output { file, bytes, is_last } => {
                    let mut into = match open.take() {
                        Some(into) => into,
                        None => self.create(file)?,
                    };
                    into.write_all(bytes).map_err(|error| FileError::write(self.name, error))?;
                    if is_last {
                        self.made.insert(self.new.entry(file).version, file);
                    } else {
                        open = Some(into);
                    }
                }
                PartsEvent::Done => return Ok(()),
            }
        }
    }

    /// Writes all other files: empty ones, files of the old directory, and copies of those that the delta brought.
    fn write_others(&mut self) -> Result<(), DirectoryError> {
        let new = self.new.clone();
        for (index, entry) in new.entries().enumerate() {
            let made = self.made.get(&entry.version).copied();
            if made == Some(index) {
                continue;
            }
            let mut into = self.create(index)?;
            if entry.len == 0 {
                continue;
            }
            let from = match (made, self.old.find(&entry.version)) {
                (Some(made), _) => Some((self.name.join(new.entry(made).path), self.folder.open(new.entry(made).path))),
                (None, Some(old)) => Some((self.old.place(old), self.old.open(old))),
                // Every version of the new manifest is in a part or in the old manifest.
                (None, None) => None,
            };
            let (path, from) =
                from.unwrap_or_else(|| (self.name.join(entry.path), Err(io::ErrorKind::NotFound.into())));
            let copied = from.and_then(|mut from| copy_version(&mut from, &mut into, &entry.version));
            copied.map_err(|source| DirectoryError::Copy { path, source })?;
        }
        Ok(())
    }

    fn create(&mut self, index: usize) -> Result<File, DirectoryError> {
        let entry = self.new.entry(index);
        self.folder.create(entry.path, entry.executable).map_err(|error| match PathProblem::of_error(&error) {
            Some(source) => DirectoryError::Path { path: entry.path.to_owned(), source },
            None => FileError::write(self.name, error).into(),
        })
    }
}
