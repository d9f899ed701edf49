//! Which standard streams were closed when the process began.
//!
//! Rust puts /dev/null in the place of a closed one before `main`. A result would be lost there, and an input be empty, without an error.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::fcntl_getfd;
use rustix::stdio;

static STDIN: AtomicBool = AtomicBool::new(false);
static STDOUT: AtomicBool = AtomicBool::new(false);

/// Runs before Rust's own start. It makes two system calls and sets two flags.
#[ctor::ctor(unsafe)]
fn look() {
    let is_closed = |stream: BorrowedFd<'static>| fcntl_getfd(stream).is_err();
    STDIN.store(is_closed(stdio::stdin()), Ordering::Relaxed);
    STDOUT.store(is_closed(stdio::stdout()), Ordering::Relaxed);
}

/// Fails where standard input was closed.
pub(crate) fn stdin() -> io::Result<()> {
    open(&STDIN)
}

/// Fails where standard output was closed.
pub(crate) fn stdout() -> io::Result<()> {
    open(&STDOUT)
}

fn open(closed: &AtomicBool) -> io::Result<()> {
    if closed.load(Ordering::Relaxed) { Err(io::Error::other("it is closed")) } else { Ok(()) }
}
