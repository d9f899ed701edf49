use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use driblet::browser_sync_stream::{self, RabinOptions, Received};
use driblet::{BasisFile, Client, PullError, PullOptions};
use indicatif::HumanBytes;
use serde_json::json;
use tokio::runtime::Runtime;
use url::Url;

use super::pull_directory::{self, DirectoryArgs};
use super::pull_file::{self, show};
use super::pull_watch::{Follower, WatchArgs};
use crate::failure::Failure;
use crate::paths::output;
use crate::print;
use crate::progress::bar;
use crate::stats::{self, StatsFormat};

/// How long the threads of a pull may take to end after a signal.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Bring a file or a folder up to date with what a server publishes
///
/// A URL that ends with / is the URL of a directory, and DEST is a folder. All new files are verified and durable before
/// the first file of DEST is replaced. Files that no pull wrote stay, unless --delete is given.
///
/// Only the difference to the present content of DEST is transferred. DEST is replaced in one step after the new bytes
/// are verified and durable; until then, and after any error, it stays as it was. A pull that was cut off continues
/// when it is run again. DEST keeps its permissions, owner, attributes and links. Devices, pipes and the like are
/// written into after all bytes are verified.
///
/// A URL that begins with ws: or wss: is the URL of a browser-sync-stream server. Then only chunks that DEST lacks are
/// transferred, without compression. That protocol cannot say that a file is complete: if a proxy hides how the
/// WebSocket ended, a file that was cut off between two chunks looks complete.
///
/// With --watch the command does not end: the server tells it of each new version, and it pulls that.
///
/// If the server says that it is busy (503 or 429 with Retry-After), the command asks again after the time that the
/// server states, for at most 10 minutes.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  driblet pull http://127.0.0.1:8080/app.js app.js\n  driblet pull http://127.0.0.1:8080/app/ app\n  driblet pull --watch --exec 'systemctl reload app' https://app.example/app/ app\n  driblet pull ws://127.0.0.1:8080/app.js app.js"
)]
pub(crate) struct Args {
    /// The URL of the file, as a browser would download it; user:password@ in it is sent as basic authorisation, and
    /// never shown
    url: String,
    /// The file to update; a missing file is created; - is standard output
    dest: PathBuf,
    /// Take another file as basis if DEST holds nothing, for example the one of the last build, which had another name
    ///
    /// The server learns from a signature which parts of it the new file has.
    #[arg(long, value_name = "FILE")]
    basis: Option<PathBuf>,
    /// The URL that the file of --basis was pulled from, on the same server
    ///
    /// If the server still has that version and lets you read it, it makes the delta from it without a signature, which
    /// makes the delta smaller.
    #[arg(long, value_name = "URL", requires = "basis")]
    basis_url: Option<String>,
    /// Print what the sync cost, on stdout; on stderr if DEST is stdout
    #[arg(long, value_name = "FORMAT")]
    stats: Option<StatsFormat>,
    /// Give up if there is no connection, no response or no further byte for this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    timeout: f64,
    /// Refuse a file longer than this many bytes
    #[arg(long, value_name = "BYTES", default_value_t = PullOptions::default().max_len)]
    max_len: u64,
    /// How the server of a ws: or wss: URL cuts files, in the terms of npm rabin [default: 12,8192,32768]
    ///
    /// BITS is log2 of the average chunk length beyond MIN. MIN and MAX are in bytes. 0 is the default of each.
    #[arg(long, value_name = "BITS,MIN,MAX")]
    rabin: Option<RabinOptions>,
    /// Send a header with every request, such as 'Authorization: Bearer TOKEN'; it is never shown
    ///
    /// After a redirect to another host, Authorization and Cookie are not sent. Other users of this machine may see the
    /// command line: @FILE sends the headers of a file, one a line.
    #[arg(long, value_name = "NAME: VALUE|@FILE")]
    header: Vec<String>,
    #[command(flatten)]
    watch: WatchArgs,
    // The last ones: they have a heading of their own, which flags after them would get too.
    #[command(flatten)]
    directory: DirectoryArgs,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new("cannot start", &error))?;
    // Not parsed by clap, whose error would show a password in the URL.
    let url = Url::parse(&args.url).map_err(|error| Failure::usage(format!("the URL cannot be read: {error}")))?;
    let is_websocket = matches!(url.scheme(), "ws" | "wss");
    if args.rabin.is_some() && !is_websocket {
        return Err(Failure::usage("--rabin is for ws: and wss: URLs".to_owned()));
    }
    let basis = args.basis.as_deref().map(|path| basis_file(path, args.basis_url.as_deref())).transpose()?;
    if basis.is_some() && is_websocket {
        return Err(Failure::usage("--basis is for http: and https: URLs".to_owned()));
    }
    let timeout = Duration::from_secs_f64(args.timeout);
    let options = PullOptions::default().timeout(timeout).max_len(args.max_len);
    let builder = headers(&args.header)?
        .into_iter()
        .fold(Client::builder(), |builder, (name, value)| builder.header(name, value));
    let client = builder.options(options).build().map_err(|error| Failure::new("cannot start", &error))?;
    // A single file is published at the root too.
    let names_file = args.dest.as_path() == Path::new("-") || (args.dest.exists() && !args.dest.is_dir());
    let is_root_file = url.path() == "/" && names_file && args.directory.given().is_none();
    let is_directory = !is_websocket && url.path().ends_with('/') && !is_root_file;
    if args.watch.is_given() && is_websocket {
        return Err(Failure::usage("--watch is for http: and https: URLs"));
    }
    if is_directory {
        if basis.is_some() {
            return Err(Failure::usage("--basis is for files, and a URL that ends with / is a directory's".to_owned()));
        }
        let stats = args.stats.is_some();
        if args.watch.is_given() {
            let follower = Follower::of_directory(&client, &url, &args.dest, &args.directory)?;
            return follow(runtime, follower, &args);
        }
        let pulled = pull_directory::run(&client, &url, &args.dest, &args.directory, stats);
        if runtime.block_on(pulled)? {
            return Ok(());
        }
    }
    if let Some(flag) = args.directory.given() {
        return Err(Failure::usage(format!("{flag} is for directories, whose URL ends with /")));
    }
    if args.dest.is_dir() {
        let folder = args.dest.display();
        let what = "it names a folder; name a file in it, or end the URL with / to pull a directory";
        let text = format!("cannot write {folder}: {what}");
        return Err(Failure::said(&text));
    }
    let dest = output(&args.dest)?;
    if args.watch.is_given() {
        return follow(runtime, Follower::of_file(&client, &url, &dest, basis.as_ref())?, &args);
    }
    let is_stdout = dest.is_stdout();
    let bar = bar();
    let shown = bar.clone();
    let report = move |progress| show(&shown, progress);
    let result = runtime.block_on(async {
        if is_websocket {
            let start = Instant::now();
            let chunks = args.rabin.unwrap_or_default();
            let received = browser_sync_stream::pull_to(&client, &url, dest, chunks, report).await?;
            return Ok(chunk_stats(&received, start.elapsed()));
        }
        let pulled = match &basis {
            Some(basis) => client.pull_with_basis(&url, dest, basis, report).await,
            None => client.pull_to(&url, dest, report).await,
        };
        pulled.map(|pulled| (pull_file::stats(&pulled), pull_file::summary(&pulled)))
    });
    bar.finish_and_clear();
    let (stats, summary) = result.map_err(|error: PullError| Failure::pull(&args.dest, &error))?;
    match args.stats {
        Some(StatsFormat::Json) => stats::print(&stats, is_stdout)?,
        None if bar.is_hidden() => {}
        None => print::error(summary),
    }
    Ok(())
}

fn follow(runtime: Runtime, follower: Follower<'_>, args: &Args) -> Result<(), Failure> {
    let result = runtime.block_on(follower.run(&args.watch, args.stats.is_some()));
    // A pull that a signal ended may be reading files. It writes none but those that the next pull expects.
    runtime.shutdown_timeout(SHUTDOWN);
    result
}

/// The headers that the command line names. An error shows no value: it may be a secret.
fn headers(given: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let mut headers = Vec::new();
    for given in given {
        let text = match given.strip_prefix('@') {
            Some(path) => std::fs::read_to_string(path).map_err(|error| Failure::input(Path::new(path), &error))?,
            None => given.clone(),
        };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| {
                Failure::usage("--header needs a name, a colon and a value: 'Authorization: Bearer TOKEN'")
            })?;
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    Ok(headers)
}

/// The basis that the command line names. Its URL may hold a password too.
fn basis_file(path: &Path, url: Option<&str>) -> Result<BasisFile, Failure> {
    let basis = BasisFile::new(path);
    let Some(url) = url else { return Ok(basis) };
    let url =
        Url::parse(url).map_err(|error| Failure::usage(format!("the URL of --basis-url cannot be read: {error}")))?;
    Ok(basis.published_at(url))
}

/// The cost of a pull from a browser-sync-stream server, as JSON and as a sentence.
fn chunk_stats(received: &Received<()>, elapsed: Duration) -> (serde_json::Value, String) {
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

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if 0.0 < seconds && seconds <= 86_400.0 { Ok(seconds) } else { Err("must be above 0 and at most 86400".into()) }
}
