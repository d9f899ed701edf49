//! The files that a command reads.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, SeekFrom};
use std::ops::Deref;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use driblet_core::{Version, VersionHasher};
use memmap2::Mmap;
use tempfile::SpooledTempFile;

use crate::closed;
use crate::failure::Failure;

/// Bytes of an input that are kept in memory. A longer stream goes to a temporary file, a longer file is read where it is.
const IN_MEMORY: usize = 64 << 20;
/// A longer file is mapped where all of it must be in memory.
const MAPPED: u64 = 256 << 20;
/// Bytes hashed at once.
const PIECE: usize = 1 << 20;

/// What else standard input is called.
const STDIN_NAMES: [&str; 3] = ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

/// Whether a path means standard input.
fn is_stdin(path: &Path) -> bool {
    path == "-"
}

/// What can be read once cannot be two inputs.
pub(crate) fn check_distinct(one: &Path, other: &Path) -> Result<(), Failure> {
    if is_stdin(one) && is_stdin(other) {
        return Err(Failure::usage("- can be given once: standard input is one file"));
    }
    let stream = |path: &Path| {
        let found = if is_stdin(path) { stdin().and_then(|file| file.metadata()) } else { fs::metadata(path) };
        let found = found.ok().filter(|found| found.file_type().is_fifo() || found.file_type().is_socket());
        found.map(|found| (found.dev(), found.ino()))
    };
    if stream(one).is_some_and(|id| Some(id) == stream(other)) {
        let (one, other) = (one.display(), other.display());
        return Err(Failure::usage(format!("{one} and {other} are the same stream, which can be read once")));
    }
    Ok(())
}

/// An input that is open.
pub(crate) struct Input {
    name: PathBuf,
    file: File,
    /// How long it is and when it was changed, if it is a regular file that we may read anywhere.
    before: Option<State>,
}

/// A regular file's length, and when it and what is known of it were changed.
type State = (u64, i64, i64, i64, i64);

impl Input {
    pub(crate) fn open(path: &Path) -> Result<Input, Failure> {
        let open = || {
            let file = if is_stdin(path) { stdin()? } else { open(path)? };
            let found = file.metadata()?;
            if found.is_dir() {
                return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder; name a file in it"));
            }
            // Files of /proc say that they are empty.
            let is_addressed = found.is_file() && found.len() != 0 && !is_stdin(path);
            Ok(Input { name: path.to_path_buf(), file, before: is_addressed.then(|| state(&found)) })
        };
        open().map_err(|error| Failure::file("read", path, &error))
    }

    /// The whole input, to be read at any place.
    pub(crate) fn whole(self) -> Result<Whole, Failure> {
        let Input { name, file, before } = self;
        let watched = before.map(|before| Watched { name: name.clone(), before });
        if before.is_some_and(|(len, ..)| IN_MEMORY as u64 <= len) {
            return Ok(Whole { name, bytes: Bytes::File(file), watched });
        }
        // To its end, wherever that is: files of /sys say that they are longer than they are.
        let bytes = spool(Patient(&file)).map_err(|error| Failure::file("read", &name, &error))?;
        watched.map_or(Ok(()), |watched| watched.check(&file))?;
        Ok(Whole { name, bytes, watched: None })
    }

    /// Reads on.
    pub(crate) fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Failure> {
        Patient(&self.file).read(bytes).map_err(|error| Failure::file("read", &self.name, &error))
    }
}

/// Every byte of an input.
pub(crate) struct Whole {
    name: PathBuf,
    bytes: Bytes,
    watched: Option<Watched>,
}

enum Bytes {
    Memory(Vec<u8>),
    /// A long regular file, which others may change; or a temporary one, which nobody else has.
    File(File),
}

impl Whole {
    pub(crate) fn len(&self) -> Result<u64, Failure> {
        match &self.bytes {
            Bytes::Memory(bytes) => Ok(bytes.len() as u64),
            Bytes::File(file) => file.metadata().map(|found| found.len()).map_err(|error| self.unread(&error)),
        }
    }

    /// Fills `into` from `offset`.
    pub(crate) fn read_at(&self, into: &mut [u8], offset: u64) -> Result<(), Failure> {
        match &self.bytes {
            Bytes::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let held = start.checked_add(into.len()).and_then(|end| bytes.get(start..end));
                into.copy_from_slice(held.ok_or_else(|| self.unread(&ErrorKind::UnexpectedEof.into()))?);
                Ok(())
            }
            Bytes::File(file) => file.read_exact_at(into, offset).map_err(|error| self.unread(&error)),
        }
    }

    /// Hands out all bytes, in order.
    pub(crate) fn each(&self, mut take: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let len = self.len()?;
        let mut piece = vec![0; PIECE.min(usize::try_from(len).unwrap_or(PIECE))];
        for offset in (0..len).step_by(PIECE) {
            let piece = &mut piece[..(len - offset).min(PIECE as u64) as usize];
            self.read_at(piece, offset)?;
            take(piece)?;
        }
        Ok(())
    }

    /// The version that it is.
    pub(crate) fn version(&self) -> Result<Version, Failure> {
        let mut hasher = VersionHasher::new();
        self.each(|bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
        Ok(hasher.finalize())
    }

    /// All bytes in memory: read, or mapped where they are many.
    pub(crate) fn loaded(self) -> Result<Loaded, Failure> {
        let file = match self.bytes {
            Bytes::Memory(bytes) => return Ok(Loaded { pages: Pages::Read(bytes), mapped: None }),
            Bytes::File(file) => file,
        };
        let pages = load(&file).map_err(|error| Failure::file("read", &self.name, &error))?;
        let Some(watched) = self.watched else { return Ok(Loaded { pages, mapped: None }) };
        watched.check(&file)?;
        let is_mapped = matches!(pages, Pages::Mapped(_));
        Ok(Loaded { pages, mapped: is_mapped.then_some((watched, file)) })
    }

    fn unread(&self, error: &io::Error) -> Failure {
        Failure::file("read", &self.name, error)
    }
}

/// An input's bytes in memory.
pub(crate) struct Loaded {
    pages: Pages,
    mapped: Option<(Watched, File)>,
}

enum Pages {
    Read(Vec<u8>),
    Mapped(Mmap),
}

impl Loaded {
    /// Fails where bytes were changed after they were mapped.
    pub(crate) fn check_mapped(&self) -> Result<(), Failure> {
        self.mapped.as_ref().map_or(Ok(()), |(watched, file)| watched.check(file))
    }
}

/// A file that others may write to.
struct Watched {
    name: PathBuf,
    before: State,
}

impl Watched {
    /// Fails where it was changed since it was opened: what was read is then of no version that ever was.
    fn check(&self, file: &File) -> Result<(), Failure> {
        let unread = |error| Failure::file("read", &self.name, &error);
        if state(&file.metadata().map_err(unread)?) == self.before {
            return Ok(());
        }
        Err(unread(io::Error::other("it was changed while it was read; try again when nothing writes to it")))
    }
}

impl Deref for Loaded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.pages {
            Pages::Read(bytes) => bytes,
            Pages::Mapped(map) => map,
        }
    }
}

fn load(file: &File) -> io::Result<Pages> {
    let len = file.metadata()?.len();
    if len <= MAPPED {
        let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
        let mut file = file;
        io::Seek::seek(&mut file, SeekFrom::Start(0))?;
        file.read_to_end(&mut bytes)?;
        return Ok(Pages::Read(bytes));
    }
    // SAFETY: the map is read-only and private to this process, which ends with the command. Bytes that another process changes meanwhile
    // may make a wrong delta, which `check_mapped` refuses. A file that is cut short ends this process with a signal, as the help says.
    #[allow(unsafe_code)]
    let map = unsafe { Mmap::map(file)? };
    Ok(Pages::Mapped(map))
}

/// A stream's bytes, to its end.
fn spool(mut stream: impl Read) -> io::Result<Bytes> {
    let mut spool = SpooledTempFile::new(IN_MEMORY);
    io::copy(&mut stream, &mut spool)?;
    Ok(match spool.into_inner() {
        tempfile::SpooledData::InMemory(bytes) => Bytes::Memory(bytes.into_inner()),
        tempfile::SpooledData::OnDisk(file) => Bytes::File(file),
    })
}

/// Waits for bytes also where another process made the stream one that does not.
struct Patient<R>(R);

impl<R: Read> Read for Patient<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(Duration::from_millis(10)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

fn stdin() -> io::Result<File> {
    closed::stdin()?;
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

fn open(path: &Path) -> io::Result<File> {
    if STDIN_NAMES.iter().any(|name| path == *name) {
        closed::stdin()?;
    }
    match File::open(path) {
        // A socket cannot be opened by its name, not even by /dev/stdin.
        Err(error) if fs::metadata(path).is_ok_and(|found| found.file_type().is_socket()) => {
            let (stdin, found) = (stdin()?, fs::metadata(path)?);
            let held = stdin.metadata()?;
            if (held.dev(), held.ino()) == (found.dev(), found.ino()) { Ok(stdin) } else { Err(error) }
        }
        opened => opened,
    }
}

fn state(found: &Metadata) -> State {
    (found.len(), found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec())
}
