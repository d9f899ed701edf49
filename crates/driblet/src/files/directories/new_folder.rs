use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};
use tempfile::TempDir;

use crate::disk::flush_all;
use crate::tree::Tree;

/// A path at which a folder can appear: nothing, or an empty folder.
pub(super) struct Destination {
    path: PathBuf,
    /// The permissions of the empty folder.
    permissions: Option<Permissions>,
}

impl Destination {
    /// Looks at a path. Nothing is made.
    pub(super) fn at(path: &Path) -> io::Result<Destination> {
        let path = match path.canonicalize() {
            Err(error) if error.kind() == ErrorKind::NotFound => absent(path)?,
            path => path?,
        };
        let found = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Destination { path, permissions: None }),
            found => found?,
        };
        if !found.is_dir() {
            return Err(io::Error::new(
                ErrorKind::NotADirectory,
                "it is not a folder; name a folder that does not exist",
            ));
        }
        if fs::read_dir(&path)?.next().is_some() {
            let what = "it is a folder that is not empty; name one that does not exist, and rename it afterwards";
            return Err(io::Error::new(ErrorKind::DirectoryNotEmpty, what));
        }
        Ok(Destination { path, permissions: Some(found.permissions()) })
    }

    /// Begins the folder, beside its place.
    pub(super) fn begin(self) -> io::Result<NewFolder> {
        // The permissions that a new folder has by the umask.
        let mut temporary = tempfile::Builder::new();
        temporary.prefix(".driblet-").permissions(Permissions::from_mode(0o777));
        let folder = temporary.tempdir_in(self.path.parent().unwrap_or(Path::new("/")))?;
        let tree = Tree::open(folder.path())?;
        Ok(NewFolder { destination: self, folder, tree })
    }
}

/// The absolute path of a name that nothing has, in a folder that exists.
fn absent(path: &Path) -> io::Result<PathBuf> {
    if fs::symlink_metadata(path).is_ok() {
        return Err(io::Error::new(ErrorKind::NotFound, "it is a link that leads nowhere; remove it"));
    }
    let path: PathBuf = std::path::absolute(path)?.components().collect();
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    let found = folder.canonicalize().map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            io::Error::new(ErrorKind::NotFound, format!("the folder {} does not exist", folder.display()))
        }
        _ => error,
    })?;
    Ok(found.join(name))
}

/// A folder that is not in its place yet. If it is dropped without [`commit`](NewFolder::commit), it goes.
pub(super) struct NewFolder {
    destination: Destination,
    folder: TempDir,
    tree: Tree,
}

impl NewFolder {
    /// Makes a new file, and the folders on the way to it. No link is followed.
    pub(super) fn create(&mut self, path: &str, executable: bool) -> io::Result<File> {
        let (folder, name) = self.tree.made_parent(path)?;
        let mode = Mode::from_raw_mode(if executable { 0o755 } else { 0o644 });
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(folder, name, flags, mode)?))
    }

    /// Opens a file that was made.
    pub(super) fn open(&mut self, path: &str) -> io::Result<File> {
        self.tree.file(path)
    }

    /// Makes everything durable, and gives the folder its place in one step.
    pub(super) fn commit(self) -> io::Result<()> {
        let NewFolder { destination: Destination { path, permissions }, folder, .. } = self;
        let opened = File::open(folder.path())?;
        if let Some(permissions) = permissions {
            opened.set_permissions(permissions)?;
        }
        flush_all(&opened)?;
        // Fails if another program has put something there meanwhile.
        fs::rename(folder.path(), &path)?;
        // It no longer has the name under which it would be removed.
        let _ = folder.keep();
        match path.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }
}
