use std::time::{Duration, SystemTime};

use clap::Subcommand;
use driblet::Version;
use driblet::control::{PathVersions, VersionRecord};

use crate::failure::Failure;
use crate::running::{ServerArgs, failed, say, shown};

/// List or forget what a running server has in its history
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    List(ListArgs),
    Forget(ForgetArgs),
}

/// List the versions that the history has, newest first
#[derive(clap::Args)]
#[command(after_help = "Example:\n  driblet history list dist/ app.js")]
struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// List only this path below ROOT; the path of a folder's snapshots ends with /, and that of ROOT itself is /
    path: Option<String>,
    /// Print one JSON object for each path
    #[arg(long)]
    json: bool,
}

/// Withdraw a version, so that no one gets its bytes any more
///
/// The bytes are removed from the history, at every path and from every snapshot that has them. Remove or replace the
/// file first: what is published now is not forgotten. Receivers and caches that have the bytes keep them.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  rm dist/secrets.json && driblet history forget dist/ secrets.json")]
struct ForgetArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The path below ROOT; the path of a folder's snapshots ends with /
    path: String,
    /// The version to forget, 64 hex digits [default: all versions of the path]
    version: Option<Version>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    match &args.command {
        Command::List(args) => list(args),
        Command::Forget(args) => forget(args),
    }
}

fn list(args: &ListArgs) -> Result<(), Failure> {
    let listed = args.server.control()?.versions(args.path.as_deref()).map_err(|error| failed(&error))?;
    for path in listed {
        if args.json {
            let json = serde_json::to_string(&path).map_err(|error| Failure::new("cannot write JSON", &error))?;
            say(json)?;
            continue;
        }
        let PathVersions { path, versions, .. } = path;
        say(shown(&path))?;
        for VersionRecord { version, len, published, replaced, .. } in versions {
            let until = replaced.map_or_else(|| "now".to_owned(), time);
            say(format_args!("  {version}  {len} bytes  {} to {until}", time(published)))?;
        }
    }
    Ok(())
}

fn forget(args: &ForgetArgs) -> Result<(), Failure> {
    let forgotten = args.server.control()?.forget(&args.path, args.version).map_err(|error| failed(&error))?;
    let versions = forgotten.versions;
    let plural = if versions == 1 { "" } else { "s" };
    say(format_args!("{versions} version{plural} forgotten, at:"))?;
    forgotten.paths.iter().try_for_each(|path| say(format_args!("  {}", shown(path))))
}

/// A time as in HTTP.
fn time(seconds: i64) -> String {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since)
}
