//! The command line of driblet. One file for each command; nothing else prints or exits.

mod chunks;
mod closed;
mod command;
mod failure;
mod input;
mod print;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use command::{diff, patch, pull, serve};

/// rsync between a server and the browser: only the difference crosses the wire.
///
/// Serve a folder, sync it into pages with `import { sync } from "/.driblet/client.js"`, or into files with `driblet pull`.
#[derive(Parser)]
#[command(name = "driblet", version, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 done, 1 not done (stderr says why), 2 wrong usage")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Args),
    Pull(pull::Args),
    Diff(diff::Args),
    Patch(patch::Args),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return print::clap(error),
    };
    let result = match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Pull(args) => pull::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Patch(args) => patch::run(args),
    };
    result.map_or_else(failure::Failure::end, |()| ExitCode::SUCCESS)
}
