//! Following the newest version, and pulls that need no request.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driblet::client::{BasisKind, LiveHead, PullOptions, Watch};
use driblet::output::Output;
use driblet::{Client, PullError, ServeOptions, Server, Version};
use futures_util::StreamExt;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::setting::{Setting, client, url, versions, within};

async fn next(watch: &mut Watch) -> LiveHead {
    within(watch.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_file_is_followed() {
    let setting = Setting::new().await;
    setting.publish(b"0");
    let mut watch = client(PullOptions::default()).watch(&setting.url());
    let mut before: Option<LiveHead> = None;
    for number in 0..5 {
        let bytes = number.to_string();
        setting.publish(bytes.as_bytes());
        let mut head = next(&mut watch).await;
        while head.version != Version::of(bytes.as_bytes()) {
            head = next(&mut watch).await;
        }
        if let Some(before) = before {
            assert!(before.epoch == head.epoch && before.counter < head.counter);
        }
        assert_eq!(head.len, 1);
        before = Some(head);
    }
}

#[tokio::test]
async fn many_watches_share_a_client() {
    let setting = Setting::new().await;
    setting.publish(b"0");
    let client = client(PullOptions::default());
    let mut all: Vec<Watch> = (0..20).map(|_| client.watch(&setting.url())).collect();
    for watch in &mut all {
        assert_eq!(next(watch).await.version, Version::of(b"0"));
    }
    setting.publish(b"1");
    for watch in &mut all {
        assert_eq!(next(watch).await.version, Version::of(b"1"));
    }
}

#[tokio::test]
async fn what_is_not_there_is_refused() {
    let setting = Setting::new().await;
    let mut watch = client(PullOptions::default()).watch(&setting.url());
    let refused = within(watch.next()).await.unwrap().unwrap_err();
    let PullError::Protocol { source, .. } = &refused else { panic!("{refused}") };
    assert_eq!((source.status(), source.to_string()), (Some(404), "There is no file /file here.".to_owned()));
    assert!(within(watch.next()).await.is_none());
}

#[tokio::test]
async fn a_watch_that_is_dropped_closes_its_stream() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut watch = client(PullOptions::default()).watch(&url(listener.local_addr().unwrap()));
    let mut stream = {
        let mut polled = pin!(watch.next());
        let accepted = within(async {
            tokio::select! {
                _ = &mut polled => panic!("nobody answered"),
                accepted = listener.accept() => accepted.unwrap().0,
            }
        });
        accepted.await
    };
    drop(watch);
    // Everything up to the end.
    within(stream.read_to_end(&mut Vec::new())).await.unwrap();
}

/// A proxy that tells of one head, with a delta, and lets all other requests through.
async fn telling(server: SocketAddr, from: Version, to: Version, len: usize, delta: &[u8]) -> SocketAddr {
    let delta = STANDARD.encode(delta);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nevent: head\ndata: {{\"version\":\"{to}\",\
         \"length\":{len},\"counter\":5,\"epoch\":\"0011223344556677\",\"from\":\"{from}\",\"delta\":\"{delta}\"}}\n\n"
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, answer) = (listener.local_addr().unwrap(), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await?);
                }
                if String::from_utf8_lossy(&head).contains(".driblet/live") {
                    client.write_all(answer.as_bytes()).await?;
                    // The stream stays open.
                    return client.read_to_end(&mut head).await.map(drop);
                }
                let mut server = TcpStream::connect(server).await?;
                server.write_all(&head).await?;
                copy_bidirectional(&mut client, &mut server).await.map(drop)
            });
        }
    });
    address
}

/// The body of an answer.
async fn get(server: SocketAddr, path: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    // In this version of HTTP a body is never in chunks.
    stream.write_all(format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.0 200") || answer.starts_with(b"HTTP/1.1 200"), "{path}");
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    answer.split_off(end + 4)
}

/// The head that the proxy tells, and what pulls to it into `dest`.
async fn told(address: SocketAddr, path: &str) -> (Client, Url, LiveHead) {
    let (client, url) = (client(PullOptions::default()), Url::parse(&format!("http://{address}{path}")).unwrap());
    let head = next(&mut client.watch(&url)).await;
    (client, url, head)
}

#[tokio::test]
async fn a_file_whose_delta_came_with_the_head_needs_no_request() {
    let setting = Setting::new().await;
    let (old, new) = versions();
    setting.publish(&old);
    setting.pull().await.unwrap();
    setting.publish(&new);
    let (from, to) = (Version::of(&old), Version::of(&new));
    let delta = get(setting.address, &format!("/file.driblet/{from}")).await;
    assert!(delta.len() < 32 << 10);
    let mut broken = delta.clone();
    *broken.last_mut().unwrap() ^= 1;
    for (delta, requests) in [(&delta[..], 0), (&broken, 1), (&delta[..delta.len() - 1], 1), (b"", 1)] {
        setting.hold(&old);
        let address = telling(setting.address, from, to, new.len(), delta).await;
        let (client, url, head) = told(address, "/file").await;
        let pull = async || {
            let dest = Output::at(setting.dest()).unwrap();
            within(client.pull_live(&url, dest, &head, |_| {})).await.unwrap()
        };
        let pulled = pull().await;
        assert_eq!((pulled.version, pulled.requests, pulled.basis), (to, requests, BasisKind::Version));
        assert!(setting.held() == new);
        assert_eq!(setting.leftovers(), [""; 0]);
        // Another version is held now.
        let again = pull().await;
        assert_eq!((again.version, again.requests, again.basis), (to, 1, BasisKind::Same));
    }
}

#[tokio::test]
async fn a_directory_whose_delta_came_with_the_head_needs_no_request() {
    let folder = TempDir::new().unwrap();
    let (root, history) = (folder.path().join("root"), folder.path().join("history"));
    let (old, new) = versions();
    fs::create_dir_all(root.join("app")).unwrap();
    fs::write(root.join("app/a.bin"), &old[..20_000]).unwrap();
    fs::write(root.join("app/b.js"), b"old").unwrap();
    let server = Server::builder(&root).history(&history).directory("app").watch(false).build().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (server_address, router) = (listener.local_addr().unwrap(), server.router());
    let serving = async move { driblet::serve(listener, router, ServeOptions::default()).await.unwrap() };
    let serving = tokio::spawn(serving);
    let direct = Url::parse(&format!("http://{server_address}/app/")).unwrap();
    let pull = async |dest: &Path| {
        let client = client(PullOptions::default());
        within(client.pull_directory(&direct, dest, &Default::default(), |_| {})).await.unwrap().version
    };
    let dests: Vec<_> = (0..4).map(|number| folder.path().join(format!("dest{number}"))).collect();
    let mut from = Version::EMPTY;
    for dest in &dests {
        from = pull(dest).await;
    }
    fs::write(root.join("app/a.bin"), &new[..21_000]).unwrap();
    fs::write(root.join("app/b.js"), b"new").unwrap();
    let to = pull(&folder.path().join("other")).await;
    let delta = get(server_address, &format!("/app/.driblet/{from}")).await;
    assert!(delta.len() < 32 << 10);
    let mut broken = delta.clone();
    broken[delta.len() / 2] ^= 1;
    let cases = [&delta[..], &broken, &delta[..delta.len() - 1], &delta[..10]];
    for (number, (delta, dest)) in cases.into_iter().zip(&dests).enumerate() {
        let address = telling(server_address, from, to, 100, delta).await;
        let (client, url, head) = told(address, "/app/").await;
        let pulled = within(client.pull_directory_live(&url, dest, &Default::default(), &head, |_| {})).await.unwrap();
        assert_eq!((pulled.version, pulled.requests == 0), (to, number == 0), "{number}: {} requests", pulled.requests);
        assert!(fs::read(dest.join("a.bin")).unwrap() == new[..21_000], "{number}");
        assert_eq!(fs::read(dest.join("b.js")).unwrap(), b"new", "{number}");
    }
    serving.abort();
}
