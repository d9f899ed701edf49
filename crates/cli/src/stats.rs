//! What a command did, for programs.

use std::path::Path;

use clap::ValueEnum;
use serde_json::Value;

use crate::failure::Failure;
use crate::print;

/// The format of --stats.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum StatsFormat {
    /// One JSON object
    Json,
}

/// Prints the object on standard output, or on standard error if the output of the command is there.
pub(crate) fn print(stats: &Value, is_stdout: bool) -> Result<(), Failure> {
    if is_stdout {
        print::error(stats);
        return Ok(());
    }
    print::line(stats).map_err(|error| Failure::output(Path::new("standard output"), &error))
}
