//! The command line of driblet. Each command has a file of its own.

mod access;
mod closed;
mod codec;
mod command;
mod config;
mod failure;
mod folders;
mod listen;
mod log;
mod memory;
mod metrics;
mod paths;
mod print;
mod progress;
mod running;
mod signals;
mod stats;
mod website;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use command::{auth, diff, history, patch, publish, pull, serve};
use config::Configured;
use failure::Failure;

/// rsync between a server and the browser: only the difference crosses the wire.
///
/// Serve a folder, sync it into pages with `import { sync } from "/.driblet/client.js"`, or into files with `driblet
/// pull`.
#[derive(Parser)]
#[command(name = "driblet", version, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 success, 1 failure (stderr says why), 2 wrong usage")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(Box<serve::Args>),
    Publish(publish::Args),
    History(history::Args),
    Auth(auth::Args),
    Pull(pull::Args),
    Diff(diff::Args),
    Patch(patch::Args),
}

fn main() -> ExitCode {
    let configured = config::configured(&Cli::command(), std::env::args_os().collect(), std::env::vars_os());
    let configured = match configured {
        Ok(configured) => configured,
        Err(failure) => return failure.end(),
    };
    let cli = match Cli::try_parse_from(&configured.arguments) {
        Ok(cli) => cli,
        Err(error) => return end_by_clap(&error, &configured),
    };
    memory::limit_pools(if matches!(cli.command, Command::Serve(_)) { 2 } else { 1 });
    let result = match cli.command {
        Command::Serve(args) => serve::run(*args, &configured.unknown),
        Command::Publish(args) => publish::run(&args),
        Command::History(args) => history::run(&args),
        Command::Auth(args) => auth::run(&args),
        Command::Pull(args) => pull::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Patch(args) => patch::run(args),
    };
    result.map_or_else(Failure::end, |()| ExitCode::SUCCESS)
}

/// Prints help or a usage error.
fn end_by_clap(error: &clap::Error, configured: &Configured) -> ExitCode {
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
    let printed = print::clap(error).map_err(|error| Failure::stdout(&error));
    if let Some(origins) = configured.origins_in(&error.to_string()).filter(|_| error.use_stderr()) {
        print::error(format_args!("driblet: {origins}"));
    }
    printed.map_or_else(Failure::end, |()| code)
}
