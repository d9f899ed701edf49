//! Finds out what a path names.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::write;

/// The most symbolic links that are followed, as in Linux.
const MAX_LINKS: usize = 40;
/// The mode of a folder such as /tmp: every user may write, and remove only their own files.
const SHARED: u32 = 0o1002;

/// What a path leads to.
#[derive(Clone, Debug)]
pub(super) enum Target {
    /// A regular file, or a name that no file has.
    File(PathBuf),
    /// A named file of another kind.
    Special(PathBuf),
    /// A file that this process has open, and its descriptor.
    Open(Arc<File>, RawFd),
}

impl Target {
    /// The regular file, if it is one.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Target::File(path) => Some(path),
            Target::Special(_) | Target::Open(..) => None,
        }
    }

    /// Opens a target that is not replaced, to write into it.
    pub(super) fn open(&self) -> io::Result<File> {
        match self {
            Target::File(path) | Target::Special(path) => fs::OpenOptions::new().write(true).open(path),
            Target::Open(file, _) => file.try_clone(),
        }
    }
}

pub(super) fn target(path: &Path) -> io::Result<Target> {
    if path.as_os_str().is_empty() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "the name is empty"));
    }
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        if names_folder(&path) {
            return Err(folder());
        }
        let found = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return free(path),
            found => found?,
        };
        if !found.is_symlink() {
            return existing(path, &found);
        }
        if let Some(target) = of_process(&path)? {
            return Ok(target);
        }
        check_owner(&path, &found)?;
        path = folder_of(&path).join(fs::read_link(&path)?);
    }
    Err(io::Error::new(ErrorKind::InvalidInput, "too many symbolic links lead to each other"))
}

fn existing(path: PathBuf, found: &Metadata) -> io::Result<Target> {
    if found.is_dir() {
        return Err(folder());
    }
    Ok(if found.is_file() { Target::File(path) } else { Target::Special(path) })
}

/// A name that no file has.
fn free(path: PathBuf) -> io::Result<Target> {
    let folder = folder_of(&path);
    match fs::metadata(folder) {
        Ok(_) => Ok(Target::File(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let what = format!("the folder {} does not exist", folder.display());
            Err(io::Error::new(ErrorKind::NotFound, what))
        }
        Err(error) => Err(error),
    }
}

/// Resolves a link of the kernel to a file that a process has open, such as `/proc/self/fd/1`. The text of such a link
/// may be no path.
fn of_process(path: &Path) -> io::Result<Option<Target>> {
    let folder = fs::canonicalize(folder_of(path))?;
    let parts: Vec<&[u8]> = folder.as_os_str().as_bytes().split(|byte| *byte == b'/').collect();
    let (process, rest) = match parts.as_slice() {
        [b"", b"proc", process, rest @ ..] if process.iter().all(u8::is_ascii_digit) => (*process, rest),
        _ => return Ok(None),
    };
    let is_own = process == std::process::id().to_string().as_bytes() && rest.last() == Some(&&b"fd"[..]);
    let number = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    match number.filter(|_| is_own) {
        Some(number) => Ok(Some(Target::Open(write::descriptor(number)?.into(), number))),
        None => match fs::metadata(path)?.is_dir() {
            true => Err(self::folder()),
            false => Ok(Some(Target::Special(path.to_path_buf()))),
        },
    }
}

/// Refuses a link of another user in a folder that every user may write to. Linux refuses such links too
/// (`fs.protected_symlinks`), but only when the kernel follows them.
fn check_owner(path: &Path, link: &Metadata) -> io::Result<()> {
    let folder = fs::metadata(folder_of(path))?;
    let own = rustix::process::geteuid().as_raw();
    if folder.mode() & SHARED == SHARED && link.uid() != own && link.uid() != folder.uid() {
        let what = format!("{} is another user's link in a folder that every user may write to", path.display());
        return Err(io::Error::new(ErrorKind::PermissionDenied, what));
    }
    Ok(())
}

/// Whether a path ends so that it names a folder. `Path` would ignore such an end.
fn names_folder(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    matches!(bytes, b"." | b"..") || [&b"/"[..], b"/.", b"/.."].iter().any(|end| bytes.ends_with(end))
}

fn folder() -> io::Error {
    io::Error::new(ErrorKind::IsADirectory, "it names a folder; name a file in it")
}

/// The folder that a file lies in.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
