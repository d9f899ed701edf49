//! Where `driblet serve` listens: addresses, Unix sockets, and sockets that systemd passes.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use driblet::{Listener, Tls, TlsError};
use listenfd::ListenFd;
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use crate::failure::Failure;

/// The most connections that wait until the server accepts them. If more arrive at once, the system drops their first
/// packets, and those clients try again only after a second or longer.
const BACKLOG: u32 = 4096;

#[derive(clap::Args)]
pub(crate) struct ListenArgs {
    /// An address to listen on, or unix:PATH for a Unix socket; may be given several times. Port 0 takes a free one
    /// [default: the sockets that systemd passes, or else 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Vec<Address>,
    /// A file with the server's certificate and, after it, those of its issuers, in PEM form: addresses then use TLS,
    /// with HTTP/2 and HTTP/1.1
    ///
    /// It is read again on SIGHUP, and when it changes. Connections that run stay open.
    #[arg(long, value_name = "FILE", requires = "tls_key", group = "certificate")]
    tls_cert: Option<PathBuf>,
    /// The file with the certificate's private key, in PEM form
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    #[cfg(feature = "acme")]
    #[command(flatten)]
    acme: AcmeArgs,
    /// Another address, without TLS, whose answers send the client to the same URL with https
    #[arg(long, value_name = "ADDR", requires = "certificate")]
    redirect_http: Option<SocketAddr>,
}

/// A certificate from an authority.
#[cfg(feature = "acme")]
#[derive(clap::Args)]
struct AcmeArgs {
    /// A domain of this server, for which an authority gives a certificate by ACME: Let's Encrypt, unless
    /// --acme-directory names another one. May be given several times
    ///
    /// Port 443 of each domain must lead to this server. Whoever uses it agrees to the terms of the authority.
    #[arg(long, value_name = "DOMAIN", requires = "acme_folder", group = "certificate")]
    acme_domain: Vec<String>,
    /// A folder that keeps the certificate and the keys between two runs
    #[arg(long, value_name = "FOLDER", requires = "acme_domain")]
    acme_folder: Option<PathBuf>,
    /// An e-mail address at which the authority can reach you
    #[arg(long, value_name = "ADDRESS", requires = "acme_domain")]
    acme_contact: Vec<String>,
    /// The URL of another authority's ACME directory
    #[arg(long, value_name = "URL", requires = "acme_domain")]
    acme_directory: Option<String>,
}

#[cfg(feature = "acme")]
impl AcmeArgs {
    fn options(&self) -> Option<driblet::AcmeOptions> {
        let options = driblet::AcmeOptions::new(&self.acme_domain, self.acme_folder.as_ref()?);
        let options = self.acme_contact.iter().fold(options, |options, address| options.contact(address));
        Some(self.acme_directory.iter().fold(options, driblet::AcmeOptions::directory))
    }
}

#[derive(Clone, Debug)]
enum Address {
    Network(SocketAddr),
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("unix: needs the path of the socket after it".into()),
            Some(path) => Ok(Address::Unix(path.into())),
            None => text.parse().map(Address::Network).map_err(|_| {
                "it is neither an address such as 127.0.0.1:8080 or [::]:443, nor unix: and the path of a socket".into()
            }),
        }
    }
}

/// The sockets that systemd has passed to this process.
pub(crate) struct Passed(Vec<io::Result<Socket>>);

enum Socket {
    Network(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Passed {
    /// Call it before there are other threads: it changes the environment.
    pub(crate) fn take() -> Passed {
        let mut passed = ListenFd::from_env();
        let sockets = (0..passed.len()).map(|index| match passed.take_tcp_listener(index) {
            Ok(Some(socket)) => Ok(Some(Socket::Network(socket))),
            _ => passed.take_unix_listener(index).map(|socket| socket.map(Socket::Unix)),
        });
        Passed(sockets.filter_map(Result::transpose).collect())
    }
}

/// What the server listens on.
pub(crate) struct Listening {
    pub(crate) listeners: Vec<Listener>,
    /// Listens for clients that are sent to the URL with https.
    pub(crate) redirecting: Option<TcpListener>,
    /// The port to which they are sent.
    pub(crate) https_port: u16,
    pub(crate) tls: Option<Tls>,
    /// A line for each listener that says where it is.
    pub(crate) urls: Vec<String>,
    made: Made,
}

/// The Unix sockets that this process has made. They are removed when it ends.
#[derive(Default)]
struct Made(Vec<PathBuf>);

impl Drop for Made {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

impl ListenArgs {
    pub(crate) async fn listen(&self, passed: Passed) -> Result<Listening, Failure> {
        let tls = self.tls().transpose().map_err(|error| Failure::new("cannot use TLS", &error))?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let mut listening = Listening {
            listeners: Vec::new(),
            redirecting: None,
            https_port: 443,
            tls,
            urls: Vec::new(),
            made: Made::default(),
        };
        let default = [Address::Network(SocketAddr::from(([127, 0, 0, 1], 8080)))];
        let addresses = if self.listen.is_empty() && passed.0.is_empty() { &default[..] } else { &self.listen };
        for socket in passed.0 {
            let cannot = |error: &io::Error| Failure::new("cannot listen on a socket that systemd has passed", error);
            match socket.map_err(|error| cannot(&error))? {
                Socket::Network(socket) => {
                    socket.set_nonblocking(true).map_err(|error| cannot(&error))?;
                    let socket = TcpListener::from_std(socket).map_err(|error| cannot(&error))?;
                    listening.add_network(socket, scheme).map_err(|error| cannot(&error))?;
                }
                Socket::Unix(socket) => {
                    socket.set_nonblocking(true).map_err(|error| cannot(&error))?;
                    let name = socket.local_addr().ok().and_then(|name| name.as_pathname().map(Path::to_path_buf));
                    let socket = UnixListener::from_std(socket).map_err(|error| cannot(&error))?;
                    listening.add_unix(socket, &name.unwrap_or_default());
                }
            }
        }
        for address in addresses {
            let cannot = |error: &io::Error| Failure::new(format_args!("cannot listen on {address}"), error);
            match address {
                Address::Network(place) => {
                    let socket = bind_network(*place).map_err(|error| cannot(&error))?;
                    listening.add_network(socket, scheme).map_err(|error| cannot(&error))?;
                }
                Address::Unix(path) => {
                    let socket = bind_unix(path).map_err(|error| cannot(&error))?;
                    listening.made.0.push(path.clone());
                    listening.add_unix(socket, path);
                }
            }
        }
        if let Some(address) = self.redirect_http {
            let cannot = |error| Failure::new(format_args!("cannot listen on {address}"), &error);
            let socket = bind_network(address).map_err(cannot)?;
            let address = socket.local_addr().map_err(cannot)?;
            listening.urls.push(format!("redirecting from http://{address}/"));
            listening.redirecting = Some(socket);
        }
        Ok(listening)
    }

    /// The domains that the server has a certificate for.
    pub(crate) fn domains(&self) -> &[String] {
        #[cfg(feature = "acme")]
        return &self.acme.acme_domain;
        #[cfg(not(feature = "acme"))]
        &[]
    }

    fn tls(&self) -> Option<Result<Tls, TlsError>> {
        #[cfg(feature = "acme")]
        if let Some(options) = self.acme.options() {
            return Some(Tls::acme(options));
        }
        Some(Tls::open(self.tls_cert.as_ref()?, self.tls_key.as_ref()?))
    }
}

impl Listening {
    fn add_network(&mut self, socket: TcpListener, scheme: &str) -> io::Result<()> {
        let address = socket.local_addr()?;
        self.urls.push(format!("listening on {scheme}://{address}/"));
        let listener = Listener::from(socket);
        self.listeners.push(match &self.tls {
            Some(tls) => {
                self.https_port = if self.listeners.is_empty() { address.port() } else { self.https_port };
                listener.tls(tls)
            }
            None => listener,
        });
        Ok(())
    }

    fn add_unix(&mut self, socket: UnixListener, path: &Path) {
        self.urls.push(format!("listening on unix:{}", path.display()));
        self.listeners.push(socket.into());
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Network(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Listens on an address.
fn bind_network(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that starts anew need not wait for the end of the connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Makes a Unix socket, in place of one that another process has left behind.
fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    let is_socket = path.symlink_metadata().is_ok_and(|metadata| metadata.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        fs::remove_file(path)?;
    }
    UnixListener::bind(path)
}
