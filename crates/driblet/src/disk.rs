//! Reads, copies, removes and flushes whole files.

#[cfg(any(feature = "client", feature = "browser-sync-stream"))]
use std::fs::File;
#[cfg(feature = "client")]
use std::io::Write;
use std::io::{self, Read};

use driblet_core::{Version, VersionHasher};

/// Bytes that one call reads.
const PIECE: usize = 256 << 10;

/// The version and the length of a file, from where it is read next.
#[cfg(any(feature = "client", feature = "browser-sync-stream"))]
pub(crate) fn hash(file: &mut File) -> io::Result<(Version, u64)> {
    each_piece(file, |_| Ok(()))
}

/// Copies a file, as a reference to the same blocks where the file system can do that. Fails if the file has another
/// version.
#[cfg(feature = "client")]
pub(crate) fn copy_version(from: &mut File, into: &mut File, version: &Version) -> io::Result<()> {
    let (found, _) = match clone(from, into) {
        true => hash(from)?,
        false => each_piece(from, |bytes| into.write_all(bytes))?,
    };
    match found == *version {
        true => Ok(()),
        false => Err(io::Error::other("it was changed while it was read; try again when no program writes to it")),
    }
}

/// Makes everything on the file system of a folder durable.
#[cfg(feature = "client")]
pub(crate) fn flush_all(folder: &File) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return Ok(rustix::fs::syncfs(folder)?);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        rustix::fs::sync();
        Ok(())
    }
}

/// Passes on all bytes of a file. Gives their version and their number.
pub(crate) fn each_piece(
    file: &mut impl Read,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(Version, u64)> {
    let (mut hasher, mut len, mut bytes) = (VersionHasher::new(), 0, vec![0; PIECE]);
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok((hasher.finalize(), len)),
            read => {
                hasher.update(&bytes[..read]);
                take(&bytes[..read])?;
                len += read as u64;
            }
        }
    }
}

#[cfg(feature = "client")]
fn clone(from: &File, into: &File) -> bool {
    #[cfg(target_os = "linux")]
    return rustix::fs::ioctl_ficlone(into, from).is_ok();
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (from, into);
        false
    }
}

/// Removes a file, if it is there.
#[cfg(any(feature = "server", feature = "client"))]
pub(crate) fn remove(path: &std::path::Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The file of a numbered list that was read last. It stays open for the next read.
#[cfg(feature = "client")]
#[derive(Default)]
pub(crate) struct LastFile(Option<(usize, File)>);

#[cfg(feature = "client")]
impl LastFile {
    /// Fills `into` with the bytes of a file from an offset on. `open` opens the file, if it is not the last one.
    pub(crate) fn read_at(
        &mut self,
        index: usize,
        into: &mut [u8],
        at: u64,
        open: impl FnOnce() -> io::Result<File>,
    ) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        let file = match self.0.take() {
            Some((last, file)) if last == index => file,
            _ => open()?,
        };
        file.read_exact_at(into, at)?;
        self.0 = Some((index, file));
        Ok(())
    }
}
