//! Clients that do nothing: the server drops them and frees what it held for them.

use std::time::Duration;

use driblet::{ServeOptions, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Slow, TestSite, eventually, get, random_bytes, serving, within};

async fn impatient(site: &TestSite) -> std::net::SocketAddr {
    let limit = Duration::from_millis(300);
    let options = ServeOptions::default().write_timeout(limit).header_timeout(limit);
    serving(site.server().router(), options).await
}

#[tokio::test]
async fn a_client_that_stops_reading() {
    let bytes = random_bytes(1, 64 << 20);
    let site = TestSite::new(&[("a.bin", &bytes)]).await;
    let addr = impatient(&site).await;
    let reader = Slow::start(get("/a.bin"), addr).await;
    // The version was evicted, so only the response holds its file open. The file is closed when the server drops the
    // client.
    let version = Version::of(&bytes);
    assert!(is_open(&site, version));
    eventually(async || !is_open(&site, version)).await;
    let received = reader.whole_answer().await.body.len();
    assert!(received < bytes.len(), "it was dropped");
    assert!(get("/a.bin").send(addr).await.body == bytes, "others go on");
}

#[tokio::test]
async fn a_client_that_never_ends_its_request() {
    let site = TestSite::new(&[("a.txt", b"a")]).await;
    let addr = impatient(&site).await;
    let mut client = TcpStream::connect(addr).await.unwrap();
    client.write_all(b"GET /a.txt HTTP/1.1\r\nhost: loc").await.unwrap();
    let mut answer = Vec::new();
    // Ends when the server closes the connection.
    let _ = within(client.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_signature_that_never_comes() {
    let site = TestSite::with(&[("a.txt", b"a")], |builder| builder.deadline(Duration::from_millis(300))).await;
    let mut client = TcpStream::connect(site.addr()).await.unwrap();
    let head = "POST /a.txt.driblet/signature HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n";
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = within(client.read_to_end(&mut answer)).await;
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
}

/// Whether this process has the history's copy of a version open.
fn is_open(site: &TestSite, version: Version) -> bool {
    let path = site.kept(version);
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    links.filter_map(|link| std::fs::read_link(link.ok()?.path()).ok()).any(|target| target.starts_with(&path))
}
