use std::error::Error;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use driblet::browser_sync_stream::RabinOptions;
use driblet::{Access, HistoryLimits, Listener, ServeOptions, Server, Tls};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind};
use tokio::sync::watch;

use crate::access::AccessArgs;
use crate::codec::CodecArgs;
use crate::config::ConfigArgs;
use crate::failure::{Failure, flag};
use crate::listen::{ListenArgs, Passed};
use crate::log::{self, AccessLog};
use crate::metrics::Metrics;
use crate::print;
use crate::signals::{EndSignals, listen};
use crate::website::WebsiteArgs;

/// Publish a folder or a file, so that receivers need only what changed
///
/// Every file is served as it is. Deltas between its versions are served below FILE.driblet/. Pages import the client
/// from /.driblet/client.js. The history stores old versions, so that a receiver that was away for a while still gets a
/// delta. Receivers that do not accept the codec get fast deltas. SIGHUP publishes changed folders at once, as `driblet
/// publish` does.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  driblet serve dist/ --listen 127.0.0.1:8080")]
pub(crate) struct Args {
    /// The folder or file to publish; a file is also served at /
    path: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    listen: ListenArgs,
    /// The folder in which versions are stored [default: a folder in the user's cache]
    #[arg(long, value_name = "DIR")]
    history: Option<PathBuf>,
    /// The most versions of each file that are stored
    #[arg(long, value_name = "N", default_value_t = HistoryLimits::default().versions)]
    history_versions: usize,
    /// The most bytes of all stored versions together
    #[arg(long, value_name = "N", default_value_t = HistoryLimits::default().bytes)]
    history_bytes: u64,
    /// Publish files and folders whose names begin with a dot too
    #[arg(long)]
    hidden: bool,
    /// Serve this folder below PATH as a snapshot of its own, besides PATH itself
    ///
    /// A snapshot is a folder that is pulled as a whole: `driblet pull http://HOST/FOLDER/ DIR`.
    #[arg(long, value_name = "FOLDER")]
    directory: Vec<String>,
    /// Do not watch the folders of snapshots; look for changes at each request instead
    #[arg(long)]
    no_watch: bool,
    /// Leave files out of snapshots, by a pattern as in .gitignore; they are still served as files
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Say that only some users may see the files, so that shared caches keep no answers for others
    ///
    /// Answers to requests with a Cookie or Authorization are private in any case.
    #[arg(long)]
    private: bool,
    /// Tell the service workers of pages to unregister, and to delete what they stored
    ///
    /// The way back from a release whose worker does harm: pages load from the network again. Takes effect at a page's
    /// next navigation.
    #[arg(long)]
    unregister: bool,
    /// Write a line to stdout for each answer
    ///
    /// The time, the client's address, the method, the path, the protocol, the status, the bytes of the body that were
    /// sent, the milliseconds, and the client's own words: its agent and the page that it came from.
    #[arg(long, value_name = "FORM")]
    access_log: Option<AccessLog>,
    /// Another address, at which metrics in the text format of Prometheus are read: http://ADDR/metrics. Everyone who can
    /// reach it may read them
    #[arg(long, value_name = "ADDR")]
    metrics: Option<SocketAddr>,
    /// Another host name of the server, besides addresses and localhost
    #[arg(long, value_name = "H")]
    allow_host: Vec<String>,
    /// Another origin whose pages may sync, such as https://app.example
    #[arg(long, value_name = "O")]
    allow_origin: Vec<String>,
    /// Seconds that a connection may be idle between two requests; set more than the idle timeout of a load balancer in
    /// front
    #[arg(long, value_name = "SECONDS", default_value_t = ServeOptions::default().keep_alive.as_secs(), value_parser = clap::value_parser!(u64).range(1..))]
    keep_alive: u64,
    /// Seconds that running responses have to finish after SIGTERM or SIGINT; a second signal ends them at once
    #[arg(long, value_name = "SECONDS", default_value_t = ServeOptions::default().grace.as_secs())]
    grace: u64,
    /// The most connections; at this limit new ones take the places of idle ones [default: 1024, or what the limit of
    /// open files allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: Option<u32>,
    /// The most live streams, by which open pages hear of new versions; each needs a connection of its own over HTTP/1.1.
    /// Further ones get 503 [default: 16384, or what the limit of open files allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_live: Option<u32>,
    #[command(flatten)]
    codec: CodecArgs,
    /// How many previous versions get a delta to a new version before any receiver asks for one
    ///
    /// Receivers then get the delta of the codec without waiting for an encoder. The server notices a new version at the
    /// first request for the file, and at the start. It makes the deltas in the background, one at a time, those from
    /// newer versions first, for files of 16 KiB to 1 GiB; those of files above 64 MiB are last. With 0 each delta is made when a receiver asks for it.
    /// RUST_LOG=driblet=info shows what is made.
    #[arg(long, value_name = "K", default_value_t = 3)]
    ahead: usize,
    /// How files are cut for clients of browser-sync-stream, which open a WebSocket on the path of a file
    ///
    /// BITS is log2 of the average chunk length beyond MIN. MIN and MAX are in bytes. 0 is the default of each. These
    /// are the options of npm rabin.
    #[arg(long, value_name = "BITS,MIN,MAX", default_value = "12,8192,32768")]
    rabin: RabinOptions,
    /// Do not answer clients of browser-sync-stream
    #[arg(long, conflicts_with = "rabin")]
    no_browser_sync_stream: bool,
    // The last ones: each has a heading of its own, which flags after it would get too.
    #[command(flatten)]
    website: WebsiteArgs,
    #[command(flatten)]
    access: AccessArgs,
}

/// The default of `--max-live`.
const MAX_LIVE: usize = 16_384;

/// Runs the server. `unknown` are the variables that look like settings and are none.
pub(crate) fn run(args: Args, unknown: &[String]) -> Result<(), Failure> {
    let passed = Passed::take();
    let _log = log::begin(args.access_log).map_err(|error| Failure::new("cannot start", &error))?;
    unknown.iter().for_each(|variable| tracing::warn!("{variable}"));
    if let Some(file) = &args.config.file {
        tracing::info!(file = %file.display(), "settings are read from a file");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new("cannot start", &error))?;
    let result = runtime.block_on(serve(args, passed));
    // Deltas that are being made now are made again when a receiver asks for them.
    runtime.shutdown_background();
    result
}

async fn serve(args: Args, passed: Passed) -> Result<(), Failure> {
    // First of all: the first process of a container gets only signals that it has asked for.
    let mut signals = Signals::new()?;
    let limits = HistoryLimits::default().versions(args.history_versions).bytes(args.history_bytes);
    let mut builder = Server::builder(&args.path)
        .history_limits(limits)
        .hidden(args.hidden)
        .directory("")
        .watch(!args.no_watch)
        .private(args.private)
        .unregister(args.unregister)
        .name_options(flag)
        .codec(args.codec.codec())
        .ahead(args.ahead)
        .browser_sync_stream((!args.no_browser_sync_stream).then_some(args.rabin));
    if let Some(history) = &args.history {
        builder = builder.history(history);
    }
    builder = args.directory.iter().fold(builder, |builder, path| builder.directory(path));
    builder = args.exclude.iter().fold(builder, |builder, pattern| builder.exclude(pattern));
    builder = args.website.configure(builder);
    builder =
        args.allow_host.iter().chain(args.listen.domains()).fold(builder, |builder, host| builder.allow_host(host));
    builder = args.allow_origin.iter().fold(builder, |builder, origin| builder.allow_origin(origin));
    let access = args.access.open()?;
    builder = args.access.configure(builder, access.as_ref());
    let options = args.access.options(ServeOptions::for_open_files());
    let max_connections = args.max_connections.map_or(options.max_connections, |max| max as usize);
    let options = options
        .keep_alive(Duration::from_secs(args.keep_alive))
        .grace(Duration::from_secs(args.grace))
        .max_connections(max_connections);
    let max_live = args.max_live.map_or(MAX_LIVE, |max| max as usize);
    let live = options.live_streams(max_live);
    builder = builder.max_live(live);
    let listening = args.listen.listen(passed).await?;
    let metrics = match args.metrics {
        Some(address) => Some(Metrics::begin(address).await?),
        None => None,
    };
    let listeners = args.access.listeners(listening.listeners)?;
    let redirecting = args.access.listeners(listening.redirecting.map(Listener::from).into_iter().collect())?;
    let server = tokio::select! {
        server = builder.build() => server.map_err(|error| Failure::new("cannot serve", &error))?,
        () = signals.next() => return Ok(()),
    };
    let _control = server.control_socket().inspect_err(|error| {
        tracing::warn!(%error, "there is no control socket; `driblet publish` and `driblet history` do not work");
    });
    listening.urls.iter().for_each(print::error);
    metrics.iter().for_each(|metrics| print::error(format_args!("metrics on {}", metrics.url)));
    if live < max_live {
        tracing::warn!(
            live,
            "the limit of open files allows no more live streams, although it was raised as far as the system allows; raise it (ulimit -n, LimitNOFILE=) or set --max-live"
        );
    } else {
        tracing::info!(max_connections, live, "the limit of open files was raised as far as the system allows");
    }
    // Nobody may listen; then it is not needed.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    if let Some(tls) = &listening.tls {
        tokio::spawn(tls.clone().follow());
    }
    if let Some(access) = &access {
        tokio::spawn(access.clone().follow());
    }
    let (stop, stopped) = watch::channel(false);
    let twice = async {
        signals.next_or_hangups(&server, listening.tls.as_ref(), access.as_ref()).await;
        let _ = sd_notify::notify(&[NotifyState::Stopping]);
        // This fails only if the server has ended already.
        let _ = stop.send(true);
        signals.next().await;
    };
    let stops = |mut stopped: watch::Receiver<bool>| async move { drop(stopped.wait_for(|stopped| *stopped).await) };
    let serving = driblet::serve_until(listeners, server.router(), options, stops(stopped.clone()));
    let redirecting = async {
        if redirecting.is_empty() {
            return Ok(0);
        }
        let app = driblet::redirect_to_https(listening.https_port);
        driblet::serve_until(redirecting, app, options, stops(stopped.clone())).await
    };
    let measuring = async {
        match metrics {
            None => Ok(0),
            Some(metrics) => metrics.serve(&server, stops(stopped.clone())).await,
        }
    };
    tokio::select! {
        served = async { tokio::try_join!(serving, redirecting, measuring) } => match served {
            Ok((0, ..)) => Ok(()),
            Ok((cut, ..)) => {
                print::error(format_args!("driblet: {cut} connections did not end within {} s and were cut off", args.grace));
                Ok(())
            }
            Err(error) => Err(Failure::new("cannot accept connections", &error)),
        },
        () = twice => Err(Failure::said("stopped by a second signal before all responses were finished")),
    }
}

/// The signals that ask the process to stop, or to publish.
struct Signals {
    end: EndSignals,
    hangup: Signal,
    /// Whether the process was started in a terminal, and shall end with it.
    has_terminal: bool,
}

impl Signals {
    fn new() -> Result<Signals, Failure> {
        // Read before the signal is listened for. `nohup` has it ignored, so that the end of the terminal is no end.
        let is_ignored = is_hangup_ignored();
        Ok(Signals {
            end: EndSignals::new()?,
            hangup: listen(SignalKind::hangup())?,
            has_terminal: !is_ignored && has_terminal(),
        })
    }

    /// As [`next`](Signals::next). Meanwhile, each SIGHUP makes the server publish and read its certificate and its access
    /// rules again, unless its terminal was closed.
    async fn next_or_hangups(&mut self, server: &Server, tls: Option<&Tls>, access: Option<&Access>) {
        loop {
            tokio::select! {
                () = self.end.next() => return,
                _ = self.hangup.recv() => {
                    if self.has_terminal && !has_terminal() {
                        return;
                    }
                    let (server, tls, access) = (server.clone(), tls.cloned(), access.cloned());
                    tokio::spawn(async move {
                        if let Some(Err(error)) = tls.map(|tls| tls.reload()) {
                            warn(&error, "the certificate from before stays in use");
                        }
                        if let Some(Err(error)) = access.map(|access| access.reload()) {
                            warn(&error, "the access rules from before stay in force");
                        }
                        if let Err(error) = server.publish(None).await {
                            warn(&error, "cannot publish");
                        }
                    });
                }
            }
        }
    }

    async fn next(&mut self) {
        self.end.next().await;
    }
}

fn warn(error: &dyn Error, what: &str) {
    let source = error.source().map(ToString::to_string);
    tracing::warn!(%error, source, "{what}");
}

fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // The first signal of the mask is SIGHUP.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}
