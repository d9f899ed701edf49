use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use driblet_core::Codec;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::artifacts::{self, Artifacts};
use crate::browser_sync_stream::{BadOptions, Lists, RabinOptions};
use crate::history::{DirectoryHistory, History, HistoryError, Limits};
use crate::http::{self, Guard, TrustedProxies};
use crate::publisher::Publisher;
use crate::site::{PATIENCE, SIGNERS, Shared, Stats};
use crate::source::Source;

/// Publishes a file or a folder: the files themselves, and deltas between their versions.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
    guard: Arc<Guard>,
}

impl Server {
    /// Begins a server of what lies at `root`, a folder or one file.
    pub fn builder(root: impl Into<PathBuf>) -> Builder {
        Builder {
            root: root.into(),
            history: None,
            limits: Limits::default(),
            hidden: false,
            hosts: Vec::new(),
            origins: Vec::new(),
            proxies: Vec::new(),
            deadline: Duration::from_secs(30),
            artifact_bytes: 512 << 20,
            memory: 512 << 20,
            encoders: 2,
            max_tags: 1 << 20,
            codec: Codec::Auto { bits_per_second: 20_000_000 },
            ahead: 3,
            browser_sync_stream: Some(RabinOptions::default()),
        }
    }

    /// The routes, to be served as they are or nested in another application.
    pub fn router(&self) -> Router {
        http::router(self.shared.clone(), self.guard.clone())
    }

    /// Waits until every file that was there at the start is hashed and copied into the history. Requests need not wait for it.
    pub async fn indexed(&self) {
        self.shared.publisher.indexed().await;
    }

    /// Waits until nothing waits to be made in the background: no delta ahead of its first request (see [`Builder::ahead`]), and no better
    /// delta or encoded file than was sent. What changes meanwhile is waited for too.
    pub async fn prepared(&self) {
        self.shared.artifacts.prepared().await;
    }

    /// How much work has been done.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

/// What a [`Server`] publishes, and under which limits.
#[derive(Clone, Debug)]
pub struct Builder {
    root: PathBuf,
    history: Option<PathBuf>,
    limits: Limits,
    hidden: bool,
    hosts: Vec<String>,
    origins: Vec<String>,
    proxies: Vec<String>,
    deadline: Duration,
    artifact_bytes: u64,
    memory: usize,
    encoders: usize,
    max_tags: u64,
    codec: Codec,
    ahead: usize,
    browser_sync_stream: Option<RabinOptions>,
}

impl Builder {
    /// Where versions are kept. Default: a folder of the user's cache that belongs to the root.
    pub fn history(self, folder: impl Into<PathBuf>) -> Builder {
        Builder { history: Some(folder.into()), ..self }
    }

    /// How many versions are kept.
    pub fn history_limits(self, limits: Limits) -> Builder {
        Builder { limits, ..self }
    }

    /// Whether names that begin with a dot exist. Default: no.
    pub fn hidden(self, hidden: bool) -> Builder {
        Builder { hidden, ..self }
    }

    /// Another name, with or without a port, that the server goes by, besides addresses and `localhost`. Pages of that very name (and port,
    /// if it is not the default one) are the server's own, also where a proxy asks by another name.
    pub fn allow_host(mut self, host: impl Into<String>) -> Builder {
        self.hosts.push(host.into());
        self
    }

    /// Another origin, such as `https://app.example`, whose pages may use the server.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> Builder {
        self.origins.push(origin.into());
        self
    }

    /// A proxy, by its address or a range of addresses such as `10.0.0.0/8`, whose `X-Forwarded-Host` and `Forwarded` say by which name a
    /// page asked for the server. A proxy on this machine needs not be named. Needs [`axum::extract::ConnectInfo`] in the requests, which
    /// [`serve`](crate::serve) gives; without it no proxy is believed.
    pub fn trust_proxy(mut self, addresses: impl Into<String>) -> Builder {
        self.proxies.push(addresses.into());
        self
    }

    /// How long a request waits for its signature to come, and, up to 10 s, for a file to be read or for a turn to encode. Default: 30 s.
    pub fn deadline(self, deadline: Duration) -> Builder {
        Builder { deadline, ..self }
    }

    /// Bytes of deltas and encoded files that are kept on the disk, half of them beyond the server's end. Default: 512 MiB.
    pub fn artifact_bytes(self, bytes: u64) -> Builder {
        Builder { artifact_bytes: bytes, ..self }
    }

    /// Bytes of working memory for each delta that is being made. Default: 512 MiB.
    pub fn memory(self, bytes: usize) -> Builder {
        Builder { memory: bytes, ..self }
    }

    /// Deltas and encoded files made at once for requests: so many of files up to 8 MiB, and so many of longer ones. Default: 2.
    pub fn encoders(self, encoders: usize) -> Builder {
        Builder { encoders: encoders.max(1), ..self }
    }

    /// The most tags that a signature may have. Default: 2^20.
    pub fn max_tags(self, tags: u64) -> Builder {
        Builder { max_tags: tags, ..self }
    }

    /// What deltas between versions are made of, for receivers that say they read it. Default: whatever is verified sooner at 20 Mbit/s.
    pub fn codec(self, codec: Codec) -> Builder {
        Builder { codec, ..self }
    }

    /// From how many of the heads before it the deltas to a new head are made in the background, ahead of their first request. Default: 3;
    /// with 0 the first request for a delta is what has it made.
    ///
    /// A new head is noticed by the first request of any kind for its path, and for all paths when the server begins. The fast deltas come
    /// first, then those of the server's [codec](Builder::codec), one at a time, the newest before the older ones. Who asks for one
    /// meanwhile gets copies, made at once. A head that is replaced before its turn gets none, nor does a file shorter than 16 KiB (it comes
    /// whole as soon) or longer than 64 MiB (a core would be busy for seconds at every change).
    pub fn ahead(self, heads: usize) -> Builder {
        Builder { ahead: heads, ..self }
    }

    /// How files are cut for clients of browser-sync-stream, whose WebSockets are answered on each file's own path, or `None` not to answer
    /// them. Default: npm `rabin`'s own options.
    pub fn browser_sync_stream(self, chunks: Option<RabinOptions>) -> Builder {
        Builder { browser_sync_stream: chunks, ..self }
    }

    /// Opens the root and its history, and begins to index in the background. Needs a Tokio runtime.
    pub async fn build(self) -> Result<Server, BuildError> {
        let proxies = TrustedProxies::parse(&self.proxies).map_err(|given| BuildError::Proxy { given })?;
        let browser_sync_stream = self.browser_sync_stream.map(Lists::new).transpose()?.map(Arc::new);
        let builder = self.clone();
        let (source, history) = spawn_blocking(move || builder.open()).await.unwrap_or_else(|error| {
            Err(BuildError::Root { path: self.root.clone(), source: io::Error::other(error) })
        })?;
        let history: Arc<dyn History> = Arc::new(history);
        let options = artifacts::Options {
            ahead: self.ahead,
            codec: self.codec,
            disk: self.artifact_bytes,
            memory: self.memory,
            makers: self.encoders,
            patience: self.deadline.min(PATIENCE),
        };
        let artifacts = Arc::new(Artifacts::new(&history, options));
        let shared = Shared {
            publisher: Publisher::new(source, history.clone(), artifacts.clone(), self.deadline.min(PATIENCE)),
            artifacts,
            deadline: self.deadline,
            max_tags: self.max_tags,
            signers: Semaphore::new(SIGNERS),
            browser_sync_stream,
            history,
        };
        let guard = Guard::new(&self.hosts, &self.origins, proxies);
        Ok(Server { shared: Arc::new(shared), guard: Arc::new(guard) })
    }

    fn open(&self) -> Result<(Source, DirectoryHistory), BuildError> {
        let source = Source::open(&self.root, self.hidden)
            .map_err(|source| BuildError::Root { path: self.root.clone(), source })?;
        let default = || DirectoryHistory::default_folder(source.path()).ok_or(BuildError::NoCache);
        let folder = self.history.as_deref().map(Path::to_path_buf).map_or_else(default, Ok)?;
        // Where the root leads to now; it may be pointed elsewhere later.
        let root = source.path().canonicalize().unwrap_or_else(|_| source.path().to_path_buf());
        let history = DirectoryHistory::open(&folder, &root, self.limits)?;
        Ok((source, history))
    }
}

/// Why a server cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// What should be published cannot be read.
    #[error("cannot publish {path}: {source}")]
    Root {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A proxy to trust is neither an address nor a range of them.
    #[error(
        "{given:?} is neither an address nor a range of addresses such as 10.0.0.0/8; a proxy is named by one of these"
    )]
    Proxy {
        /// What was given.
        given: String,
    },
    /// There is no folder for a history by default.
    #[error("there is neither XDG_CACHE_HOME nor a home folder; name a folder for the history with --history")]
    NoCache,
    /// Files cannot be cut as the protocol of browser-sync-stream should have them.
    #[error(transparent)]
    BrowserSyncStream(#[from] BadOptions),
    /// The history cannot be used.
    #[error(transparent)]
    History(#[from] HistoryError),
}
