//! Finds out which standard streams were closed when the process began.
//!
//! Rust opens /dev/null in place of a closed stream before `main`. A result would be lost there, and an input would be
//! empty, without an error.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::fcntl_getfd;
use rustix::stdio;

static STDIN: AtomicBool = AtomicBool::new(false);
static STDOUT: AtomicBool = AtomicBool::new(false);

/// Runs before Rust's own start code. It makes two system calls and sets two flags.
#[ctor::ctor(unsafe)]
fn look() {
    let is_closed = |stream: BorrowedFd<'static>| fcntl_getfd(stream).is_err();
    STDIN.store(is_closed(stdio::stdin()), Ordering::Relaxed);
    STDOUT.store(is_closed(stdio::stdout()), Ordering::Relaxed);
}

/// Fails if standard input was closed.
pub(crate) fn stdin() -> io::Result<()> {
    check(&STDIN)
}

/// Fails if standard output was closed.
pub(crate) fn stdout() -> io::Result<()> {
    check(&STDOUT)
}

fn check(closed: &AtomicBool) -> io::Result<()> {
    if closed.load(Ordering::Relaxed) { Err(io::Error::other("it is closed")) } else { Ok(()) }
}
