//! A real server on loopback, a folder to publish from and one to pull into.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use driblet::{Client, PullError, PullOptions, Pulled, ServeOptions, Server};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

pub(crate) use crate::chain::chain;
pub(crate) use crate::random::random_bytes;
pub(crate) use crate::wait::within;

pub(crate) struct Setting {
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) server: Server,
    serving: JoinHandle<()>,
}

impl Setting {
    pub(crate) async fn new() -> Setting {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        let (address, server, serving) = serve(folder.path(), "history").await;
        Setting { folder, address, server, serving }
    }

    /// The same files with an empty history.
    pub(crate) async fn with_emptied_history(mut self) -> Setting {
        self.serving.abort();
        let _ = within(&mut self.serving).await;
        (self.address, self.server, self.serving) = serve(self.folder.path(), "another history").await;
        self
    }

    pub(crate) fn publish(&self, bytes: &[u8]) {
        fs::write(self.folder.path().join("root/file"), bytes).unwrap();
    }

    pub(crate) fn url(&self) -> Url {
        url(self.address)
    }

    pub(crate) fn dest(&self) -> PathBuf {
        self.folder.path().join("dest")
    }

    pub(crate) fn held(&self) -> Vec<u8> {
        fs::read(self.dest()).unwrap_or_default()
    }

    pub(crate) fn hold(&self, bytes: &[u8]) {
        fs::write(self.dest(), bytes).unwrap();
    }

    pub(crate) async fn pull(&self) -> Result<Pulled, PullError> {
        pull_from(&self.url(), &self.dest()).await
    }

    /// Everything beside the destination that a pull could have left.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let names =
            fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('.')).collect()
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub(crate) fn url(address: SocketAddr) -> Url {
    Url::parse(&format!("http://{address}/file")).unwrap()
}

pub(crate) async fn pull_from(url: &Url, dest: &Path) -> Result<Pulled, PullError> {
    within(client(PullOptions::default()).pull(url, dest, |_| {})).await
}

pub(crate) fn client(options: PullOptions) -> Client {
    Client::builder().options(options).build().unwrap()
}

pub(crate) fn impatient() -> Client {
    client(PullOptions::default().timeout(Duration::from_millis(200)))
}

/// Two versions whose delta is some 30 kB long, in several places.
pub(crate) fn versions() -> (Vec<u8>, Vec<u8>) {
    let old = random_bytes(1, 400_000);
    let new =
        [&old[..90_000], &random_bytes(2, 12_000), &old[100_000..250_000], &random_bytes(3, 17_000), &old[250_000..]]
            .concat();
    (old, new)
}

async fn serve(folder: &Path, history: &str) -> (SocketAddr, Server, JoinHandle<()>) {
    let server = Server::builder(folder.join("root")).history(folder.join(history)).build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = server.router();
    let serving = async move { driblet::serve(listener, router, ServeOptions::default()).await.unwrap() };
    (address, server, tokio::spawn(serving))
}
