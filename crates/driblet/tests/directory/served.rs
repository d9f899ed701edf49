//! The real server.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use driblet::{Client, PullDirectoryOptions, PulledDirectory, ServeOptions, Server};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use super::host::File;
use super::setting::{Files, collect, file, files, program, random_bytes};

struct Served {
    folder: TempDir,
    address: SocketAddr,
    serving: JoinHandle<()>,
    _server: Server,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Served {
    async fn new(tree: &[(&str, File)]) -> Served {
        let folder = TempDir::new().unwrap();
        write(&folder.path().join("root"), tree);
        let (address, server, serving) = serve(&folder, "history").await;
        Served { folder, address, serving, _server: server }
    }

    async fn with_emptied_history(mut self) -> Served {
        self.serving.abort();
        let _ = (&mut self.serving).await;
        (self.address, self._server, self.serving) = serve(&self.folder, "another history").await;
        self
    }

    fn publish(&self, tree: &[(&str, File)]) {
        fs::remove_dir_all(self.folder.path().join("root")).unwrap();
        write(&self.folder.path().join("root"), tree);
    }

    fn dest(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    fn held(&self) -> Files {
        let mut held = Files::new();
        collect(&self.dest(), "", &mut held);
        held
    }

    async fn pull(&self) -> PulledDirectory {
        let url: Url = format!("http://{}/", self.address).parse().unwrap();
        let options = PullDirectoryOptions::default();
        Client::new().unwrap().pull_directory(&url, self.dest(), &options, |_| {}).await.unwrap()
    }
}

async fn serve(folder: &TempDir, history: &str) -> (SocketAddr, Server, JoinHandle<()>) {
    let builder = Server::builder(folder.path().join("root")).history(folder.path().join(history)).directory("");
    let server = builder.build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = server.router();
    let serving = async move { driblet::serve(listener, router, ServeOptions::default()).await.unwrap() };
    (address, server, tokio::spawn(serving))
}

fn write(root: &std::path::Path, tree: &[(&str, File)]) {
    use std::os::unix::fs::PermissionsExt;
    for (path, (bytes, executable)) in tree {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        if *executable {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

#[tokio::test]
async fn a_tree_through_its_versions() {
    let bytes = |seed| random_bytes(seed, 60_000);
    let old = [
        ("a.js", file(bytes(1))),
        ("bin/run", program("#!/bin/sh")),
        ("copy", file(bytes(2))),
        ("deep/er/x", file("x")),
        ("empty", file("")),
        ("long", file(random_bytes(3, 20 << 20))),
        ("original", file(bytes(2))),
    ];
    let served = Served::new(&old).await;
    let first = served.pull().await;
    assert_eq!(served.held(), files(&old));
    assert_eq!((first.added, first.files), (7, 7));

    let mut edited = bytes(1);
    edited[30_000] ^= 1;
    let new = [
        ("a.js", file(&edited)),
        ("bin/run", file("#!/bin/sh")),
        ("deep", file("a file now")),
        ("empty", file("")),
        ("long", file([&random_bytes(3, 20 << 20)[..], b"more"].concat())),
        ("moved/original", program(bytes(2))),
    ];
    served.publish(&new);
    let second = served.pull().await;
    assert_eq!(served.held(), files(&new));
    assert!(second.received < 5_000, "{second:?}");
    let third = served.pull().await;
    assert!(third.same && third.requests == 1, "{third:?}");

    // Local changes, then a server that forgot the version.
    fs::remove_file(served.dest().join("a.js")).unwrap();
    fs::write(served.dest().join("bin/run"), "changed here").unwrap();
    served.pull().await;
    assert_eq!(served.held(), files(&new));
    let newest = [("a.js", file([&edited[..], b"more"].concat())), ("long", new[4].1.clone())];
    served.publish(&newest);
    let served = served.with_emptied_history().await;
    let pulled = served.pull().await;
    assert_eq!(served.held(), files(&newest));
    assert!(pulled.received < 300_000, "{pulled:?}");
}
