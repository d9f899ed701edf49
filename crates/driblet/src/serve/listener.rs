//! What a server listens on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};

use futures_util::future::poll_fn;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_util::either::Either;

use super::tls::Tls;
use crate::trusted_proxies::TrustedProxies;

/// The address of clients that use a Unix socket: they run on this machine.
const THIS_MACHINE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(super) type Stream = Either<TcpStream, UnixStream>;

/// A socket on which a server listens: a TCP or a Unix one, with or without TLS.
#[derive(Debug)]
pub struct Listener {
    socket: Either<TcpListener, UnixListener>,
    options: ListenerOptions,
}

#[derive(Clone, Default, Debug)]
pub(super) struct ListenerOptions {
    pub(super) tls: Option<Tls>,
    pub(super) proxies: TrustedProxies,
    /// Whether each connection begins with a header of the PROXY protocol.
    pub(super) proxy_protocol: bool,
}

/// The sockets on which a server listens: one, or a `Vec` of several.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let app = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
/// let tls = driblet::Tls::open("cert.pem", "key.pem")?;
/// let network = driblet::Listener::from(tokio::net::TcpListener::bind("0.0.0.0:443").await?).tls(&tls);
/// let machine = driblet::Listener::from(tokio::net::UnixListener::bind("/run/app/http.sock")?);
/// driblet::serve(vec![network, machine], app, driblet::ServeOptions::default()).await?;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Listeners {
    all: Vec<Listener>,
    /// The one that is asked first, so that none waits for the others for ever.
    next: usize,
}

/// A connection that was accepted.
pub(super) struct Accepted {
    pub(super) stream: Stream,
    pub(super) peer: SocketAddr,
    pub(super) options: ListenerOptions,
}

impl Listener {
    /// Has clients use TLS.
    #[must_use]
    pub fn tls(self, tls: &Tls) -> Listener {
        Listener { options: ListenerOptions { tls: Some(tls.clone()), ..self.options }, ..self }
    }

    /// Sets the proxies that are trusted: their connections have no limit of number, and may begin with a header of the
    /// [PROXY protocol](Listener::proxy_protocol). Proxies on this machine are always trusted.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let proxies = driblet::TrustedProxies::parse(["10.0.0.0/8"])?;
    /// let socket = tokio::net::TcpListener::bind("0.0.0.0:8080").await?;
    /// let listener = driblet::Listener::from(socket).trust_proxies(&proxies).proxy_protocol(true);
    /// # drop(listener);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn trust_proxies(self, proxies: &TrustedProxies) -> Listener {
        Listener { options: ListenerOptions { proxies: proxies.clone(), ..self.options }, ..self }
    }

    /// Whether each connection begins with a header of the PROXY protocol, version 1 or 2, that states the client's
    /// address. Then only trusted proxies may connect. Default: no.
    #[must_use]
    pub fn proxy_protocol(self, proxy_protocol: bool) -> Listener {
        Listener { options: ListenerOptions { proxy_protocol, ..self.options }, ..self }
    }

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let accepted = match &self.socket {
            Either::Left(tcp) => tcp.poll_accept(context).map_ok(|(stream, peer)| (Either::Left(stream), peer)),
            Either::Right(unix) => {
                unix.poll_accept(context).map_ok(|(stream, _)| (Either::Right(stream), THIS_MACHINE))
            }
        };
        accepted.map_ok(|(stream, peer)| Accepted { stream, peer, options: self.options.clone() })
    }

    /// Closes the socket, and gives the clients in its queue. They are connected already, even if the runtime does not
    /// know of them yet.
    fn close(self) -> io::Result<Vec<Accepted>> {
        let mut left: Vec<(Stream, SocketAddr)> = Vec::new();
        match self.socket {
            Either::Left(tcp) => {
                let tcp = tcp.into_std()?;
                while let Ok((stream, peer)) = tcp.accept() {
                    let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                    left.extend(stream.map(|stream| (Either::Left(stream), peer)));
                }
            }
            Either::Right(unix) => {
                let unix = unix.into_std()?;
                while let Ok((stream, _)) = unix.accept() {
                    let stream = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
                    left.extend(stream.map(|stream| (Either::Right(stream), THIS_MACHINE)));
                }
            }
        }
        let options = self.options;
        Ok(left.into_iter().map(|(stream, peer)| Accepted { stream, peer, options: options.clone() }).collect())
    }
}

impl Listeners {
    pub(super) async fn accept(&mut self) -> io::Result<Accepted> {
        poll_fn(|context| {
            for turn in 0..self.all.len() {
                let at = (self.next + turn) % self.all.len();
                if let Poll::Ready(accepted) = self.all[at].poll_accept(context) {
                    self.next = at + 1;
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Closes all sockets, and gives the clients in their queues.
    pub(super) fn close(self) -> io::Result<Vec<Accepted>> {
        let left: Result<Vec<_>, _> = self.all.into_iter().map(Listener::close).collect();
        Ok(left?.into_iter().flatten().collect())
    }
}

impl From<TcpListener> for Listener {
    fn from(socket: TcpListener) -> Listener {
        Listener { socket: Either::Left(socket), options: ListenerOptions::default() }
    }
}

impl From<UnixListener> for Listener {
    fn from(socket: UnixListener) -> Listener {
        Listener { socket: Either::Right(socket), options: ListenerOptions::default() }
    }
}

impl From<Vec<Listener>> for Listeners {
    fn from(all: Vec<Listener>) -> Listeners {
        Listeners { all, next: 0 }
    }
}

impl From<Listener> for Listeners {
    fn from(listener: Listener) -> Listeners {
        vec![listener].into()
    }
}

impl From<TcpListener> for Listeners {
    fn from(socket: TcpListener) -> Listeners {
        Listener::from(socket).into()
    }
}

impl From<UnixListener> for Listeners {
    fn from(socket: UnixListener) -> Listeners {
        Listener::from(socket).into()
    }
}
