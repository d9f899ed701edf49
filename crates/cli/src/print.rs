//! What is printed. A stream that is closed or full is an error or ignored, never a panic.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::closed;
use crate::failure::Failure;

/// A line on standard output.
pub(crate) fn line(text: impl Display) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    written(closed::stdout().and_then(|()| writeln!(out, "{text}")).and_then(|()| out.flush()))
}

/// A line on standard error. Where that cannot be written nobody is left to be told.
pub(crate) fn error(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// What clap has to say: help, or what is wrong with the arguments.
pub(crate) fn clap(error: clap::Error) -> ExitCode {
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    if !error.use_stderr() {
        let printed = written(closed::stdout().and_then(|()| error.print()).and_then(|()| io::stdout().flush()));
        return printed.map_or_else(Failure::end, |()| code);
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
    code
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    result.map_err(|error| Failure::output(Path::new("standard output"), &error))
}

/// The text without what stands before the `@` of a URL, if there is one.
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
