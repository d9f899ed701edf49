use std::error::Error;
use std::fmt;
use std::path::Path;

/// What a command could not do, and why: one line for the terminal.
#[derive(Debug)]
pub(crate) struct Failure(String);

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
        Failure(text)
    }

    /// Of which there is nothing more to say.
    pub(crate) fn said(what: &str) -> Failure {
        Failure(what.to_owned())
    }

    pub(crate) fn file(doing: &str, path: &Path, cause: &dyn Error) -> Failure {
        Failure::new(format_args!("cannot {doing} {}", path.display()), cause)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
