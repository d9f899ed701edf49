//! A real server on loopback, and peers that send any bytes.
#![allow(dead_code)]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use driblet::{ServeOptions, Server, ServerBuilder};
use futures_util::{SinkExt, StreamExt};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use url::Url;

#[allow(unused_imports, reason = "not all tests need all of them")]
pub(crate) use crate::messages::{CHUNKS, answer, hashes, list, message, versions};
#[allow(unused_imports, reason = "as above")]
pub(crate) use crate::random::random_bytes;
#[allow(unused_imports, reason = "not all tests wait")]
pub(crate) use crate::wait::{eventually, within};

/// A published folder, and a folder around it.
pub(crate) struct TestSite {
    pub(crate) folder: TempDir,
    pub(crate) addr: SocketAddr,
    serving: JoinHandle<usize>,
}

impl TestSite {
    pub(crate) async fn new(files: &[(&str, &[u8])]) -> TestSite {
        TestSite::with(files, |builder| builder, ServeOptions::default()).await
    }

    pub(crate) async fn with(
        files: &[(&str, &[u8])],
        options: impl FnOnce(ServerBuilder) -> ServerBuilder,
        how: ServeOptions,
    ) -> TestSite {
        TestSite::serve(files, options, how, std::future::pending()).await
    }

    /// A site that stops when the sender is used.
    pub(crate) async fn until(files: &[(&str, &[u8])], how: ServeOptions) -> (TestSite, oneshot::Sender<()>) {
        let (stop, stopped) = oneshot::channel();
        (TestSite::serve(files, |builder| builder, how, async { drop(stopped.await) }).await, stop)
    }

    /// Waits until the server has stopped, and gives the number of connections that it cut off.
    pub(crate) async fn served(mut self) -> usize {
        within(&mut self.serving).await.unwrap()
    }

    async fn serve(
        files: &[(&str, &[u8])],
        options: impl FnOnce(ServerBuilder) -> ServerBuilder,
        how: ServeOptions,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> TestSite {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        for (name, bytes) in files {
            let path = folder.path().join("root").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let builder = Server::builder(folder.path().join("root")).history(folder.path().join("history"));
        let server = options(builder.ahead(0).browser_sync_stream(Some(CHUNKS))).build().await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let serving = async move { driblet::serve_until(listener, server.router(), how, stop).await.unwrap() };
        TestSite { folder, addr, serving: tokio::spawn(serving) }
    }

    pub(crate) fn url(&self, path: &str) -> Url {
        Url::parse(&format!("ws://{}/{path}", self.addr)).unwrap()
    }

    /// Publishes other bytes at a path, in one step.
    pub(crate) fn publish(&self, name: &str, bytes: &[u8]) {
        fs::write(self.folder.path().join("next"), bytes).unwrap();
        fs::rename(self.folder.path().join("next"), self.folder.path().join("root").join(name)).unwrap();
    }

    pub(crate) fn dest(&self) -> PathBuf {
        self.folder.path().join("dest")
    }

    /// Whether this process has a version in the history open.
    pub(crate) fn is_any_version_open(&self) -> bool {
        let versions = self.folder.path().join("history/versions");
        let links = fs::read_dir("/proc/self/fd").unwrap();
        links.filter_map(|link| fs::read_link(link.ok()?.path()).ok()).any(|target| target.starts_with(&versions))
    }

    pub(crate) async fn raw(&self, path: &str) -> Raw {
        self.ask(path, &[]).await.unwrap()
    }

    /// Asks for a WebSocket with these headers. The error is the status of the refusal.
    pub(crate) async fn ask(&self, path: &str, headers: &[(&'static str, &str)]) -> Result<Raw, StatusCode> {
        let mut request = self.url(path).as_str().into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match within(connect_async(request)).await {
            Ok((socket, response)) => {
                let protocol = response.headers().get("sec-websocket-protocol");
                Ok(Raw { protocol: protocol.map(|name| name.to_str().unwrap().to_owned()), socket })
            }
            Err(Error::Http(response)) => Err(response.status()),
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for TestSite {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A WebSocket of plain bytes.
pub(crate) struct Raw {
    pub(crate) protocol: Option<String>,
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Raw {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        within(self.socket.send(Message::binary(bytes.to_vec()))).await.unwrap();
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Bytes {
        within(self.socket.next()).await.unwrap().unwrap().into_data()
    }

    /// Sends a list in messages of this many bytes, and gives the answer.
    pub(crate) async fn exchange(mut self, list: &[u8], piece: usize) -> Vec<u8> {
        for piece in list.chunks(piece) {
            self.send(piece).await;
        }
        let (bytes, close) = self.until_close().await;
        let close = close.unwrap();
        assert_eq!((u16::from(close.code), close.reason.as_str()), (1000, ""));
        bytes
    }

    /// All bytes that arrive, and the close message.
    pub(crate) async fn until_close(mut self) -> (Vec<u8>, Option<CloseFrame>) {
        let (mut bytes, mut close) = (Vec::new(), None);
        while let Some(Ok(message)) = within(self.socket.next()).await {
            match message {
                Message::Binary(piece) => bytes.extend_from_slice(&piece),
                Message::Close(frame) => close = frame,
                _ => {}
            }
        }
        (bytes, close)
    }

    /// The close code and its reason, after the message of a sender that gives up.
    pub(crate) async fn refusal(self) -> (u16, String) {
        let (bytes, close) = self.until_close().await;
        assert!(bytes.ends_with(&message(&[&[0; 32]])));
        close.map(|close| (close.code.into(), close.reason.to_string())).unwrap()
    }
}
