//! Writing into what is not replaced.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

/// Bytes copied at once.
const PIECE: usize = 128 << 10;

/// A second handle to what this process has open under `number`: with the same position, and for a socket the only way.
pub(super) fn descriptor(number: RawFd) -> io::Result<File> {
    if number < 0 {
        return Err(ErrorKind::InvalidInput.into());
    }
    // SAFETY: the number is not negative, and is used for this one call, which copies it. A number that is not open is an error of the call;
    // one that is open stays so, since the process closes no file that others named by its number.
    #[allow(unsafe_code)]
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(File::from(borrowed.try_clone_to_owned()?))
}

/// Copies all bytes, also where another process made `into` one that does not wait.
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

/// Writes over a regular file that cannot be replaced. Nothing is changed before there is room.
pub(super) fn over(path: &Path, mut from: impl Read, len: u64) -> io::Result<()> {
    let mut into = OpenOptions::new().write(true).open(path)?;
    let old = into.metadata()?.len();
    if old < len {
        let reserved = fallocate(&into, FallocateFlags::empty(), 0, len);
        // Any other error says that this file system cannot promise room.
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
    written.map_err(|error| {
        let what = format!("it could only be written in place, and is now incomplete: {error}");
        io::Error::new(error.kind(), what)
    })
}
