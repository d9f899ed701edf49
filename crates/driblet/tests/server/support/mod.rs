//! A real server on loopback, with real files, and a client that sends exact bytes.

mod content;
#[path = "../../support/frames.rs"]
pub(crate) mod frames;
#[cfg(feature = "client")]
pub(crate) mod proxies;
#[path = "../../../../core/tests/support/random.rs"]
mod random;
#[path = "../../support/wait.rs"]
#[allow(dead_code)]
mod wait;
mod wire;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use driblet::{BuildError, HistoryError, Router, ServeOptions, Server, ServerBuilder, Version};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) use content::{apply, matched, sign, text};
pub(crate) use random::random_bytes;
pub(crate) use wait::{eventually, joined, let_pass, within};
pub(crate) use wire::{Answer, Ask, Live, Slow, get, post};

/// Serves an application on an address of its own, until the test ends.
pub(crate) async fn serving(app: Router, options: ServeOptions) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(driblet::serve(listener, app, options));
    addr
}

/// A published folder, its history beside it, and a server on both.
pub(crate) struct TestSite {
    folders: PathBuf,
    /// Removes the folders at the end, unless another process made them.
    _guard: Option<TempDir>,
    running: Option<Running>,
}

struct Running {
    server: Server,
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl TestSite {
    pub(crate) async fn new(files: &[(&str, &[u8])]) -> TestSite {
        TestSite::with(files, |builder| builder).await
    }

    pub(crate) async fn with(
        files: &[(&str, &[u8])],
        options: impl FnOnce(ServerBuilder) -> ServerBuilder,
    ) -> TestSite {
        let mut site = TestSite::stopped(files);
        site.start(options).await;
        site.indexed().await;
        site
    }

    /// Files that no server serves yet.
    pub(crate) fn stopped(files: &[(&str, &[u8])]) -> TestSite {
        let guard = tempfile::tempdir().unwrap();
        let site = TestSite::at(guard.path().to_path_buf());
        std::fs::create_dir(site.root()).unwrap();
        files.iter().for_each(|(name, bytes)| site.write(name, bytes));
        TestSite { _guard: Some(guard), ..site }
    }

    /// A site in folders that another process made.
    pub(crate) fn at(folders: PathBuf) -> TestSite {
        TestSite { folders, _guard: None, running: None }
    }

    /// Serves the files. Without other options no deltas are made ahead, since tests count deltas and damage versions.
    pub(crate) async fn start(&mut self, options: impl FnOnce(ServerBuilder) -> ServerBuilder) {
        let builder = options(Server::builder(self.root()).history(self.history()).ahead(0));
        let server = within(build(|| builder.clone())).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let router = server.router();
        let task =
            tokio::spawn(async move { driblet::serve(listener, router, ServeOptions::default()).await.unwrap() });
        self.running = Some(Running { server, addr, task });
    }

    /// Ends the server. Its history stays.
    pub(crate) async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.task.abort();
            let _ = within(running.task).await;
        }
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start(|builder| builder).await;
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.folders.join("root")
    }

    pub(crate) fn history(&self) -> PathBuf {
        self.folders.join("history")
    }

    /// The folder around the root, which the server does not publish.
    pub(crate) fn outside(&self) -> &Path {
        &self.folders
    }

    /// Writes a file in place.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.root().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// The file of a version in the history.
    pub(crate) fn kept(&self, version: Version) -> PathBuf {
        self.history().join("versions").join(version.to_string())
    }

    /// The names in the history's folder of versions.
    pub(crate) fn kept_versions(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.history().join("versions")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn server(&self) -> &Server {
        &self.running.as_ref().unwrap().server
    }

    /// Waits until all files are indexed.
    pub(crate) async fn indexed(&self) {
        within(self.server().indexed()).await;
    }

    /// Waits until nothing is made in the background.
    pub(crate) async fn prepared(&self) {
        within(self.server().prepared()).await;
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.running.as_ref().unwrap().addr
    }

    pub(crate) async fn ask(&self, ask: Ask) -> Answer {
        ask.send(self.addr()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(get(path)).await
    }

    /// Publishes bytes at a path, and gives their version once it is the head.
    pub(crate) async fn publish(&self, name: &str, bytes: &[u8]) -> Version {
        // In one step, so that no request sees half of the bytes.
        std::fs::write(self.folders.join("next"), bytes).unwrap();
        std::fs::rename(self.folders.join("next"), self.root().join(name)).unwrap();
        let version = Version::of(bytes);
        let head = self.get(&format!("/{name}.driblet/head")).await.json();
        assert_eq!(head["version"], version.to_string());
        version
    }
}

/// Builds a server. A server that was just stopped closes its history when its last task ends; until then this tries
/// again.
pub(crate) async fn build(builder: impl Fn() -> ServerBuilder) -> Result<Server, BuildError> {
    let mut built = builder().build().await;
    eventually(async || {
        if matches!(built, Err(BuildError::History(HistoryError::InUse { .. }))) {
            built = builder().build().await;
        }
        !matches!(built, Err(BuildError::History(HistoryError::InUse { .. })))
    })
    .await;
    built
}
