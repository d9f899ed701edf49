use std::io;

/// What could not be done, because of an error of the operating system.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
struct Prevented {
    what: String,
    source: io::Error,
}

/// An error of the same kind that says what could not be done. Its source is the error of the operating system.
pub(super) fn prevented(what: String, source: io::Error) -> io::Error {
    io::Error::new(source.kind(), Prevented { what, source })
}
