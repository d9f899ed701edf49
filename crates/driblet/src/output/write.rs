//! Writes into targets that are not replaced.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::error::prevented;

/// Bytes that are copied with one call.
const PIECE: usize = 128 << 10;

/// A second handle to the file that this process has open under `number`, with the same position. A socket can be
/// opened in no other way.
pub(super) fn descriptor(number: RawFd) -> io::Result<File> {
    if number < 0 {
        return Err(ErrorKind::InvalidInput.into());
    }
    // SAFETY: the number is not negative, and is used for one call only, which copies it. If the number is not open,
    // the call fails. If it is open, it stays so: this process closes no file that was named by its number.
    #[allow(unsafe_code)]
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(File::from(borrowed.try_clone_to_owned()?))
}

/// Copies all bytes, even if another process made `into` non-blocking.
pub(super) fn pour(from: &mut impl Read, into: &mut File) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let len = match from.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read?,
        };
        if len == 0 {
            break;
        }
        let mut rest = &piece[..len];
        while !rest.is_empty() {
            match into.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(into, PollFlags::OUT)], None)?;
                }
                Err(error) => return Err(error),
            }
        }
    }
    if into.metadata()?.file_type().is_block_device() {
        into.sync_all()?;
    }
    Ok(())
}

/// Writes over a regular file that cannot be replaced. Room for the new bytes is reserved first.
pub(super) fn over(path: &Path, mut from: impl Read, len: u64) -> io::Result<()> {
    let mut into = OpenOptions::new().write(true).open(path)?;
    let old = into.metadata()?.len();
    if old < len {
        let reserved = fallocate(&into, FallocateFlags::empty(), 0, len);
        // Any other error says that this file system cannot reserve room.
        if let Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) = reserved {
            let _ = into.set_len(old);
            return Err(error.into());
        }
    }
    let written = pour(&mut from, &mut into).and_then(|()| {
        if len < old {
            into.set_len(len)?;
        }
        into.sync_all()
    });
    written.map_err(|error| prevented("it had to be written in place, and is incomplete now".to_owned(), error))
}
