use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use driblet::{FileError, PullError};
use signal_hook::consts::SIGPIPE;
use signal_hook::low_level::emulate_default_handler;

use crate::print;

/// Why a command failed: one line for the terminal.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    text: String,
}

#[derive(Debug)]
enum Kind {
    /// The command was tried.
    Failed,
    /// The arguments are invalid.
    Usage,
    /// The reader of the output has closed it, and so knows already.
    ClosedPipe,
}

/// The methods of `ServerBuilder` that messages of the library name, and the flags of `driblet serve` that call them.
const FLAGS: [(&str, &str); 3] =
    [("history", "--history"), ("allow_host", "--allow-host"), ("allow_origin", "--allow-origin")];

/// The flag for an option of the library and its value.
pub(crate) fn flag(option: &str, value: &str) -> String {
    let flag = FLAGS.iter().find(|(method, _)| *method == option).map_or(option, |(_, flag)| flag);
    format!("{flag} {value}")
}

impl Failure {
    /// A failure with the chain of its causes.
    pub(crate) fn new(what: impl fmt::Display, cause: &dyn Error) -> Failure {
        let mut text = what.to_string();
        let mut next = Some(cause);
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&with_flags(cause.to_string()));
            next = cause.source();
        }
        Failure { kind: Kind::Failed, text }
    }

    /// A failure that an error describes.
    pub(crate) fn of(error: &dyn Error) -> Failure {
        match error.source() {
            Some(source) => Failure::new(error, source),
            None => Failure::said(&error.to_string()),
        }
    }

    /// A failure without a cause.
    pub(crate) fn said(what: &str) -> Failure {
        Failure { kind: Kind::Failed, text: what.to_owned() }
    }

    /// An input could not be read.
    pub(crate) fn input(path: &Path, cause: &io::Error) -> Failure {
        let name = if path == "-" { "standard input".into() } else { path.to_string_lossy() };
        Failure::new(format_args!("cannot read {name}"), cause)
    }

    /// An output could not be written.
    pub(crate) fn output(name: &Path, cause: &io::Error) -> Failure {
        Failure::new(format_args!("cannot write {}", name.display()), cause).or_closed_pipe(cause)
    }

    /// Standard output could not be written.
    pub(crate) fn stdout(cause: &io::Error) -> Failure {
        Failure::output(Path::new("standard output"), cause)
    }

    /// A file could not be diffed or patched.
    pub(crate) fn file(cause: &FileError) -> Failure {
        match cause {
            FileError::SameStream { .. } => Failure::usage(cause.to_string()),
            FileError::Write { path, source, .. } => Failure::output(path, source),
            _ => Failure::of(cause),
        }
    }

    /// A pull failed.
    pub(crate) fn pull(dest: &Path, cause: &PullError) -> Failure {
        let failure = Failure::new(format_args!("cannot pull {}", dest.display()), cause);
        match cause {
            PullError::Store { source, .. } => failure.or_closed_pipe(source),
            _ => failure,
        }
    }

    /// The arguments are invalid, or do not fit together.
    pub(crate) fn usage(text: impl Into<String>) -> Failure {
        Failure { kind: Kind::Usage, text: text.into() }
    }

    /// Prints the failure, and gives the exit code.
    pub(crate) fn end(self) -> ExitCode {
        match self.kind {
            Kind::Failed => print::error(format_args!("driblet: {self}")),
            Kind::Usage => {
                print::error(format_args!("driblet: {self}"));
                return ExitCode::from(2);
            }
            Kind::ClosedPipe => {
                // Ends the process as the signal would have. Rust ignores the signal because of sockets.
                let _ = emulate_default_handler(SIGPIPE);
            }
        }
        ExitCode::from(1)
    }

    fn or_closed_pipe(self, cause: &io::Error) -> Failure {
        let kind = if cause.kind() == io::ErrorKind::BrokenPipe { Kind::ClosedPipe } else { self.kind };
        Failure { kind, ..self }
    }
}

/// One line, whatever characters file names and servers' messages contain.
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

/// Names flags instead of options of the library.
fn with_flags(message: String) -> String {
    FLAGS.iter().fold(message, |message, (method, flag)| message.replace(&format!("ServerBuilder::{method}"), flag))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn options_of_the_library_are_named_as_flags_that_exist() {
        let cli = crate::Cli::command();
        let serve = cli.find_subcommand("serve").unwrap();
        let flags: Vec<&str> = serve.get_arguments().filter_map(|argument| argument.get_long()).collect();
        for (method, flag) in FLAGS {
            assert!(flags.contains(&flag.trim_start_matches("--")), "{flag}");
            assert_eq!(with_flags(format!("set it with ServerBuilder::{method}")), format!("set it with {flag}"));
            assert_eq!(self::flag(method, "x"), format!("{flag} x"));
        }
    }
}
