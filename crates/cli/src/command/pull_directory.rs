use std::path::Path;

use driblet::client::{Change, ChangeKind, DirectoryProgress};
use driblet::{Client, PullDirectoryError, PullDirectoryOptions, PulledDirectory};
use indicatif::{HumanBytes, ProgressBar};
use serde_json::json;
use url::Url;

use crate::failure::Failure;
use crate::print;
use crate::progress::{bar, show_state};
use crate::stats;

/// The options of a pull of a directory.
#[derive(clap::Args)]
#[command(next_help_heading = "Directories (the URL ends with /)")]
pub(crate) struct DirectoryArgs {
    /// Remove every file that the server's directory does not have, also files that no pull wrote
    #[arg(long)]
    delete: bool,
    /// Make DEST a symbolic link to a tree, and switch it in one step
    #[arg(long)]
    atomic: bool,
    /// Say what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave paths alone that match this pattern, in the syntax of .gitignore; can be given several times
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Write names that begin with a dot too
    #[arg(long)]
    hidden: bool,
}

impl DirectoryArgs {
    pub(super) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Whether an option is given that a pull of a file does not have.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let flags = [
            (self.delete, "--delete"),
            (self.atomic, "--atomic"),
            (self.dry_run, "--dry-run"),
            (!self.exclude.is_empty(), "--exclude"),
            (self.hidden, "--hidden"),
        ];
        flags.into_iter().find_map(|(given, flag)| given.then_some(flag))
    }

    pub(super) fn options(&self) -> PullDirectoryOptions {
        let options = PullDirectoryOptions::default().delete(self.delete).atomic(self.atomic).dry_run(self.dry_run);
        self.exclude.iter().fold(options.hidden(self.hidden), |options, pattern| options.exclude(pattern))
    }
}

/// Pulls a directory. With `stats` what it cost is printed as JSON. Gives whether the server has a directory there: a
/// single file is published at the root too, whose URL ends with /.
pub(crate) async fn run(
    client: &Client,
    url: &Url,
    dest: &Path,
    args: &DirectoryArgs,
    stats: bool,
) -> Result<bool, Failure> {
    let bar = bar();
    let shown = bar.clone();
    let pulled = client.pull_directory(url, dest, &args.options(), move |progress| show(&shown, progress)).await;
    bar.finish_and_clear();
    let pulled = match pulled {
        Err(error) if error.is_url_of_file() && url.path() == "/" && args.given().is_none() => return Ok(false),
        pulled => pulled.map_err(|error| failure(dest, &error))?,
    };
    tell_kept(&pulled);
    let stdout = |error: std::io::Error| Failure::stdout(&error);
    if args.dry_run && !stats {
        pulled.changes.iter().try_for_each(|change| print::line(line(change))).map_err(stdout)?;
    }
    match stats {
        true => stats::print(&json(&pulled), false)?,
        false if bar.is_hidden() && !args.dry_run => {}
        false => print::error(summary(&pulled, args.dry_run)),
    }
    Ok(true)
}

/// Names the files that were not removed.
pub(super) fn tell_kept(pulled: &PulledDirectory) {
    for path in &pulled.kept {
        print::error(format_args!("kept {path}: it was changed here, and the server's directory no longer has it"));
    }
}

pub(super) fn failure(dest: &Path, cause: &PullDirectoryError) -> Failure {
    match cause {
        PullDirectoryError::Pull(cause) => Failure::pull(dest, cause),
        PullDirectoryError::Pattern { .. } => Failure::usage(Failure::new("--exclude", cause).to_string()),
        _ => Failure::new(format_args!("cannot pull {}", dest.display()), cause),
    }
}

fn line(change: &Change) -> String {
    let what = match change.kind {
        ChangeKind::Add => "add",
        ChangeKind::Replace => "replace",
        ChangeKind::Mode => "set the executable flag of",
        _ => "remove",
    };
    // One line, whatever the name contains.
    format!("{what} {}", change.path.escape_debug())
}

/// What a pull cost, as JSON.
pub(super) fn json(pulled: &PulledDirectory) -> serde_json::Value {
    json!({
        "version": pulled.version.to_string(),
        "same": pulled.same,
        "files": pulled.files,
        "added": pulled.added,
        "changed": pulled.changed,
        "removed": pulled.removed,
        "kept": pulled.kept,
        "hidden": pulled.hidden,
        "excluded": pulled.excluded,
        "new_len": pulled.new_len,
        "sent": pulled.sent,
        "received": pulled.received,
        "requests": pulled.requests,
        "elapsed_ms": pulled.elapsed.as_secs_f64() * 1e3,
    })
}

/// What a pull cost, as a sentence.
pub(super) fn summary(pulled: &PulledDirectory, dry_run: bool) -> String {
    let PulledDirectory { added, changed, removed, files, hidden, .. } = pulled;
    let changes = format!("{added} added, {changed} changed, {removed} removed of {files} files");
    let hidden = match hidden {
        0 => String::new(),
        count => format!(" ({count} hidden ones left out, see --hidden)"),
    };
    let version = &pulled.version.to_string()[..12];
    if dry_run {
        return format!("{version} would be pulled: {changes}{hidden}, {} of new files", HumanBytes(pulled.new_len));
    }
    let plural = if pulled.requests == 1 { "" } else { "s" };
    format!(
        "{version} up to date: {changes}{hidden}; {} moved in {} request{plural}, {:.0} ms",
        HumanBytes(pulled.sent + pulled.received),
        pulled.requests,
        pulled.elapsed.as_secs_f64() * 1e3
    )
}

/// Shows the progress.
pub(super) fn show(bar: &ProgressBar, progress: DirectoryProgress) {
    let received =
        || format!("{}/{} files, {} received", progress.files, progress.total_files, HumanBytes(progress.received));
    show_state(bar, (progress.done, progress.total), progress.state, received);
}
