use std::path::{Path, PathBuf};

use driblet::control::{Control, ControlError, PublishedSnapshot};

use crate::failure::Failure;
use crate::print;

/// Tell a running server that a build is complete
///
/// The server publishes the snapshots of its folders at once, without waiting until no file changes any more. The command
/// ends when they are published. SIGHUP has the same effect, without an answer.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  npm run build && driblet publish dist/")]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    /// Publish only these folders or files below ROOT
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

/// Which server is meant.
#[derive(clap::Args)]
pub(crate) struct ServerArgs {
    /// What `driblet serve` publishes
    root: PathBuf,
    /// The folder that `driblet serve --history` was given
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
}

impl ServerArgs {
    pub(crate) fn control(&self) -> Result<Control, Failure> {
        let control = match &self.history {
            Some(history) => Ok(Control::of_history(history)),
            None => Control::of_root(&self.root),
        };
        control.map_err(|error| failed(&error))
    }
}

/// A server could not be asked, or refuses.
pub(crate) fn failed(error: &ControlError) -> Failure {
    match error {
        ControlError::Io { source, .. } => Failure::new(error, source),
        ControlError::NoCache => Failure::said("neither XDG_CACHE_HOME nor a home folder is set; add --history DIR"),
        _ => Failure::said(&error.to_string()),
    }
}

/// Prints a line of a result.
pub(crate) fn say(line: impl std::fmt::Display) -> Result<(), Failure> {
    print::line(line).map_err(|error| Failure::output(Path::new("standard output"), &error))
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let control = args.server.control()?;
    let paths: Vec<Option<&str>> = match args.paths.as_slice() {
        [] => vec![None],
        paths => paths.iter().map(|path| Some(path.as_str())).collect(),
    };
    for path in paths {
        for PublishedSnapshot { path, version, files, .. } in control.publish(path).map_err(|error| failed(&error))? {
            let path = path.trim_start_matches('/');
            let files = files.map_or_else(String::new, |files| format!(", {files} files"));
            say(format_args!("/{path} is {version}{files}"))?;
        }
    }
    Ok(())
}
