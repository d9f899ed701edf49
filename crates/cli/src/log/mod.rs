//! What the server says of itself on stderr, and the access log on stdout.

mod batches;
mod json;

use std::env;
use std::io::{self, IsTerminal};

use driblet::ACCESS_LOG;
use tracing::Level;
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

pub(crate) use batches::BatchesGuard;
use json::JsonLines;

/// What is logged unless `RUST_LOG` says otherwise. h2 warns at each client that it cuts off; the server does once.
const LEVELS: &str = "warn,h2=error";

/// The form of the access log.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AccessLog {
    /// A line with `name=value` for each answer
    Text,
    /// A line with a JSON object for each answer
    Json,
}

/// Begins to log. What the access log has not written yet is written when the guard is dropped; lines that nobody reads
/// are dropped.
pub(crate) fn begin(access: Option<AccessLog>) -> io::Result<Option<BatchesGuard>> {
    let (answers, guard) = match access {
        Some(form) => {
            let (stdout, guard) = batches::begin(io::stdout())?;
            (Some((form, stdout)), Some(guard))
        }
        None => (None, None),
    };
    let levels = env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| LEVELS.into());
    // One filter: events were lost behind two in each other.
    let levels = format!("{levels},{ACCESS_LOG}={}", LevelFilter::OFF);
    let levels = EnvFilter::builder().with_default_directive(Level::WARN.into()).parse_lossy(levels);
    let errors = fmt::layer().with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).with_filter(levels);
    let answers = answers.map(|(form, stdout)| {
        let lines = fmt::layer().with_writer(stdout).with_ansi(false).with_target(false).with_level(false);
        let only = Targets::new().with_target(ACCESS_LOG, Level::INFO);
        match form {
            AccessLog::Text => lines.with_filter(only).boxed(),
            AccessLog::Json => lines.event_format(JsonLines).with_filter(only).boxed(),
        }
    });
    tracing_subscriber::registry().with(answers).with(errors).init();
    Ok(guard)
}
