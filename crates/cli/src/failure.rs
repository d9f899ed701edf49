use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use driblet::client::PullError;
use signal_hook::consts::SIGPIPE;
use signal_hook::low_level::emulate_default_handler;

use crate::print;

/// What a command could not do, and why: one line for the terminal.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    text: String,
}

#[derive(Debug)]
enum Kind {
    /// It was tried.
    Failed,
    /// The arguments make no sense.
    Usage,
    /// Whoever read the output has left, and so knows.
    ClosedPipe,
}

impl Failure {
    /// With the chain of causes, each said once.
    pub(crate) fn new(what: impl fmt::Display, cause: &dyn Error) -> Failure {
        let mut text = format!("{what}: {cause}");
        let mut source = cause.source();
        while let Some(cause) = source {
            let said = cause.to_string();
            if !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            source = cause.source();
        }
        Failure { kind: Kind::Failed, text }
    }

    /// Of which there is nothing more to say.
    pub(crate) fn said(what: &str) -> Failure {
        Failure { kind: Kind::Failed, text: what.to_owned() }
    }

    pub(crate) fn file(doing: &str, path: &Path, cause: &dyn Error) -> Failure {
        let name = if path == "-" { "standard input".into() } else { path.to_string_lossy() };
        Failure::new(format_args!("cannot {doing} {name}"), cause)
    }

    /// The output could not be written.
    pub(crate) fn output(name: &Path, cause: &io::Error) -> Failure {
        let kind = if cause.kind() == io::ErrorKind::BrokenPipe { Kind::ClosedPipe } else { Kind::Failed };
        Failure { kind, ..Failure::new(format_args!("cannot write {}", name.display()), cause) }
    }

    /// A pull ended early.
    pub(crate) fn pull(dest: &Path, cause: &PullError) -> Failure {
        let failure = Failure::new(format_args!("cannot pull {}", dest.display()), cause);
        match cause {
            PullError::Store { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
                Failure { kind: Kind::ClosedPipe, ..failure }
            }
            _ => failure,
        }
    }

    /// The arguments make no sense together.
    pub(crate) fn usage(text: impl Into<String>) -> Failure {
        Failure { kind: Kind::Usage, text: text.into() }
    }

    /// Says what is to be said, and how the process ends.
    pub(crate) fn end(self) -> ExitCode {
        match self.kind {
            Kind::Failed => print::error(format_args!("driblet: {self}")),
            Kind::Usage => {
                print::error(format_args!("driblet: {self}"));
                return ExitCode::from(2);
            }
            Kind::ClosedPipe => {
                // Ends the process as the signal would have, if Rust did not ignore it for the sake of sockets.
                let _ = emulate_default_handler(SIGPIPE);
            }
        }
        ExitCode::from(1)
    }
}

/// One line, whatever a file is called and a server says.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.text.chars() {
            match char.is_control() {
                true => write!(f, "{}", char.escape_default())?,
                false => write!(f, "{char}")?,
            }
        }
        Ok(())
    }
}
