//! Live streams by the thousand, for `python3 bench/run.py live`.
//!
//! - `driblet-bench-live streams URL COUNT http1|http2` holds live streams open and measures what they tell. Lines on its
//!   standard input say what to do; each is answered by a line.
//! - `driblet-bench-live copy FROM TO` copies, hashes and flushes a file.
//! - `driblet-bench-live plain` writes bytes to plain sockets: the least that telling so many receivers can cost.

mod board;
mod commands;
mod copy;
mod events;
mod http1;
mod http2;
mod plain;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use board::Board;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;

/// How many streams are opened at a time: fewer than the connections that a server accepts besides live streams.
const AT_A_TIME: usize = 64;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A path on a server of this machine.
#[derive(Clone, Debug)]
struct Place {
    address: SocketAddr,
    path: String,
}

fn main() -> Result<(), Failure> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // As many threads as the server that it is compared with.
        ["plain"] => Builder::new_multi_thread().enable_all().build()?.block_on(plain::serve())?,
        // One thread, so that a core is left for the server.
        ["streams", url, count, version @ ("http1" | "http2")] => {
            let streams = streams(Place::of(url)?, count.parse()?, version == "http2");
            Builder::new_current_thread().enable_all().build()?.block_on(streams)?;
        }
        ["copy", from, to] => copy::copy(from, to)?,
        _ => return Err("driblet-bench-live copy FROM TO | plain | streams URL COUNT http1|http2".into()),
    }
    Ok(())
}

async fn streams(place: Place, count: usize, is_http2: bool) -> Result<(), Failure> {
    let board = Arc::new(Board::new(count));
    if is_http2 {
        http2::open(&place, count, &board).await?
    } else {
        http1::open(&place, count, &board)
    }
    commands::obey(&place, &board).await
}

impl Place {
    fn of(url: &str) -> Result<Place, Failure> {
        let (address, path) =
            url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or("no http:// URL")?;
        Ok(Place { address: address.parse()?, path: format!("/{path}") })
    }
}

/// A connection that sends at once what it is given.
async fn connect(place: &Place) -> io::Result<tokio::net::TcpStream> {
    let stream = tokio::net::TcpStream::connect(place.address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
