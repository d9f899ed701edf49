//! Writes to the standard streams. A stream that is closed or full never causes a panic.

use std::fmt::Display;
use std::io::{self, Write};

use crate::closed;

/// Writes a line to standard output.
pub(crate) fn line(text: impl Display) -> io::Result<()> {
    closed::stdout()?;
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Writes a line to standard error. If that fails, there is no place to report it.
pub(crate) fn error(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes the help or the usage error of clap.
pub(crate) fn clap(error: &clap::Error) -> io::Result<()> {
    if !error.use_stderr() {
        closed::stdout()?;
        error.print()?;
        return io::stdout().flush();
    }
    let text = error.to_string();
    match without_password(&text) {
        Some(text) => {
            let _ = write!(io::stderr().lock(), "{text}");
        }
        None => {
            let _ = error.print();
        }
    }
    Ok(())
}

/// The text without the part before the `@` of a URL. `None` if there is no such part.
fn without_password(text: &str) -> Option<String> {
    let mut changed = false;
    let lines = text.split_inclusive('\n').map(|line| match (line.find("//"), line.rfind('@')) {
        (Some(start), Some(end)) if start < end => {
            changed = true;
            format!("{}{}", &line[..start + 2], &line[end + 1..])
        }
        _ => line.to_owned(),
    });
    let text = lines.collect();
    changed.then_some(text)
}
