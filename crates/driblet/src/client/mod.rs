//! The native client: brings a file up to date with what a server publishes.
//!
//! `session` decides what to ask for, `request` asks, `apply` turns the delta into a staging file on a blocking thread,
//! `partial` keeps the bytes of an incomplete delta, and `retry` decides when to ask a busy server again. `live` follows
//! the newest version.

mod apply;
mod basis_file;
mod connector;
mod credentials;
mod directory;
mod live;
mod partial;
mod pulled;
mod request;
mod retry;
mod session;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use rustls::ClientConfig;
use url::Url;

pub use basis_file::BasisFile;
use connector::WatchConnections;
#[cfg(feature = "browser-sync-stream")]
pub(crate) use credentials::split;
pub use directory::{
    Change, ChangeKind, DirectoryProgress, FolderProblem, InvalidDirectory, PathProblem, PatternError,
    PullDirectoryError, PullDirectoryOptions, PulledDirectory,
};
pub use live::{Epoch, LiveHead, Watch};
pub use pulled::{BasisKind, Pulled};
use request::Asset;
#[cfg(feature = "browser-sync-stream")]
pub(crate) use retry::{RetryBudget, is_tls, retry_after};
use session::PullSession;

use crate::output::Output;
use crate::transfer::{Destination, Report, output};
pub use crate::transfer::{NetworkError, Phase, Progress, ProtocolError, PullError, PullOptions, PullState};
use crate::trust::trusting_the_system;

/// How long an idle connection may be used again. After that time the server may be closing it.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Pulls files from servers. Clones share one connection pool.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = driblet::Client::new()?;
/// let url = "https://example.com/app.js".parse()?;
/// let pulled = client.pull(&url, "app.js", |progress| println!("{} bytes", progress.done)).await?;
/// println!("{} bytes received for {}", pulled.received, pulled.len);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    #[cfg_attr(not(feature = "browser-sync-stream"), expect(dead_code, reason = "for WebSockets"))]
    tls: Arc<ClientConfig>,
    headers: HeaderMap,
    options: PullOptions,
}

impl Client {
    /// A client with default options.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`].
    pub fn new() -> Result<Client, ClientError> {
        Client::builder().build()
    }

    /// Begins to configure a client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Makes the file at `dest` the head of the asset at `url`. Only the difference is transferred.
    ///
    /// The basis is what `dest` holds now. `dest` is replaced in one atomic step after the new bytes are verified and
    /// durable. Until then, and after any error, it stays as it was. (If the system permits no such step, the bytes are
    /// written over the old ones, see [`output`](crate::output).) A pull that is cut off leaves the bytes of the delta
    /// beside `dest`, and the next pull continues from there.
    ///
    /// A user name and a password in `url` are sent as basic authorisation, to no other host, and are neither shown nor
    /// stored.
    ///
    /// One request is enough if the server has the held version or nothing is held. Otherwise it takes two. A pull that
    /// continued a delta asks once more, since the head may have changed.
    ///
    /// # Errors
    /// [`PullError::Network`]: try again. [`PullError::Protocol`]: the server, or a proxy before it, does not speak
    /// driblet, or sent bytes that fail verification. [`PullError::Store`]: `dest` cannot be read or written.
    pub async fn pull(
        &self,
        url: &Url,
        dest: impl AsRef<Path>,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Pulled, PullError> {
        self.pull_to(url, output(dest.as_ref())?, progress).await
    }

    /// As [`pull`](Client::pull), into any [`Output`]. An output that is not a regular file holds nothing: the whole
    /// asset is transferred, and written once it is verified.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = driblet::Client::new()?;
    /// let url = "https://example.com/app.js".parse()?;
    /// client.pull_to(&url, driblet::output::Output::stdout()?, |_| {}).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`pull`](Client::pull).
    pub async fn pull_to(
        &self,
        url: &Url,
        dest: Output,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Pulled, PullError> {
        self.run(url, dest, None, None, Arc::new(progress)).await
    }

    /// As [`pull_to`](Client::pull_to), after a [`Watch`] of the same URL told of a head. If the output holds the version
    /// before that head, and the delta is short, the delta came with the head: then no request is made.
    ///
    /// ```no_run
    /// use driblet::output::Output;
    /// use futures_util::StreamExt;
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = driblet::Client::new()?;
    /// let url = "https://example.com/app.js".parse()?;
    /// let mut heads = client.watch(&url);
    /// while let Some(head) = heads.next().await {
    ///     client.pull_live(&url, Output::at("app.js")?, &head?, |_| {}).await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`pull`](Client::pull).
    pub async fn pull_live(
        &self,
        url: &Url,
        dest: Output,
        head: &LiveHead,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Pulled, PullError> {
        self.run(url, dest, None, Some(head), Arc::new(progress)).await
    }

    /// As [`pull_to`](Client::pull_to). If the output holds nothing, another file is the basis. It is not changed.
    ///
    /// # Errors
    /// As [`pull`](Client::pull). [`PullError::Store`] too if the basis cannot be read, and [`PullError::Protocol`] if
    /// its URL is on another server.
    pub async fn pull_with_basis(
        &self,
        url: &Url,
        dest: Output,
        basis: &BasisFile,
        progress: impl Fn(Progress) + Send + Sync + 'static,
    ) -> Result<Pulled, PullError> {
        self.run(url, dest, Some(basis), None, Arc::new(progress)).await
    }

    async fn run(
        &self,
        url: &Url,
        dest: Output,
        basis: Option<&BasisFile>,
        head: Option<&LiveHead>,
        progress: Report,
    ) -> Result<Pulled, PullError> {
        let start = Instant::now();
        let mut asset = Asset::new(self.http.clone(), url, &self.options, progress.clone())?;
        let mut dest = Destination::open(dest).await?;
        if let Some(basis) = basis {
            let basis_asset = match basis.url() {
                Some(basis) if basis.origin() != url.origin() => return Err(PullError::other_server(url)),
                Some(basis) => Some(Asset::new(self.http.clone(), basis, &self.options, progress.clone())?),
                None => None,
            };
            if dest.held().is_none() {
                dest = dest.with_basis(basis.path()).await?;
                if let (Some((version, _)), Some(basis_asset)) = (dest.held(), basis_asset) {
                    asset.ask_grant(basis_asset, version).await?;
                }
            }
        }
        let session = PullSession::new(asset, dest, self.options.max_len, progress).told(head);
        let mut pulled = session.run().await?;
        pulled.elapsed = start.elapsed();
        Ok(pulled)
    }
}

#[cfg(feature = "browser-sync-stream")]
impl Client {
    pub(crate) fn tls(&self) -> Arc<ClientConfig> {
        self.tls.clone()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) fn options(&self) -> &PullOptions {
        &self.options
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&HeaderName> = self.headers.keys().collect();
        f.debug_struct("Client").field("headers", &headers).field("options", &self.options).finish_non_exhaustive()
    }
}

/// Configures a [`Client`].
///
/// ```
/// use std::time::Duration;
///
/// let client = driblet::Client::builder()
///     .header("authorization", "Bearer 8a7f")
///     .options(driblet::PullOptions::default().max_len(1 << 30))
///     .timeout(Duration::from_secs(10))
///     .build()?;
/// # drop(client);
/// # Ok::<(), driblet::ClientError>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder {
    headers: Vec<(String, String)>,
    options: PullOptions,
}

impl ClientBuilder {
    /// Adds a header to every request. After a redirect to another host, `Authorization` and `Cookie` are not sent.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> ClientBuilder {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets how long the client waits for a connection, a response, and further bytes. Default: 30 s.
    pub fn timeout(self, timeout: Duration) -> ClientBuilder {
        let options = self.options.clone().timeout(timeout);
        self.options(options)
    }

    /// Sets all limits of a pull.
    pub fn options(self, options: PullOptions) -> ClientBuilder {
        ClientBuilder { options, ..self }
    }

    /// Makes the client. It uses the certificates that the operating system trusts.
    ///
    /// # Errors
    /// [`ClientError`] for a header that is invalid, and if TLS cannot be set up.
    pub fn build(self) -> Result<Client, ClientError> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let parsed = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value));
            let (Ok(key), Ok(mut value)) = parsed else { return Err(ClientError::InvalidHeader { name }) };
            value.set_sensitive(true);
            headers.append(key, value);
        }
        let tls = trusting_the_system().map_err(|error| ClientError::setup(error.into()))?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .connect_timeout(self.options.timeout)
            .connector_layer(WatchConnections)
            .default_headers(headers.clone())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .user_agent(concat!("driblet/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ClientError::setup(error.into()))?;
        Ok(Client { http, tls: Arc::new(tls), headers, options: self.options })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&String> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("ClientBuilder").field("headers", &headers).field("options", &self.options).finish()
    }
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A header has an invalid name or value.
    #[error("the header {name:?} has an invalid name or value")]
    #[non_exhaustive]
    InvalidHeader {
        /// The name of the header.
        name: String,
    },
    /// HTTP or TLS cannot be set up.
    #[error("cannot set up HTTP and TLS")]
    #[non_exhaustive]
    Setup {
        /// What went wrong.
        source: SetupError,
    },
}

impl ClientError {
    fn setup(cause: SetupCause) -> ClientError {
        ClientError::Setup { source: SetupError(cause) }
    }
}

/// An error of the HTTP or TLS library.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct SetupError(SetupCause);

#[derive(Debug, thiserror::Error)]
enum SetupCause {
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    #[error(transparent)]
    Http(#[from] reqwest::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_sets_no_tls_provider_for_the_process() {
        Client::new().unwrap();
        assert!(rustls::crypto::CryptoProvider::get_default().is_none());
    }
}
