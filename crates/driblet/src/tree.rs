//! Access to the files below a folder. No symbolic link below it is followed.
//!
//! Each part of a path is opened by itself, relative to the part before. So no link leads out, whatever other programs
//! do at the same time.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;

use cap_std::fs::{Dir, Metadata, MetadataExt};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use crate::fingerprint::{Fingerprint, nanoseconds, since_epoch};

/// A folder, and the folders on the way to the last path.
pub(crate) struct Tree {
    root: Dir,
    /// The open folders on the way to the last path, with their names.
    open: Vec<(String, Dir)>,
    /// The folder that was missing at the last look. The next paths are often below it too.
    missing: Option<String>,
}

impl Tree {
    pub(crate) fn open(path: &Path) -> io::Result<Tree> {
        // Opened by the system, since a handle of the library cannot be flushed.
        let root = File::open(path)?;
        if !root.metadata()?.is_dir() {
            return Err(ErrorKind::NotADirectory.into());
        }
        Ok(Tree { root: Dir::from_std_file(root), open: Vec::new(), missing: None })
    }

    /// The same folder, for another thread.
    pub(crate) fn again(&self) -> io::Result<Tree> {
        Ok(Tree { root: self.root.try_clone()?, open: Vec::new(), missing: None })
    }

    pub(crate) fn root(&self) -> &Dir {
        &self.root
    }

    /// What stands at a path; `None` if nothing does.
    pub(crate) fn look(&mut self, path: &str) -> io::Result<Option<Metadata>> {
        let (folder, name) = match self.parent(path) {
            Err(error) if is_absence(&error) => return Ok(None),
            parent => parent?,
        };
        match folder.symlink_metadata(name) {
            Err(error) if is_absence(&error) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Opens a regular file to read it.
    pub(crate) fn file(&mut self, path: &str) -> io::Result<File> {
        let (folder, name) = self.parent(path)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(openat(folder, name, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
        }
        Ok(file)
    }

    /// The folder that a path lies in, and the path's last part.
    pub(crate) fn parent<'p>(&mut self, path: &'p str) -> io::Result<(&Dir, &'p str)> {
        self.enter(path, false)
    }

    /// As [`parent`](Tree::parent), after making the folders that are missing.
    pub(crate) fn made_parent<'p>(&mut self, path: &'p str) -> io::Result<(&Dir, &'p str)> {
        self.enter(path, true)
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&mut self, path: &str) -> io::Result<()> {
        if self.look(path)?.is_none_or(|found| found.is_dir()) {
            return Ok(());
        }
        let removed = self.parent(path).and_then(|(folder, name)| folder.remove_file(name));
        match removed {
            Err(error) if is_absence(&error) => Ok(()),
            removed => removed,
        }
    }

    /// Removes the folder at a path, if it is an empty folder. Gives whether it was.
    pub(crate) fn remove_empty(&mut self, path: &str) -> io::Result<bool> {
        let removed = self.parent(path).and_then(|(folder, name)| folder.remove_dir(name));
        // An open folder may be the removed one.
        self.open.clear();
        match removed {
            Ok(()) => Ok(true),
            Err(error) if is_absence(&error) || error.kind() == ErrorKind::DirectoryNotEmpty => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Forgets the open folders, which other calls may have removed.
    pub(crate) fn forget(&mut self) {
        self.open.clear();
        self.missing = None;
    }

    fn enter<'p>(&mut self, path: &'p str, make: bool) -> io::Result<(&Dir, &'p str)> {
        let (folders, name) = path.rsplit_once('/').map_or((None, path), |(folders, name)| (Some(folders), name));
        let is_below = |missing: &str| {
            let rest = folders.and_then(|folders| folders.strip_prefix(missing));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !make && self.missing.as_deref().is_some_and(is_below) {
            return Err(ErrorKind::NotFound.into());
        }
        self.missing = None;
        let mut depth = 0;
        for part in folders.into_iter().flat_map(|folders| folders.split('/')) {
            if self.open.get(depth).is_none_or(|(open, _)| open != part) {
                self.open.truncate(depth);
                let above = self.open.last().map_or(&self.root, |(_, dir)| dir);
                let dir = match open_folder(above, part, make) {
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        let names = path.split('/').take(depth + 1);
                        self.missing = Some(names.collect::<Vec<_>>().join("/"));
                        return Err(error);
                    }
                    opened => opened?,
                };
                self.open.push((part.to_owned(), dir));
            }
            depth += 1;
        }
        self.open.truncate(depth);
        Ok((self.open.last().map_or(&self.root, |(_, dir)| dir), name))
    }
}

/// Opens a folder in a folder. A symbolic link is not followed.
pub(crate) fn open_folder(above: &Dir, name: &str, make: bool) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || openat(above, name, flags, Mode::empty()).map_err(io::Error::from);
    let opened = match open() {
        Err(error) if make && error.kind() == ErrorKind::NotFound => {
            match above.create_dir(name) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            open()
        }
        opened => opened,
    };
    opened.map(|folder| Dir::from_std_file(File::from(folder)))
}

/// Everything in a folder that is no folder, by path.
#[derive(Default)]
pub(crate) struct FilesAndLinks {
    pub(crate) files: Vec<String>,
    pub(crate) links: Vec<String>,
    /// Something else, or a name that is not UTF-8.
    pub(crate) special: Option<String>,
}

/// Lists everything in a folder.
pub(crate) fn files_and_links(tree: &Tree) -> io::Result<FilesAndLinks> {
    let mut found = FilesAndLinks::default();
    walk(tree.root(), "", &mut found)?;
    Ok(found)
}

fn walk(folder: &Dir, path: &str, found: &mut FilesAndLinks) -> io::Result<()> {
    for entry in folder.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        let Some(name) = name.to_str() else {
            found.special.get_or_insert_with(|| below(&name.to_string_lossy()));
            continue;
        };
        let (below, file_type) = (below(name), entry.file_type()?);
        if file_type.is_dir() {
            walk(&open_folder(folder, name, false)?, &below, found)?;
        } else if file_type.is_symlink() {
            found.links.push(below);
        } else if file_type.is_file() {
            found.files.push(below);
        } else {
            found.special.get_or_insert(below);
        }
    }
    Ok(())
}

/// Whether an error says that nothing stands at a path: also if a part of it is a file or a link.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    let is_link = error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    is_link || matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// As [`Fingerprint::of`], for the metadata of cap-std.
pub(crate) fn fingerprint_of(data: &Metadata) -> Fingerprint {
    Fingerprint {
        device: data.dev(),
        inode: data.ino(),
        len: data.len(),
        modified: nanoseconds(data.mtime(), data.mtime_nsec()),
        changed: nanoseconds(data.ctime(), data.ctime_nsec()),
        born: data.created().map_or(0, |time| since_epoch(time.into_std())),
    }
}

/// Whether the owner may execute a file.
pub(crate) fn is_executable(data: &Metadata) -> bool {
    data.mode() & 0o100 != 0
}
