use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use driblet::client::{Progress, PullError, PullOptions, Pulled, pull};
use driblet::seed::{self, RabinOptions, Received};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;
use url::Url;

use crate::chunks::chunks;
use crate::failure::Failure;

/// Bring a file up to date with what a server publishes
///
/// What DEST holds now is the basis: only the difference is transferred. DEST is replaced in one step once the new bytes are
/// verified and durable; until then, and after any error, it stays as it was. A pull that is cut off goes on from there when it is run again.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  driblet pull http://127.0.0.1:8080/app.js app.js\n  driblet pull --seed ws://127.0.0.1:8080/app.js app.js"
)]
pub(crate) struct Args {
    /// The asset, as it is downloaded without driblet
    url: Url,
    /// The file to update; a missing one is created
    dest: PathBuf,
    /// Print what the sync cost on stdout
    #[arg(long, value_name = "FORMAT")]
    stats: Option<Stats>,
    /// Give up when the server sends nothing for this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    timeout: f64,
    /// Refuse a file longer than this many bytes
    #[arg(long, value_name = "BYTES", default_value_t = PullOptions::default().max_len)]
    max_len: u64,
    /// Speak the wire of browser-sync-stream; URL is then its server's, and begins with ws: or wss:
    ///
    /// Only chunks that DEST has not are transferred, and they are not compressed. That wire has no way to say that a file is complete:
    /// where something between hides how the WebSocket ended, a file that was cut off between two chunks looks whole.
    #[arg(long)]
    seed: bool,
    /// How the server cuts files, with --seed: BITS,MIN,MAX as in npm rabin; 0 is a default
    #[arg(long, value_name = "BITS,MIN,MAX", default_value = "12,8192,32768", value_parser = chunks, requires = "seed")]
    seed_chunks: RabinOptions,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stats {
    /// One JSON object
    Json,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new("cannot start", &error))?;
    let options = PullOptions { timeout: Duration::from_secs_f64(args.timeout), max_len: args.max_len };
    let bar = bar();
    let shown = bar.clone();
    let report = move |progress: Progress| {
        shown.set_length(progress.total);
        shown.set_position(progress.done);
        shown.set_message(format!("{} received", HumanBytes(progress.received)));
    };
    let told = runtime.block_on(async {
        if args.seed {
            let start = Instant::now();
            let received = seed::pull(&args.url, &args.dest, args.seed_chunks, &options, report).await?;
            return Ok(seed_told(&received, start.elapsed()));
        }
        pull(&args.url, &args.dest, &options, report).await.map(|pulled| (stats(&pulled), summary(&pulled)))
    });
    bar.finish_and_clear();
    let told =
        told.map_err(|error: PullError| Failure::new(format_args!("cannot pull {}", args.dest.display()), &error));
    let (stats, summary) = told?;
    match args.stats {
        Some(Stats::Json) => println!("{stats}"),
        None if bar.is_hidden() => {}
        None => eprintln!("{summary}"),
    }
    Ok(())
}

/// What a pull by the seed's wire cost, as JSON and as a sentence.
fn seed_told(received: &Received<()>, elapsed: Duration) -> (serde_json::Value, String) {
    let elapsed_ms = elapsed.as_secs_f64() * 1e3;
    let stats = json!({
        "len": received.len,
        "sent": received.sent,
        "received": received.received,
        "chunks": received.chunks,
        "reused": received.reused,
        "elapsed_ms": elapsed_ms,
    });
    let moved = HumanBytes(received.sent + received.received);
    let summary = format!(
        "up to date: {moved} moved for {} in {} chunks ({} held), {elapsed_ms:.0} ms",
        HumanBytes(received.len),
        received.chunks,
        HumanBytes(received.reused)
    );
    (stats, summary)
}

fn stats(pulled: &Pulled) -> serde_json::Value {
    json!({
        "version": pulled.version.to_string(),
        "len": pulled.len,
        "sent": pulled.sent,
        "received": pulled.received,
        "requests": pulled.requests,
        "basis": pulled.basis.name(),
        "reused": pulled.reused,
        "elapsed_ms": pulled.elapsed.as_secs_f64() * 1e3,
    })
}

fn summary(pulled: &Pulled) -> String {
    let moved = HumanBytes(pulled.sent + pulled.received);
    let plural = if pulled.requests == 1 { "" } else { "s" };
    format!(
        "{} up to date: {moved} moved for {} in {} request{plural} (basis: {}), {:.0} ms",
        &pulled.version.to_string()[..12],
        HumanBytes(pulled.len),
        pulled.requests,
        pulled.basis.name(),
        pulled.elapsed.as_secs_f64() * 1e3
    )
}

/// Draws on stderr when that is a terminal, and nothing otherwise.
fn bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}  {msg}").unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if 0.0 < seconds && seconds <= 86_400.0 { Ok(seconds) } else { Err("must be above 0 and at most 86400".into()) }
}
