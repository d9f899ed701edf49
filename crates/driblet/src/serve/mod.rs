//! Accepts connections, limits what each may occupy, and stops without cutting responses off.

mod access;
#[cfg(feature = "acme")]
mod acme;
mod addresses;
mod connection;
mod connections;
mod cut_off;
mod held;
mod listener;
mod memory;
mod options;
mod proxy_header;
mod tls;
mod tls_error;

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use rustix::io::Errno;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::client_address::ClientAddress;
pub use access::ACCESS_LOG;
#[cfg(feature = "acme")]
pub use acme::AcmeOptions;
use addresses::AddressPlace;
pub(crate) use connection::{Encrypted, LiveAnswer, Stopping};
use connections::Connections;
use listener::Accepted;
pub use listener::{Listener, Listeners};
pub use options::ServeOptions;
pub use tls::Tls;
pub use tls_error::TlsError;

/// The first pause after a connection could not be accepted for lack of file handles or memory. Each further pause is
/// twice as long, up to [`MAX_PAUSE`].
const PAUSE: Duration = Duration::from_millis(20);
/// The longest pause after a connection could not be accepted.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Serves an application over HTTP/1.1 and HTTP/2 until the future is dropped. Dropping it closes every connection at
/// once.
///
/// An event of the target [`ACCESS_LOG`] tells of each answer. Requests carry [`axum::extract::ConnectInfo`] with the client's address: 127.0.0.1 if it uses a Unix socket.
///
/// ```no_run
/// # async fn run() -> std::io::Result<()> {
/// let app = axum::Router::new().route("/", axum::routing::get(|| async { "hello" }));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// driblet::serve(listener, app, driblet::ServeOptions::default()).await
/// # }
/// ```
///
/// # Errors
/// Only if a listener itself fails. An error of one connection ends that connection only.
pub async fn serve(listeners: impl Into<Listeners>, app: Router, options: ServeOptions) -> io::Result<()> {
    serve_until(listeners, app, options, pending()).await.map(|_| ())
}

/// Serves an application over HTTP/1.1 and HTTP/2 until `stop` completes, and then stops gracefully. Gives the number of
/// connections that were cut off.
///
/// When `stop` completes, the server closes the listeners and every connection that waits for a request. Running
/// responses and WebSocket sessions may take [`ServeOptions::grace`] longer. Those that still run then are cut off.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let server = driblet::Server::builder("dist").build().await?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
/// let stop = async { drop(tokio::signal::ctrl_c().await) };
/// driblet::serve_until(listener, server.router(), driblet::ServeOptions::default(), stop).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// Only if a listener itself fails. An error of one connection ends that connection only.
pub async fn serve_until(
    listeners: impl Into<Listeners>,
    app: Router,
    options: ServeOptions,
    stop: impl Future<Output = ()>,
) -> io::Result<usize> {
    let (connections, max) = (Connections::new(options), options.max_connections.max(1));
    let mut server = AcceptLoop { app, options, connections, tasks: JoinSet::new(), max, met: None };
    let mut listeners = listeners.into();
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = server.accept(&mut listeners) => accepted?,
        };
        let Ok(address) = server.address_place(&accepted) else { continue };
        let stopped = tokio::select! {
            biased;
            () = &mut stop => true,
            () = server.free_place() => false,
        };
        server.begin(accepted, address);
        if stopped {
            break;
        }
    }
    for accepted in listeners.close()? {
        if let Ok(address) = server.address_place(&accepted) {
            server.begin(accepted, address);
        }
    }
    server.connections.stop();
    let _ = timeout(options.grace, server.connections.none_left()).await;
    Ok(server.connections.len())
}

struct AcceptLoop {
    app: Router,
    options: ServeOptions,
    connections: Arc<Connections>,
    /// Aborted when the loop is dropped.
    tasks: JoinSet<()>,
    /// The most connections. It is below the limit of the options while the system cannot serve more.
    max: usize,
    /// The number of connections when the limit was reached, until there are half as many. Each such time is logged
    /// once.
    met: Option<usize>,
}

impl AcceptLoop {
    async fn accept(&mut self, listeners: &mut Listeners) -> io::Result<Accepted> {
        let mut pause = PAUSE;
        loop {
            let accepted = tokio::select! {
                accepted = listeners.accept() => accepted,
                // What is left of a connection that has ended is freed now, and not when the next one begins.
                Some(_) = self.tasks.join_next() => continue,
            };
            let error = match accepted {
                Ok(accepted) => return Ok(accepted),
                Err(error) => error,
            };
            if is_fatal(&error) {
                return Err(error);
            }
            if !is_shortage(&error) {
                debug!(%error, "a connection was not accepted");
                if error.kind() != io::ErrorKind::ConnectionAborted {
                    sleep(PAUSE).await;
                }
                continue;
            }
            self.log_limit(|open| {
                warn!(%error, open, "the system accepts no more connections; new ones take the places of idle ones. Raise the process's limit of open files (RLIMIT_NOFILE)");
            });
            // Responses need file handles too. Accepting fewer connections leaves some for them.
            let open = self.connections.counted();
            self.max = self.max.min((open - open / 4).max(1));
            self.connections.give_way();
            let _ = timeout(pause, self.connections.changed()).await;
            pause = (2 * pause).min(MAX_PAUSE);
        }
    }

    /// The place of a connection among those of its client; none yet if a proxy has to name the client. An error if the
    /// connection must be closed.
    fn address_place(&self, accepted: &Accepted) -> Result<Option<AddressPlace>, NotServed> {
        let (peer, options) = (accepted.peer.ip(), &accepted.options);
        let client = ClientAddress::of_peer(peer, &options.proxies);
        let addresses = &self.connections.addresses;
        match options.proxy_protocol {
            false => addresses.enter(client).map(Some).ok_or(NotServed),
            true if options.proxies.contains(peer) => Ok(None),
            true => {
                addresses.log(
                    client,
                    "only trusted proxies may connect, by the PROXY protocol; name this one as trusted if it is one",
                );
                Err(NotServed)
            }
        }
    }

    /// Waits until there is a place for one more connection.
    async fn free_place(&mut self) {
        while self.max <= self.connections.counted() {
            self.log_limit(|open| {
                warn!(
                    open,
                    "the limit of connections is reached; new ones take the places of idle ones, or wait if none is idle"
                );
            });
            self.connections.give_way();
            tokio::select! {
                () = self.connections.changed() => {}
                () = sleep(connections::NEW) => {}
            }
        }
    }

    fn begin(&mut self, accepted: Accepted, address: Option<AddressPlace>) {
        while self.tasks.try_join_next().is_some() {}
        if self.met.is_some_and(|met| self.connections.counted() + 1 < met / 2) {
            self.met = None;
            self.max = self.options.max_connections.max(1);
        }
        self.tasks.spawn(connection::run(accepted, address, self.app.clone(), &self.connections));
    }

    fn log_limit(&mut self, log: impl FnOnce(usize)) {
        if self.met.is_none() {
            let open = self.connections.counted();
            self.met = Some(open);
            log(open);
        }
    }
}

/// A connection is closed before anything is read from it.
struct NotServed;

impl Drop for AcceptLoop {
    fn drop(&mut self) {
        self.connections.kill();
    }
}

/// Whether the listener itself has failed. All other errors pass.
fn is_fatal(error: &io::Error) -> bool {
    let fatal = [Errno::BADF, Errno::INVAL, Errno::NOTSOCK, Errno::OPNOTSUPP, Errno::FAULT];
    Errno::from_io_error(error).is_none_or(|error| fatal.contains(&error))
}

/// Whether the system lacks resources for another connection.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS];
    Errno::from_io_error(error).is_some_and(|error| shortages.contains(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_does_not_end_the_server() {
        for passing in [
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
            Errno::NOBUFS,
            Errno::CONNABORTED,
            Errno::CONNRESET,
            Errno::PROTO,
            Errno::PERM,
            Errno::INTR,
            Errno::NETDOWN,
            Errno::HOSTUNREACH,
            Errno::TIMEDOUT,
        ] {
            assert!(!is_fatal(&passing.into()), "{passing}");
        }
        for fatal in [Errno::BADF, Errno::INVAL, Errno::NOTSOCK] {
            assert!(is_fatal(&fatal.into()), "{fatal}");
        }
    }
}
