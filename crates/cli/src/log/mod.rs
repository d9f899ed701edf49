//! What the server says of itself on stderr, and the access log on stdout.

mod batches;
mod json;

use std::env;
use std::io::{self, IsTerminal};

use batches::Batches;
pub(crate) use batches::BatchesGuard;
use driblet::ACCESS_LOG;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::fmt::format::{Format, Writer};
use tracing_subscriber::fmt::writer::EitherWriter;
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

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
///
/// There is one filter, for all. A layer with a filter of its own loses the next event of a thread after `enabled!`.
pub(crate) fn begin(access: Option<AccessLog>) -> io::Result<Option<BatchesGuard>> {
    let (answers, guard) = match access {
        Some(_) => {
            let (stdout, guard) = batches::begin(io::stdout())?;
            (Some(stdout), Some(guard))
        }
        None => (None, None),
    };
    let levels = env::var(EnvFilter::DEFAULT_ENV).unwrap_or_else(|_| LEVELS.into());
    let of_answers = if access.is_some() { LevelFilter::INFO } else { LevelFilter::OFF };
    let levels = format!("{levels},{ACCESS_LOG}={of_answers}");
    let levels = EnvFilter::builder().with_default_directive(Level::WARN.into()).parse_lossy(levels);
    let lines = fmt::layer()
        .with_writer(Writers { answers })
        .with_ansi(io::stderr().is_terminal())
        .event_format(Lines::new(access.unwrap_or(AccessLog::Text)));
    tracing_subscriber::registry().with(levels).with(lines).init();
    Ok(guard)
}

/// Where each event is written: an answer to stdout, all others to stderr.
struct Writers {
    answers: Option<Batches>,
}

impl<'a> MakeWriter<'a> for Writers {
    type Writer = EitherWriter<Batches, io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        EitherWriter::B(io::stderr())
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> Self::Writer {
        match &self.answers {
            Some(answers) if metadata.target() == ACCESS_LOG => EitherWriter::A(answers.clone()),
            _ => self.make_writer(),
        }
    }
}

/// How each event is written.
struct Lines {
    access: AccessLog,
    answers: Format,
    others: Format,
}

impl Lines {
    fn new(access: AccessLog) -> Lines {
        let answers = Format::default().with_ansi(false).with_target(false).with_level(false);
        Lines { access, answers, others: Format::default() }
    }
}

impl<S, F> FormatEvent<S, F> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    F: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, F>, line: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        match self.access {
            _ if event.metadata().target() != ACCESS_LOG => self.others.format_event(context, line, event),
            AccessLog::Text => self.answers.format_event(context, line, event),
            AccessLog::Json => JsonLines.format_event(context, line, event),
        }
    }
}
