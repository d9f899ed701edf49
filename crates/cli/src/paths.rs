//! Paths on the command line. `-` is standard input or standard output.

use std::path::Path;

use driblet::Input;
use driblet::output::Output;

use crate::closed;
use crate::failure::Failure;

/// Other names of standard input.
const STDIN_NAMES: [&str; 3] = ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

/// Two inputs, of which only one may be standard input.
pub(crate) fn inputs(one: &Path, other: &Path) -> Result<(Input, Input), Failure> {
    if one == "-" && other == "-" {
        return Err(Failure::usage("- can be given once: standard input is one file"));
    }
    Ok((input(one)?, input(other)?))
}

/// An input.
pub(crate) fn input(path: &Path) -> Result<Input, Failure> {
    if path == "-" || STDIN_NAMES.iter().any(|name| path == *name) {
        closed::stdin().map_err(|error| Failure::input(path, &error))?;
    }
    Ok(if path == "-" { Input::stdin() } else { Input::at(path) })
}

/// The output that `-o` or DEST names.
pub(crate) fn output(path: &Path) -> Result<Output, Failure> {
    let output = if path == "-" { Output::stdout() } else { Output::at(path) };
    let output = output.map_err(|error| Failure::output(path, &error))?;
    if output.is_stdout() {
        closed::stdout().map_err(|error| Failure::stdout(&error))?;
    }
    Ok(output)
}
