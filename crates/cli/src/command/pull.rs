use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use driblet::browser_sync_stream::{self, RabinOptions, Received};
use driblet::client::{Progress, PullError, PullOptions, Pulled, State, pull_to};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;
use url::Url;

use crate::chunks::chunks;
use crate::command::patch::output;
use crate::failure::Failure;
use crate::print;

/// Bring a file up to date with what a server publishes
///
/// What DEST holds now is the basis: only the difference is transferred. DEST is replaced in one step once the new bytes are
/// verified and durable; until then, and after any error, it stays as it was. A pull that is cut off goes on from there when it is run again.
/// What a user set on DEST stays: permissions, owner, attributes, and links that lead to it. Devices, pipes and the like hold nothing, and are
/// written into once all is verified.
///
/// A URL that begins with ws: or wss: is one of a browser-sync-stream server. Then only chunks that DEST has not are transferred, and they are
/// not compressed. That protocol has no way to say that a file is complete: where something between hides how the WebSocket ended, a file that
/// was cut off between two chunks looks whole.
///
/// A server that says that it is busy (503 or 429 with Retry-After) is asked again as it says, for at most 10 minutes.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  driblet pull http://127.0.0.1:8080/app.js app.js\n  driblet pull ws://127.0.0.1:8080/app.js app.js"
)]
pub(crate) struct Args {
    /// The asset, as it is downloaded without driblet; user:password@ in it is sent as basic authorisation, and never shown
    url: String,
    /// The file to update; a missing one is created, and - is standard output
    dest: PathBuf,
    /// Print what the sync cost on stdout; on stderr where DEST is stdout
    #[arg(long, value_name = "FORMAT")]
    stats: Option<Stats>,
    /// Give up when there is no connection, no answer or no further byte for this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    timeout: f64,
    /// Refuse a file longer than this many bytes
    #[arg(long, value_name = "BYTES", default_value_t = PullOptions::default().max_len)]
    max_len: u64,
    /// How the server of a ws: or wss: URL cuts files, as npm rabin does [default: 12,8192,32768]
    ///
    /// BITS is log2 of the average chunk length beyond MIN. MIN and MAX are in bytes. 0 stands for the default of each.
    #[arg(long, value_name = "BITS,MIN,MAX", value_parser = chunks)]
    rabin: Option<RabinOptions>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stats {
    /// One JSON object
    Json,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new("cannot start", &error))?;
    // clap would show what it cannot parse, and with it a password.
    let url = Url::parse(&args.url).map_err(|error| Failure::usage(format!("the URL cannot be read: {error}")))?;
    let is_websocket = matches!(url.scheme(), "ws" | "wss");
    if args.rabin.is_some() && !is_websocket {
        return Err(Failure::usage("--rabin is for ws: and wss: URLs".to_owned()));
    }
    let dest = output(&args.dest)?;
    let is_stdout = dest.is_stdout();
    let timeout = Duration::from_secs_f64(args.timeout);
    let options = PullOptions::default().timeout(timeout).max_len(args.max_len);
    let bar = bar();
    let shown = bar.clone();
    let report = move |progress| show(&shown, progress);
    let told = runtime.block_on(async {
        if is_websocket {
            let start = Instant::now();
            let received =
                browser_sync_stream::pull_to(&url, dest, args.rabin.unwrap_or_default(), &options, report).await?;
            return Ok(browser_sync_stream_told(&received, start.elapsed()));
        }
        pull_to(&url, dest, &options, report).await.map(|pulled| (stats(&pulled), summary(&pulled)))
    });
    bar.finish_and_clear();
    let (stats, summary) = told.map_err(|error: PullError| Failure::pull(&args.dest, &error))?;
    match args.stats {
        Some(Stats::Json) if is_stdout => print::error(stats),
        Some(Stats::Json) => print::line(stats)?,
        None if bar.is_hidden() => {}
        None => print::error(summary),
    }
    Ok(())
}

fn show(bar: &ProgressBar, progress: Progress) {
    if progress.total != 0 {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
    }
    bar.set_message(match progress.state {
        State::Waiting => "waiting for the server".to_owned(),
        State::Busy(wait) => format!("the server is busy; asking again in {} s", wait.as_secs_f64().ceil()),
        State::Receiving => format!("{} received", HumanBytes(progress.received)),
    });
}

/// What a pull by the wire of browser-sync-stream cost, as JSON and as a sentence.
fn browser_sync_stream_told(received: &Received<()>, elapsed: Duration) -> (serde_json::Value, String) {
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
