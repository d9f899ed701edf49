use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use driblet::browser_sync_stream::RabinOptions;
use driblet::{HistoryLimits, ServeOptions, Server};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::chunks::chunks;
use crate::command::diff::CodecChoice;
use crate::failure::Failure;
use crate::print;

/// Publish a folder or a file, so that receivers need only what changed
///
/// Every file is served as it is, and below PATH.driblet/ as deltas between its versions. Pages import the client from
/// /.driblet/client.js. Versions are remembered in the history, so a receiver that has been away still gets a delta.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  driblet serve dist/ --listen 127.0.0.1:8080")]
pub(crate) struct Args {
    /// The folder or file to publish; a file is also served at /
    path: PathBuf,
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where versions are remembered [default: a folder of the user's cache]
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
    /// Versions remembered of each file
    #[arg(long, value_name = "N", default_value_t = HistoryLimits::default().versions)]
    history_versions: usize,
    /// Bytes of all versions together
    #[arg(long, value_name = "N", default_value_t = HistoryLimits::default().bytes)]
    history_bytes: u64,
    /// Publish names that begin with a dot too
    #[arg(long)]
    hidden: bool,
    /// Another name that the server goes by, besides addresses and localhost
    #[arg(long, value_name = "H")]
    allow_host: Vec<String>,
    /// Another origin whose pages may sync, such as https://app.example
    #[arg(long, value_name = "O")]
    allow_origin: Vec<String>,
    /// A proxy, besides those on this machine, whose X-Forwarded-Host and Forwarded are believed: an address, or a range like 10.0.0.0/8
    #[arg(long, value_name = "IP")]
    trust_proxy: Vec<String>,
    /// Seconds for which a connection may be idle between two requests; more than a load balancer in front keeps it
    #[arg(long, value_name = "SECONDS", default_value_t = ServeOptions::default().keep_alive.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    keep_alive: u64,
    /// Seconds that running answers have to finish after SIGTERM or SIGINT; a second signal ends them at once
    #[arg(long, value_name = "SECONDS", default_value_t = ServeOptions::default().grace.as_secs())]
    grace: u64,
    /// Connections at once; at this limit idle ones give way to new ones [default: 1024, or what the limit of open files allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: Option<u32>,
    /// What deltas are made of, for receivers that say they read it; the others get fast ones
    #[arg(long, value_enum, default_value_t = CodecChoice::Auto)]
    codec: CodecChoice,
    /// The link, in Mbit/s, over which auto minimises the time until the bytes are verified
    #[arg(long, value_name = "MBITS", default_value_t = 20)]
    link: u32,
    /// From how many of a file's last heads deltas to a new one are made before anybody asks for them
    ///
    /// Receivers then find the smallest delta ready, and wait for no encoder. A change is noticed by the first request for the file, and
    /// at the start; the deltas are made in the background, one at a time, the newest first, for files of 16 KiB to 64 MiB. 0 makes
    /// every delta when it is asked for. RUST_LOG=driblet=info tells what is made.
    #[arg(long, value_name = "K", default_value_t = 3)]
    ahead: usize,
    /// How files are cut for clients of browser-sync-stream, whose WebSockets are answered on each file's own path; 0 is a default
    ///
    /// BITS is log2 of the average length beyond MIN; MIN and MAX are in bytes, as in npm rabin.
    #[arg(long, value_name = "BITS,MIN,MAX", default_value = "12,8192,32768", value_parser = chunks)]
    rabin: RabinOptions,
    /// Answer no clients of browser-sync-stream
    #[arg(long, conflicts_with = "rabin")]
    no_browser_sync_stream: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(
            tracing_subscriber::EnvFilter::builder()
                .with_default_directive(tracing::Level::WARN.into())
                .from_env_lossy(),
        )
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new("cannot start", &error))?;
    let result = runtime.block_on(serve(args));
    // Deltas that are being made are made again when they are asked for.
    runtime.shutdown_background();
    result
}

async fn serve(args: Args) -> Result<(), Failure> {
    // Before anything takes time: as the first process of a container we get no signal that we do not ask for.
    let mut signals = Signals::new()?;
    let limits = HistoryLimits::default().versions(args.history_versions).bytes(args.history_bytes);
    let mut builder = Server::builder(&args.path)
        .history_limits(limits)
        .hidden(args.hidden)
        .codec(args.codec.over(args.link))
        .ahead(args.ahead)
        .browser_sync_stream((!args.no_browser_sync_stream).then_some(args.rabin));
    if let Some(history) = &args.history {
        builder = builder.history(history);
    }
    builder = args.allow_host.iter().fold(builder, |builder, host| builder.allow_host(host));
    builder = args.allow_origin.iter().fold(builder, |builder, origin| builder.allow_origin(origin));
    builder = args.trust_proxy.iter().fold(builder, |builder, proxy| builder.trust_proxy(proxy));
    let files = raise_file_limit();
    let max_connections = args.max_connections.map_or_else(|| connections_within(files), |max| max as usize);
    let options = ServeOptions::default()
        .keep_alive(Duration::from_secs(args.keep_alive))
        .grace(Duration::from_secs(args.grace))
        .max_connections(max_connections);
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Failure::new(format_args!("cannot listen on {}", args.listen), &error))?;
    let server = tokio::select! {
        server = builder.build() => server.map_err(|error| Failure::new("cannot serve", &error))?,
        () = signals.next() => return Ok(()),
    };
    let address = listener.local_addr().map_err(|error| Failure::new("cannot listen", &error))?;
    print::error(format_args!("listening on http://{address}/"));
    let (stop, stopped) = oneshot::channel();
    let twice = async {
        signals.next().await;
        // The receiver lives as long as the server, which alone ends this wait.
        let _ = stop.send(());
        signals.next().await;
    };
    let serving = driblet::serve_until(listener, server.router(), options, async { drop(stopped.await) });
    tokio::select! {
        served = serving => match served {
            Ok(0) => Ok(()),
            Ok(cut) => {
                print::error(format_args!("driblet: {cut} connections did not end within {} s and were cut", args.grace));
                Ok(())
            }
            Err(error) => Err(Failure::new("cannot accept connections", &error)),
        },
        () = twice => Err(Failure::said("stopped by a second signal before all answers were finished")),
    }
}

/// What asks the process to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Signals, Failure> {
        let listen = |kind| signal(kind).map_err(|error| Failure::new("cannot listen for signals", &error));
        Ok(Signals { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Lets the process open as many files as the system allows it, and says how many those are, if there is a limit.
fn raise_file_limit() -> Option<u64> {
    let now = getrlimit(Resource::Nofile);
    // A refusal leaves what there was.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum });
    getrlimit(Resource::Nofile).current
}

/// Each connection may have a file open beside its socket, and the rest of the server needs some.
fn connections_within(files: Option<u64>) -> usize {
    let max = ServeOptions::default().max_connections;
    files.map_or(max, |files| (files.saturating_sub(32) / 2).clamp(8, max as u64) as usize)
}
