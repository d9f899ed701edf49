use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, SpooledTempFile};

use super::flush::Flusher;
use super::resolve::{Target, folder_of};
use super::{attributes, write};

/// Bytes that are staged in memory where there is no folder for them; more go to a temporary file.
const IN_MEMORY: usize = 16 << 20;
/// Before the random part of a staging file's name. Short: what it replaces may have as long a name as the file system allows.
const PREFIX: &str = ".driblet-";

/// New bytes that are not the file yet. Dropped without [`commit`](Staged::commit) they are gone, and all is as it was.
pub struct Staged(Way);

/// Where the bytes are, and how they become the file.
enum Way {
    /// In the folder of the file, whose name they take.
    Replace(NamedTempFile, Flusher, PathBuf),
    /// Elsewhere: they are written over the file's bytes.
    Over(SpooledTempFile, PathBuf),
    /// Elsewhere: they are written into what is no regular file.
    Into(SpooledTempFile, Target),
}

impl Staged {
    pub(super) fn new(target: &Target) -> io::Result<Staged> {
        let elsewhere = || SpooledTempFile::new(IN_MEMORY);
        let Some(path) = target.file() else { return Ok(Staged(Way::Into(elsewhere(), target.clone()))) };
        match beside(path) {
            Ok(file) => Ok(Staged(Way::Replace(file, Flusher::default(), path.to_path_buf()))),
            Err(error) if can_be_written_over(path, &error) => Ok(Staged(Way::Over(elsewhere(), path.to_path_buf()))),
            Err(error) => {
                let folder = folder_of(path).display();
                Err(io::Error::new(error.kind(), format!("no file can be made in {folder}: {}", said(&error))))
            }
        }
    }

    /// Makes the bytes the file, durably.
    ///
    /// # Errors
    /// The file is as it was, unless the error says otherwise.
    pub fn commit(self) -> io::Result<()> {
        match self.0 {
            Way::Replace(file, flusher, path) => {
                flusher.finish()?;
                replace(&path, file)
            }
            Way::Over(mut bytes, path) => {
                let len = bytes.stream_position()?;
                bytes.rewind()?;
                write::over(&path, bytes, len)
            }
            Way::Into(mut bytes, target) => {
                bytes.rewind()?;
                write::pour(&mut bytes, &mut target.open()?)
            }
        }
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Way::Over(file, _) | Way::Into(file, _) => file.write(bytes),
            Way::Replace(file, flusher, _) => {
                let len = file.as_file_mut().write(bytes)?;
                flusher.wrote(file.as_file(), len)?;
                Ok(len)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A staging file in the same folder. Until it is complete nobody sees more of it than of what it replaces.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let mode = if fs::symlink_metadata(path).is_ok() { 0o600 } else { 0o666 };
    tempfile::Builder::new().prefix(PREFIX).permissions(Permissions::from_mode(mode)).tempfile_in(folder_of(path))
}

/// Whether the folder takes no new file, while what is there may be written.
fn can_be_written_over(path: &Path, error: &io::Error) -> bool {
    // The folders of /proc say that they do not exist.
    let refused =
        matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotFound);
    refused && OpenOptions::new().write(true).open(path).is_ok()
}

fn replace(path: &Path, new: NamedTempFile) -> io::Result<()> {
    let old = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Ok(found) if !found.is_file() => {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file any more"));
        }
        found => Some(found?),
    };
    if let Some(old) = &old {
        attributes::keep(path, old, new.as_file())?;
    }
    new.as_file().sync_all()?;
    match new.persist(path) {
        Ok(_) => sync_folder(folder_of(path)),
        Err(refused) if old.is_some() => {
            let (mut file, error) = (refused.file.as_file().try_clone()?, refused.error);
            // A file that is mounted, or another user's in a folder such as /tmp.
            let name_is_fixed = matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ResourceBusy);
            if !name_is_fixed || OpenOptions::new().write(true).open(path).is_err() {
                return Err(error);
            }
            let len = file.metadata()?.len();
            file.rewind()?;
            write::over(path, file, len)
        }
        Err(refused) => Err(refused.error),
    }
}

/// Makes a rename durable, where the folder can be opened at all.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Not every file system has it for folders, and one may be allowed to write a folder that one may not read.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput) => Ok(()),
        synced => synced,
    }
}

/// What the system said, without the name of a file that was never made.
fn said(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" at path ").map_or(text.as_str(), |(said, _)| said).to_owned()
}
