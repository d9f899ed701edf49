//! Finds out whether a process has a file open for writing, by a lease of the system.

use std::fs::File;
use std::io;

/// The fcntl(2) command that chooses the signal of a lease. The libc crate does not have it.
#[cfg(target_os = "linux")]
const F_SETSIG: libc::c_int = 10;

/// Whether a process has this file open for writing. `None` if the system cannot tell: the file belongs to another
/// user, it lies on a network, or the system is not Linux. `file` must be open for reading only.
///
/// The system grants a read lease (fcntl(2), `F_SETLEASE`) only if no process has the file open for writing. The lease
/// is returned at once. A process that opens the file meanwhile waits some microseconds.
#[cfg(target_os = "linux")]
pub(crate) fn has_writer(file: &File) -> Option<bool> {
    use std::os::fd::AsRawFd;
    // If a process opens the file meanwhile, the system sends a signal to this process. The default, SIGIO, would end
    // it. SIGURG is ignored.
    fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG).ok()?;
    match fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) {
        Ok(()) => {
            // Closing the file would return the lease too.
            let _ = fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK);
            Some(false)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(true),
        Err(_) => None,
    }
}

#[cfg(target_os = "linux")]
fn fcntl(file: std::os::fd::RawFd, command: libc::c_int, argument: libc::c_int) -> io::Result<()> {
    // SAFETY: these commands take one integer, touch no memory of this process, and fail cleanly on any descriptor.
    #[allow(unsafe_code)]
    let result = unsafe { libc::fcntl(file, command, argument) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Other systems cannot tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn has_writer(_: &File) -> Option<bool> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_seen_until_it_closes() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let open = |options: &mut std::fs::OpenOptions| options.open(&path).unwrap();
        let ours = open(File::options().read(true));
        let reader = open(File::options().read(true));
        if has_writer(&ours).is_none() {
            eprintln!("leases are not to be had here");
            return;
        }
        assert_eq!(has_writer(&ours), Some(false), "readers are none");
        let writer = open(File::options().append(true));
        assert_eq!(has_writer(&ours), Some(true));
        assert_eq!(has_writer(&ours), Some(true));
        drop((writer, reader));
        assert_eq!(has_writer(&ours), Some(false));
        open(File::options().write(true).truncate(true));
        assert_eq!(has_writer(&ours), Some(false), "nobody is kept from writing");
    }
}
