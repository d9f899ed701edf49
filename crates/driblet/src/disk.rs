//! Reads, copies and flushes whole files.

use std::fs::File;
use std::io::{self, Read, Write};

use driblet_core::{Version, VersionHasher};

/// Bytes that one call reads.
const PIECE: usize = 256 << 10;

/// The version and the length of a file.
pub(crate) fn hash(file: &mut File) -> io::Result<(Version, u64)> {
    each_piece(file, |_| Ok(()))
}

/// Copies a file, as a reference to the same blocks where the file system can do that. Fails if the file has another
/// version.
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
fn each_piece(file: &mut File, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<(Version, u64)> {
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

fn clone(from: &File, into: &File) -> bool {
    #[cfg(target_os = "linux")]
    return rustix::fs::ioctl_ficlone(into, from).is_ok();
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (from, into);
        false
    }
}
