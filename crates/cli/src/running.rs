//! A server that runs, as `publish` and `history` speak to it.

use std::path::PathBuf;

use driblet::control::{Control, ControlError};

use crate::failure::Failure;
use crate::print;

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
    print::line(line).map_err(|error| Failure::stdout(&error))
}

/// A path below the root, as it is printed.
pub(crate) fn shown(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}
