use std::net::SocketAddr;
use std::path::PathBuf;

use driblet::seed::RabinOptions;
use driblet::{HistoryLimits, ServeOptions, Server};
use tokio::net::TcpListener;
use tokio::signal;

use crate::chunks::chunks;
use crate::command::diff::CodecChoice;
use crate::failure::Failure;

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
    seed_chunks: RabinOptions,
    /// Answer no clients of browser-sync-stream
    #[arg(long, conflicts_with = "seed_chunks")]
    no_seed: bool,
}

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
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
    let limits = HistoryLimits { versions: args.history_versions, bytes: args.history_bytes };
    let mut builder = Server::builder(&args.path)
        .history_limits(limits)
        .hidden(args.hidden)
        .codec(args.codec.over(args.link))
        .ahead(args.ahead)
        .seed((!args.no_seed).then_some(args.seed_chunks));
    if let Some(history) = &args.history {
        builder = builder.history(history);
    }
    builder = args.allow_host.iter().fold(builder, |builder, host| builder.allow_host(host));
    builder = args.allow_origin.iter().fold(builder, |builder, origin| builder.allow_origin(origin));
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Failure::new(format_args!("cannot listen on {}", args.listen), &error))?;
    let server = builder.build().await.map_err(|error| Failure::new("cannot serve", &error))?;
    let address = listener.local_addr().map_err(|error| Failure::new("cannot listen", &error))?;
    eprintln!("listening on http://{address}/");
    tokio::select! {
        result = driblet::serve(listener, server.router(), ServeOptions::default()) => {
            result.map_err(|error| Failure::new("cannot accept connections", &error))
        }
        _ = signal::ctrl_c() => Ok(()),
    }
}
