mod error;
mod metrics_page;
mod visitors;
mod website;

use std::io;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use driblet_core::{Codec, Version};
use tokio::sync::Semaphore;

pub use error::{BadPattern, BuildError};

use crate::access::Access;
use crate::artifacts::{ArtifactOptions, Artifacts};
#[cfg(feature = "browser-sync-stream")]
use crate::browser_sync_stream::{ChunkLists, RabinOptions};
use crate::control::{CommandError, ControlSocket, ForgottenVersions, PathVersions, PublishedSnapshot};
use crate::history::{DirectoryHistory, History, HistoryLimits};
use crate::http::{
    self, AddressLimits, Grants, Guard, HeaderRule, NameOption, RedirectRule, SiteRules, Visitors, name_method,
};
use crate::live::LiveStreams;
use crate::publisher::{Publisher, SnapshotOptions};
use crate::sidecars::Sidecars;
use crate::site::{Manifests, RecentVersions, Site, Stats};
use crate::source::Source;
use crate::task::blocking;
use crate::trusted_proxies::{BadProxy, TrustedProxies};

/// How many signatures are received at the same time.
const SIGNATURES: usize = 16;
/// How many signatures a client may send each minute.
const SIGNATURES_PER_MINUTE: NonZeroU32 = NonZeroU32::new(60).expect("it is not 0");
/// The longest that a request waits in a queue: less than clients wait for a first byte.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);

/// Publishes a file or a folder: the files themselves, and deltas between their versions. Clones share one server.
///
/// ```no_run
/// # async fn run() -> Result<(), driblet::BuildError> {
/// let server = driblet::Server::builder("dist").build().await?;
/// server.indexed().await;
/// server.prepared().await;
/// let app: axum::Router = axum::Router::new().nest_service("/assets", server.router());
/// println!("{} files were read", server.stats().readings);
/// # drop(app);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Server {
    site: Arc<Site>,
    visitors: Arc<Visitors>,
    history: PathBuf,
}

impl Server {
    /// Begins to configure a server of `root`, a folder or one file.
    pub fn builder(root: impl Into<PathBuf>) -> ServerBuilder {
        ServerBuilder {
            root: root.into(),
            history: None,
            limits: HistoryLimits::default(),
            hidden: false,
            hosts: Vec::new(),
            origins: Vec::new(),
            proxies: Vec::new(),
            access: None,
            signatures_per_minute: SIGNATURES_PER_MINUTE,
            max_answers_per_address: 128,
            max_live: 16_384,
            deadline: Duration::from_secs(30),
            artifact_bytes: 512 << 20,
            memory: 512 << 20,
            encoders: 2,
            max_tags: 1 << 20,
            codec: Codec::Auto { bits_per_second: 20_000_000 },
            ahead: 3,
            snapshots: SnapshotOptions::default(),
            private: false,
            unregister: false,
            single_page: false,
            headers: Vec::new(),
            dictionaries: true,
            listing: false,
            security: false,
            redirects: Vec::new(),
            name_option: name_method,
            #[cfg(feature = "browser-sync-stream")]
            browser_sync_stream: Some(RabinOptions::default()),
        }
    }

    /// A router that answers every path. Serve it as it is, or nest it in another application.
    pub fn router(&self) -> Router {
        http::router(self.site.clone(), self.visitors.clone())
    }

    /// Waits until every file that was there at the start is hashed and copied into the history. Requests are answered
    /// before that too.
    pub async fn indexed(&self) {
        self.site.publisher.indexed().await;
    }

    /// Waits until no delta and no encoded file is made or queued in the background, including those that are queued
    /// meanwhile.
    pub async fn prepared(&self) {
        self.site.artifacts.prepared().await;
    }

    /// Publishes the file or the directory at a path now, or all directories, and gives what is published then. The
    /// server does not wait until a directory is quiet: call this when a build is complete.
    ///
    /// ```no_run
    /// # async fn run(server: driblet::Server) -> Result<(), driblet::control::CommandError> {
    /// for snapshot in server.publish(None).await? {
    ///     println!("{} is {}", snapshot.path, snapshot.version);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`CommandError::NoSnapshot`] if there is nothing at the path; [`CommandError::Publish`] if a file cannot be read or
    /// stored.
    pub async fn publish(&self, path: Option<&str>) -> Result<Vec<PublishedSnapshot>, CommandError> {
        self.site.publish(path).await
    }

    /// The versions that the history has of a path, or of all paths. The path of a directory ends with `/`.
    ///
    /// # Errors
    /// [`CommandError::NotStored`] if the history has nothing of the path.
    pub async fn versions(&self, path: Option<&str>) -> Result<Vec<PathVersions>, CommandError> {
        self.site.list(path).await
    }

    /// Withdraws a version of a path, or all: its bytes are removed from the history, at every path and in every version
    /// of a directory that has them. Remove or replace the file first. Receivers and caches that have the bytes keep
    /// them.
    ///
    /// # Errors
    /// [`CommandError::NotStored`] if the history does not have it; [`CommandError::StillPublished`] if it is published
    /// anywhere now.
    pub async fn forget(&self, path: &str, version: Option<Version>) -> Result<ForgottenVersions, CommandError> {
        self.site.forget(path, version).await
    }

    /// Opens a socket in the folder of the history, through which other processes of this user call
    /// [`publish`](Server::publish), [`versions`](Server::versions) and [`forget`](Server::forget) with
    /// [`Control`](crate::control::Control).
    ///
    /// # Errors
    /// Fails if the socket cannot be made.
    pub fn control_socket(&self) -> io::Result<ControlSocket> {
        ControlSocket::open(self.site.clone(), &self.history)
    }

    /// How much work the server has done.
    pub fn stats(&self) -> Stats {
        self.site.stats()
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let root = self.site.publisher.source().path();
        f.debug_struct("Server").field("root", &root).field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// Configures a [`Server`].
///
/// ```
/// use std::time::Duration;
///
/// let builder = driblet::Server::builder("dist")
///     .history("/var/cache/app")
///     .history_limits(driblet::HistoryLimits::default().versions(20))
///     .hidden(true)
///     .allow_host("assets.example")
///     .allow_origin("https://app.example")
///     .trust_proxy("10.0.0.0/8")
///     .max_answers_per_address(16)
///     .deadline(Duration::from_secs(20))
///     .artifact_bytes(1 << 30)
///     .memory(256 << 20)
///     .encoders(4)
///     .max_tags(1 << 18)
///     .codec(driblet::Codec::Dense)
///     .ahead(2);
/// # drop(builder);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ServerBuilder {
    root: PathBuf,
    history: Option<PathBuf>,
    limits: HistoryLimits,
    hidden: bool,
    hosts: Vec<String>,
    origins: Vec<String>,
    proxies: Vec<String>,
    access: Option<Access>,
    signatures_per_minute: NonZeroU32,
    max_answers_per_address: usize,
    max_live: usize,
    deadline: Duration,
    artifact_bytes: u64,
    memory: usize,
    encoders: usize,
    max_tags: u64,
    codec: Codec,
    ahead: usize,
    snapshots: SnapshotOptions,
    private: bool,
    unregister: bool,
    single_page: bool,
    headers: Vec<(String, String, String)>,
    dictionaries: bool,
    listing: bool,
    security: bool,
    redirects: Vec<(String, String, u16)>,
    name_option: NameOption,
    #[cfg(feature = "browser-sync-stream")]
    browser_sync_stream: Option<RabinOptions>,
}

impl ServerBuilder {
    /// The folder in which versions are stored. Default: a folder in the user's cache, one for each root.
    pub fn history(self, folder: impl Into<PathBuf>) -> ServerBuilder {
        ServerBuilder { history: Some(folder.into()), ..self }
    }

    /// How many versions are stored.
    pub fn history_limits(self, limits: HistoryLimits) -> ServerBuilder {
        ServerBuilder { limits, ..self }
    }

    /// Whether names that begin with a dot are published. Default: no.
    pub fn hidden(self, hidden: bool) -> ServerBuilder {
        ServerBuilder { hidden, ..self }
    }

    /// How long the server waits for a signature, and, up to 10 s, for a file to be read or for a free encoder.
    /// Default: 30 s.
    pub fn deadline(self, deadline: Duration) -> ServerBuilder {
        ServerBuilder { deadline, ..self }
    }

    /// Bytes of deltas and encoded files on the disk. Half of them stay when the server ends. Default: 512 MiB.
    pub fn artifact_bytes(self, bytes: u64) -> ServerBuilder {
        ServerBuilder { artifact_bytes: bytes, ..self }
    }

    /// Bytes of working memory for each encoder. Default: 512 MiB.
    pub fn memory(self, bytes: usize) -> ServerBuilder {
        ServerBuilder { memory: bytes, ..self }
    }

    /// How many deltas and encoded files are made at the same time for requests: this many of files up to 8 MiB, and
    /// this many of longer ones. Default: 2.
    pub fn encoders(self, encoders: usize) -> ServerBuilder {
        ServerBuilder { encoders: encoders.max(1), ..self }
    }

    /// The most tags that a signature may have. Default: 2^20.
    pub fn max_tags(self, tags: u64) -> ServerBuilder {
        ServerBuilder { max_tags: tags, ..self }
    }

    /// The codec of deltas between versions, for receivers that accept it. Default: the one that is verified sooner
    /// over 20 Mbit/s.
    pub fn codec(self, codec: Codec) -> ServerBuilder {
        ServerBuilder { codec, ..self }
    }

    /// How many previous versions get a delta to a new version before any request asks for one. Default: 3; 0 disables
    /// it.
    ///
    /// The server notices a new version at the first request for its path, and at the start. It makes the deltas in the
    /// background, one at a time: first the fast ones, then those of the server's [codec](ServerBuilder::codec), and
    /// those from newer versions before those from older ones. A receiver that asks for a delta meanwhile gets a fast
    /// one at once. Deltas of files above 64 MiB are last, and come from fewer versions if the
    /// [artifacts](ServerBuilder::artifact_bytes) might not fit. Files shorter than 16 KiB or longer than 1 GiB get none.
    pub fn ahead(self, versions: usize) -> ServerBuilder {
        ServerBuilder { ahead: versions, ..self }
    }

    /// Serves a directory as a snapshot: receivers get all of its files of one moment, or none. The path is below the
    /// root, with `/` between its parts; `""` is the root. Default: no directory.
    ///
    /// Whoever may read the directory's `.driblet/` may read every file below it. Rules of
    /// [`access`](ServerBuilder::access) on a path below it leave that path out. A guard of another kind on such a path
    /// does not guard the snapshot. Leave such paths out with [`exclude`](ServerBuilder::exclude), or do not serve the
    /// directory. `.dribletignore` files leave files out too. Files of a single published file are no directory.
    pub fn directory(mut self, path: impl Into<String>) -> ServerBuilder {
        let path = path.into().trim_matches('/').to_owned();
        self.snapshots.directories.push(path);
        self
    }

    /// Leaves files out of the snapshots of all directories, by a pattern in the syntax of `.gitignore`. They are still
    /// served as files.
    pub fn exclude(mut self, pattern: impl Into<String>) -> ServerBuilder {
        self.snapshots.excluded.push(pattern.into());
        self
    }

    /// Watches the directories that are served as snapshots, and publishes them when they change. A request is then
    /// answered without a look at the disk, so it may see the version before for some milliseconds. Default: no; a
    /// directory is looked at, and published if it has changed, at each request for it.
    pub fn watch(mut self, watched: bool) -> ServerBuilder {
        self.snapshots.watched = watched;
        self
    }

    /// Tells the service workers of pages to unregister, and to delete the directories that they stored: the way back
    /// from a release whose worker does harm. Default: no.
    pub fn unregister(self, unregister: bool) -> ServerBuilder {
        ServerBuilder { unregister, ..self }
    }

    /// How files are cut for clients of browser-sync-stream. The server answers their WebSockets on each file's own
    /// path; with `None` it does not. Default: the default options of npm `rabin`.
    ///
    /// ```
    /// let builder = driblet::Server::builder("dist").browser_sync_stream(None);
    /// # drop(builder);
    /// ```
    #[cfg(feature = "browser-sync-stream")]
    pub fn browser_sync_stream(self, chunks: Option<RabinOptions>) -> ServerBuilder {
        ServerBuilder { browser_sync_stream: chunks, ..self }
    }

    /// How refusals name an option of this builder and its value, for programs that set the options in another way.
    #[doc(hidden)]
    pub fn name_options(self, name: fn(&str, &str) -> String) -> ServerBuilder {
        ServerBuilder { name_option: name, ..self }
    }

    /// Opens the root and its history, and begins to index in the background. Needs a Tokio runtime.
    ///
    /// # Errors
    /// [`BuildError`] says which option to change.
    pub async fn build(self) -> Result<Server, BuildError> {
        let proxies = TrustedProxies::parse(&self.proxies).map_err(|BadProxy { given }| BuildError::Proxy { given })?;
        let rule = |(pattern, name, value): &(String, String, String)| HeaderRule::new(pattern, name, value);
        let headers = self.headers.iter().map(rule).collect::<Result<_, _>>();
        let headers = headers.map_err(|reason| BuildError::Header { reason })?;
        let redirect = |(from, to, status): &(String, String, u16)| RedirectRule::new(from, to, *status);
        let redirects = self.redirects.iter().map(redirect).collect::<Result<_, _>>();
        let rules = SiteRules {
            single_page: self.single_page,
            headers,
            dictionaries: self.dictionaries,
            listing: self.listing,
            security: self.security,
            redirects: redirects.map_err(|reason| BuildError::Redirect { reason })?,
        };
        #[cfg(feature = "browser-sync-stream")]
        let chunk_lists = self.browser_sync_stream.map(ChunkLists::new).transpose()?.map(Arc::new);
        let builder = self.clone();
        let (source, history) = blocking(move || builder.open()).await?;
        let history_folder = history.folder().to_path_buf();
        let history: Arc<dyn History> = Arc::new(history);
        let queue_timeout = self.deadline.min(QUEUE_TIMEOUT);
        let options = ArtifactOptions {
            ahead: self.ahead,
            codec: self.codec,
            disk: self.artifact_bytes,
            memory: self.memory,
            encoders: self.encoders,
            queue_timeout,
        };
        let artifacts = Arc::new(Artifacts::new(&history, options));
        let listener = artifacts.clone();
        let new_head = Box::new(move |path: &str, versions: &[_]| listener.new_head(path, versions));
        let mut snapshots = self.snapshots;
        if let Some(access) = &self.access {
            snapshots.guarded = access.leave_out_of(&snapshots.directories);
        }
        let publisher = Publisher::new(source, history.clone(), queue_timeout, new_head, &snapshots);
        let site = Site {
            publisher: publisher.map_err(|error| BuildError::Exclude { source: BadPattern(error) })?,
            artifacts,
            grants: Grants::new().map_err(|error| BuildError::Random { source: io::Error::other(error) })?,
            manifests: Manifests::new(),
            history,
            private: self.private,
            unregister: self.unregister,
            rules,
            sidecars: Sidecars::new(),
            recent: RecentVersions::new(),
            live: LiveStreams::new(self.max_live),
            deadline: self.deadline,
            max_tags: self.max_tags,
            signature_permits: Semaphore::new(SIGNATURES),
            #[cfg(feature = "browser-sync-stream")]
            chunk_lists,
        };
        let guard = Guard::new(&self.hosts, &self.origins, proxies, self.name_option);
        let limits = AddressLimits::new(self.signatures_per_minute, self.max_answers_per_address);
        let visitors = Arc::new(Visitors { guard, access: self.access, limits });
        Ok(Server { site: Arc::new(site), visitors, history: history_folder })
    }

    fn open(&self) -> Result<(Source, DirectoryHistory), BuildError> {
        let source = Source::open(&self.root, self.hidden)
            .map_err(|source| BuildError::Root { path: self.root.clone(), source })?;
        let default = || DirectoryHistory::default_folder(source.path()).ok_or(BuildError::NoCache);
        let folder = self.history.as_deref().map(Path::to_path_buf).map_or_else(default, Ok)?;
        // Where the root's links lead now. They may be changed later.
        let root = source.path().canonicalize().unwrap_or_else(|_| source.path().to_path_buf());
        let history = DirectoryHistory::open(&folder, &root, self.limits)?;
        Ok((source, history))
    }
}
