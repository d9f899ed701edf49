//! Reads inputs of any kind: regular files, pipes, sockets, and files of /proc and /sys.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, SeekFrom};
use std::ops::Deref;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;

use driblet_core::{Version, VersionHasher};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tempfile::SpooledTempFile;

use super::error::FileError;
use super::input::{Input, Place};
use crate::map::Map;

/// Bytes of an input that are kept in memory. A longer stream goes to a temporary file; a longer file is read where it
/// is.
const IN_MEMORY: usize = 64 << 20;
/// The longest file, in bytes, that is read into memory. A longer one is mapped.
const MAPPED: u64 = 256 << 20;
/// Bytes that are hashed with one call.
const PIECE: usize = 1 << 20;

/// Fails if two inputs are the same stream, which can be read once.
pub(super) fn check_distinct(one: &Input, other: &Input) -> Result<(), FileError> {
    let is_stdin_twice = one.0 == Place::Stdin && other.0 == Place::Stdin;
    if is_stdin_twice || stream_id(one).is_some_and(|id| Some(id) == stream_id(other)) {
        return Err(FileError::SameStream { one: one.clone(), other: other.clone() });
    }
    Ok(())
}

/// Opens an input.
pub(super) fn open_input(input: &Input) -> Result<OpenInput, FileError> {
    let open = || {
        let file = match &input.0 {
            Place::Path(path) => open(path)?,
            Place::Stdin => stdin()?,
        };
        let found = file.metadata()?;
        if found.is_dir() {
            return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder; name a file in it"));
        }
        // Files of /proc have a length of 0.
        let is_addressed = found.is_file() && found.len() != 0 && input.0 != Place::Stdin;
        Ok(OpenInput { input: input.clone(), file, before: is_addressed.then(|| stamp(&found)) })
    };
    open().map_err(|error| FileError::read(input, error))
}

/// The device and inode of a pipe or socket.
fn stream_id(input: &Input) -> Option<(u64, u64)> {
    let found = match &input.0 {
        Place::Path(path) => fs::metadata(path),
        Place::Stdin => stdin().and_then(|file| file.metadata()),
    };
    let found = found.ok().filter(|found| found.file_type().is_fifo() || found.file_type().is_socket());
    found.map(|found| (found.dev(), found.ino()))
}

/// An open input.
pub(super) struct OpenInput {
    input: Input,
    file: File,
    /// The stamp of a regular file that can be read at any place.
    before: Option<FileStamp>,
}

/// The length of a regular file, and when its bytes and its metadata were changed.
type FileStamp = (u64, i64, i64, i64, i64);

impl OpenInput {
    /// The whole input, which can be read at any place.
    pub(super) fn whole(self) -> Result<Whole, FileError> {
        let OpenInput { input, file, before } = self;
        let watched = before.map(|before| WatchedFile { input: input.clone(), before });
        if before.is_some_and(|(len, ..)| IN_MEMORY as u64 <= len) {
            return Ok(Whole { input, bytes: InputBytes::File(file), watched });
        }
        // Up to the end of the file: files of /sys have another length than their metadata say.
        let bytes = spool(BlockingReader(&file)).map_err(|error| FileError::read(&input, error))?;
        watched.map_or(Ok(()), |watched| watched.check(&file))?;
        Ok(Whole { input, bytes, watched: None })
    }

    /// Reads the next bytes; 0 at the end.
    pub(super) fn read(&mut self, bytes: &mut [u8]) -> Result<usize, FileError> {
        BlockingReader(&self.file).read(bytes).map_err(|error| FileError::read(&self.input, error))
    }
}

/// All bytes of an input.
pub(super) struct Whole {
    input: Input,
    bytes: InputBytes,
    watched: Option<WatchedFile>,
}

enum InputBytes {
    Memory(Vec<u8>),
    /// A long regular file, which other programs may change, or a temporary file, which no other program has.
    File(File),
}

impl Whole {
    pub(super) fn len(&self) -> Result<u64, FileError> {
        match &self.bytes {
            InputBytes::Memory(bytes) => Ok(bytes.len() as u64),
            InputBytes::File(file) => file.metadata().map(|found| found.len()).map_err(|error| self.unread(error)),
        }
    }

    /// Fills `into` with the bytes from `offset` on.
    pub(super) fn read_at(&self, into: &mut [u8], offset: u64) -> Result<(), FileError> {
        match &self.bytes {
            InputBytes::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let held = start.checked_add(into.len()).and_then(|end| bytes.get(start..end));
                into.copy_from_slice(held.ok_or_else(|| self.unread(ErrorKind::UnexpectedEof.into()))?);
                Ok(())
            }
            InputBytes::File(file) => file.read_exact_at(into, offset).map_err(|error| self.unread(error)),
        }
    }

    /// Calls `take` with all bytes, in order, piece by piece.
    pub(super) fn each(&self, mut take: impl FnMut(&[u8]) -> Result<(), FileError>) -> Result<(), FileError> {
        let len = self.len()?;
        let mut piece = vec![0; PIECE.min(usize::try_from(len).unwrap_or(PIECE))];
        for offset in (0..len).step_by(PIECE) {
            let piece = &mut piece[..(len - offset).min(PIECE as u64) as usize];
            self.read_at(piece, offset)?;
            take(piece)?;
        }
        Ok(())
    }

    pub(super) fn version(&self) -> Result<Version, FileError> {
        let mut hasher = VersionHasher::new();
        self.each(|bytes| {
            hasher.update(bytes);
            Ok(())
        })?;
        Ok(hasher.finalize())
    }

    /// All bytes in memory. Many bytes are mapped instead of read.
    pub(super) fn loaded(self) -> Result<Loaded, FileError> {
        let file = match self.bytes {
            InputBytes::Memory(bytes) => return Ok(Loaded { bytes: LoadedBytes::Read(bytes), mapped: None }),
            InputBytes::File(file) => file,
        };
        let bytes = load(&file).map_err(|error| FileError::read(&self.input, error))?;
        let Some(watched) = self.watched else { return Ok(Loaded { bytes, mapped: None }) };
        watched.check(&file)?;
        let is_mapped = matches!(bytes, LoadedBytes::Mapped(_));
        Ok(Loaded { bytes, mapped: is_mapped.then_some((watched, file)) })
    }

    fn unread(&self, error: io::Error) -> FileError {
        FileError::read(&self.input, error)
    }
}

/// The bytes of an input, in memory.
pub(super) struct Loaded {
    bytes: LoadedBytes,
    mapped: Option<(WatchedFile, File)>,
}

enum LoadedBytes {
    Read(Vec<u8>),
    Mapped(Map),
}

impl Loaded {
    /// Fails if mapped bytes were changed since they were mapped.
    pub(super) fn check_unchanged(&self) -> Result<(), FileError> {
        self.mapped.as_ref().map_or(Ok(()), |(watched, file)| watched.check(file))
    }
}

impl Deref for Loaded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.bytes {
            LoadedBytes::Read(bytes) => bytes,
            LoadedBytes::Mapped(map) => map,
        }
    }
}

/// A file that other programs may write to.
struct WatchedFile {
    input: Input,
    before: FileStamp,
}

impl WatchedFile {
    /// Fails if the file was changed since it was opened: the bytes that were read may be from no single version then.
    fn check(&self, file: &File) -> Result<(), FileError> {
        let unread = |error| FileError::read(&self.input, error);
        if stamp(&file.metadata().map_err(unread)?) == self.before {
            return Ok(());
        }
        Err(unread(io::Error::other("it was changed while it was read; try again when no program writes to it")))
    }
}

fn load(file: &File) -> io::Result<LoadedBytes> {
    let len = file.metadata()?.len();
    if MAPPED < len {
        return Map::of(file).map(LoadedBytes::Mapped);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    let mut file = file;
    io::Seek::seek(&mut file, SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(LoadedBytes::Read(bytes))
}

/// All bytes of a stream.
fn spool(mut stream: impl Read) -> io::Result<InputBytes> {
    let mut spool = SpooledTempFile::new(IN_MEMORY);
    io::copy(&mut stream, &mut spool)?;
    Ok(match spool.into_inner() {
        tempfile::SpooledData::InMemory(bytes) => InputBytes::Memory(bytes.into_inner()),
        tempfile::SpooledData::OnDisk(file) => InputBytes::File(file),
    })
}

/// Waits for bytes, even if another process made the stream non-blocking.
struct BlockingReader<'a>(&'a File);

impl Read for BlockingReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    match poll(&mut [PollFd::new(self.0, PollFlags::IN)], None) {
                        Err(error) if error != Errno::INTR => return Err(error.into()),
                        _ => {}
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

fn stdin() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

fn open(path: &Path) -> io::Result<File> {
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

fn stamp(found: &Metadata) -> FileStamp {
    (found.len(), found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec())
}
