//! What a command did, for programs.

use std::time::Instant;

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

/// Adds the time since the start, and prints.
pub(crate) fn print_timed(mut stats: Value, start: Instant, is_stdout: bool) -> Result<(), Failure> {
    stats["elapsed_ms"] = (start.elapsed().as_secs_f64() * 1e3).into();
    print(&stats, is_stdout)
}

/// Prints the object on standard output, or on standard error if the output of the command is there.
pub(crate) fn print(stats: &Value, is_stdout: bool) -> Result<(), Failure> {
    if is_stdout {
        print::error(stats);
        return Ok(());
    }
    print::line(stats).map_err(|error| Failure::stdout(&error))
}
