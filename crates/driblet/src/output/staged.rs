use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Seek, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, SpooledTempFile};

use super::error::prevented;
use super::flush::Flusher;
use super::resolve::{Target, folder_of};
use super::{attributes, write};

/// Bytes that are staged in memory for a target that is not replaced. More bytes go to a temporary file.
const IN_MEMORY: usize = 16 << 20;
/// The begin of a staging file's name. It is short, so that the name fits the limit of the file system.
const PREFIX: &str = ".driblet-";

/// New bytes that are not the file yet. If they are dropped without [`commit`](Staged::commit), the file stays as it
/// was.
///
/// ```
/// use std::io::Write;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("settings.json");
/// std::fs::write(&path, "old")?;
/// let mut staged = driblet::output::Output::at(&path)?.stage()?;
/// staged.write_all(b"half of the new by")?;
/// drop(staged);
/// assert_eq!(std::fs::read(&path)?, b"old");
/// # std::io::Result::Ok(())
/// ```
#[derive(Debug)]
pub struct Staged(CommitPlan);

/// Where the bytes are, and how they become the file.
#[derive(Debug)]
enum CommitPlan {
    /// In the folder of the file. They are renamed to the name of the file.
    Replace(NamedTempFile, Flusher, PathBuf),
    /// Elsewhere. They are written over the bytes of the file.
    Over(SpooledTempFile, PathBuf),
    /// Elsewhere. They are written into a target that is not a regular file.
    Into(SpooledTempFile, Target),
}

impl Staged {
    pub(super) fn new(target: &Target) -> io::Result<Staged> {
        let elsewhere = || SpooledTempFile::new(IN_MEMORY);
        let Some(path) = target.file() else { return Ok(Staged(CommitPlan::Into(elsewhere(), target.clone()))) };
        match beside(path) {
            Ok(file) => Ok(Staged(CommitPlan::Replace(file, Flusher::default(), path.to_path_buf()))),
            Err(error) if can_be_written_over(path, &error) => {
                Ok(Staged(CommitPlan::Over(elsewhere(), path.to_path_buf())))
            }
            Err(error) => {
                let folder = folder_of(path).display();
                let system = io::Error::new(error.kind(), system_message(&error));
                Err(prevented(format!("no file can be made in {folder}"), system))
            }
        }
    }

    /// Makes the bytes the file, durably.
    ///
    /// # Errors
    /// After an error the file is as it was, unless the message says otherwise.
    pub fn commit(self) -> io::Result<()> {
        match self.0 {
            CommitPlan::Replace(file, flusher, path) => {
                flusher.finish()?;
                replace(&path, file)
            }
            CommitPlan::Over(mut bytes, path) => {
                let len = bytes.stream_position()?;
                bytes.rewind()?;
                write::over(&path, bytes, len)
            }
            CommitPlan::Into(mut bytes, target) => {
                bytes.rewind()?;
                write::pour(&mut bytes, &mut target.open()?)
            }
        }
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            CommitPlan::Over(file, _) | CommitPlan::Into(file, _) => file.write(bytes),
            CommitPlan::Replace(file, flusher, _) => {
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

/// A staging file in the same folder. Its permissions let no other user read it unless the new file is to be public.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let mode = if fs::symlink_metadata(path).is_ok() { 0o600 } else { 0o666 };
    tempfile::Builder::new().prefix(PREFIX).permissions(Permissions::from_mode(mode)).tempfile_in(folder_of(path))
}

/// Whether no file can be made in the folder, although the file itself may be written.
fn can_be_written_over(path: &Path, error: &io::Error) -> bool {
    // The folders of /proc give NotFound.
    let refused =
        matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotFound);
    refused && OpenOptions::new().write(true).open(path).is_ok()
}

fn replace(path: &Path, new: NamedTempFile) -> io::Result<()> {
    let old = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Ok(found) if !found.is_file() => {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is no longer a regular file"));
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
            // A mounted file, or a file of another user in a folder such as /tmp.
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

/// Makes a rename durable, if the folder can be opened.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // Some file systems cannot flush folders, and a folder that may be written may not be readable.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput) => Ok(()),
        synced => synced,
    }
}

/// The message of the system, without the name of the file that was not made, which `tempfile` adds.
fn system_message(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" at path ").map_or(text.as_str(), |(message, _)| message).to_owned()
}
