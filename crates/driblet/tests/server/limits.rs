//! What one address may have the server do.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use driblet::{Listener, ServeOptions, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Answer, Ask, Slow, TestSite, eventually, get, post, random_bytes, serving, sign, within};

fn from_address(ask: Ask, address: &str) -> Ask {
    ask.header("x-forwarded-for", address)
}

fn signature() -> Ask {
    post("/a.txt.driblet/signature", sign(b"something", b"text").0.encode())
}

#[track_caller]
fn is_told_to_wait(answer: &Answer) {
    assert!(answer.refuses(429, "too-many"), "{answer:?}");
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert!(answer.json()["detail"].as_str().unwrap().contains("Retry-After"));
}

/// An application that takes every peer for another machine, which is nobody's proxy.
fn as_from_afar(server: &Server) -> Router {
    let from_afar = async |mut request: Request, next: Next| {
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([203, 0, 113, 9], 1))));
        next.run(request).await
    };
    Router::new().fallback_service(server.router()).layer(from_fn(from_afar))
}

#[tokio::test]
async fn signatures_of_one_address_are_limited() {
    let three = NonZeroU32::new(3).unwrap();
    let site = TestSite::with(&[("a.txt", b"text")], |builder| builder.signatures_per_minute(three)).await;
    let (one, other) = ("2001:db8:1:2::3", "2001:db8:1:3::3");
    for _ in 0..3 {
        assert_eq!(site.ask(from_address(signature(), one)).await.status, 200);
    }
    is_told_to_wait(&site.ask(from_address(signature(), one)).await);
    is_told_to_wait(&site.ask(from_address(signature(), "2001:db8:1:2:ffff::1")).await);
    is_told_to_wait(&site.ask(from_address(signature(), &format!("{other}, {one}, 127.0.0.1"))).await);
    // Others are served, and so are deltas and files.
    assert_eq!(site.ask(from_address(signature(), other)).await.status, 200);
    assert_eq!(site.ask(from_address(get("/a.txt.driblet/none"), one)).await.status, 200);
    assert_eq!(site.ask(from_address(get("/a.txt"), one)).await.status, 200);
    for _ in 0..9 {
        assert_eq!(site.ask(signature()).await.status, 200, "this machine has no limit");
    }
}

#[tokio::test]
async fn an_address_that_a_client_states_itself_changes_nothing() {
    let three = NonZeroU32::new(3).unwrap();
    let site = TestSite::with(&[("a.txt", b"text")], |builder| builder.signatures_per_minute(three)).await;
    let addr = serving(as_from_afar(site.server()), ServeOptions::default()).await;
    for (number, status) in [200, 200, 200, 429, 429].into_iter().enumerate() {
        let ask = from_address(signature(), &format!("198.51.100.{number}"));
        let ask = ask.header("forwarded", &format!("for=198.51.100.{number}"));
        assert_eq!(ask.send(addr).await.status, status, "{number}");
    }
}

#[tokio::test]
async fn answers_to_one_address_are_limited_while_they_run() {
    let bytes = random_bytes(1, 64 << 20);
    let options = |builder: driblet::ServerBuilder| builder.max_answers_per_address(2);
    let site = TestSite::with(&[("big.bin", &bytes), ("a.txt", b"text")], options).await;
    let begin = || Slow::start(from_address(get("/big.bin.driblet/none"), "203.0.113.1"), site.addr());
    let (first, _second) = (begin().await, begin().await);
    let third = || from_address(get("/a.txt.driblet/none"), "203.0.113.1");
    is_told_to_wait(&site.ask(third()).await);
    assert_eq!(site.ask(from_address(get("/a.txt.driblet/head"), "203.0.113.1")).await.status, 200);
    assert_eq!(site.ask(from_address(get("/a.txt.driblet/none"), "203.0.113.2")).await.status, 200);
    drop(first);
    eventually(async || site.ask(third()).await.status == 200).await;
}

#[cfg(feature = "client")]
#[tokio::test]
async fn a_pull_comes_back_after_the_limit() {
    let bytes = random_bytes(1, 64 << 20);
    let options = |builder: driblet::ServerBuilder| builder.max_answers_per_address(1);
    let site = TestSite::with(&[("big.bin", &bytes), ("a.txt", b"text")], options).await;
    let slow = Slow::start(from_address(get("/big.bin.driblet/none"), "203.0.113.1"), site.addr()).await;
    let slow = std::sync::Mutex::new(Some(slow));
    let client = driblet::Client::builder().header("x-forwarded-for", "203.0.113.1").build().unwrap();
    let url = format!("http://{}/a.txt", site.addr()).parse().unwrap();
    let dest = site.outside().join("a.txt");
    let was_busy = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = was_busy.clone();
    let progress = move |progress: driblet::Progress| {
        if matches!(progress.state, driblet::PullState::Busy(_)) {
            seen.store(true, std::sync::atomic::Ordering::SeqCst);
            drop(slow.lock().unwrap().take());
        }
    };
    within(client.pull(&url, &dest, progress)).await.unwrap();
    assert_eq!(std::fs::read(dest).unwrap(), b"text");
    assert!(was_busy.load(std::sync::atomic::Ordering::SeqCst));
}

/// A server whose connections begin with the header of a proxy.
async fn behind_proxy(site: &TestSite, options: ServeOptions, bind: &str) -> SocketAddr {
    let socket = TcpListener::bind(bind).await.unwrap();
    let addr = socket.local_addr().unwrap();
    let listener = Listener::from(socket).proxy_protocol(true);
    tokio::spawn(driblet::serve(listener, site.server().router(), options));
    addr
}

fn header(source: &str) -> Vec<u8> {
    format!("PROXY TCP4 {source} 192.0.2.1 5000 443\r\n").into_bytes()
}

/// Sends bytes, and reads until the server closes.
async fn exchanged(addr: SocketAddr, sent: &[u8]) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        // The server may have closed already.
        let _ = stream.write_all(sent).await;
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received).await;
        String::from_utf8_lossy(&received).into_owned()
    };
    within(exchange).await
}

#[tokio::test]
async fn a_proxy_of_connections_states_the_client() {
    let one = NonZeroU32::MIN;
    let site = TestSite::with(&[("a.txt", b"text")], |builder| builder.signatures_per_minute(one)).await;
    let addr = behind_proxy(&site, ServeOptions::default(), "127.0.0.1:0").await;
    let binary = |command: u8, address: [u8; 4]| {
        let start = b"\r\n\r\n\0\r\nQUIT\n".as_slice();
        [start, &[0x20 | command, 0x11, 0, 12], &address, &[192, 0, 2, 1, 0x13, 0x88, 1, 0xbb]].concat()
    };
    let ask = signature().bytes(addr);
    let status = async |header: Vec<u8>| {
        let said = exchanged(addr, &[header, ask.clone()].concat()).await;
        said.get(9..12).unwrap_or_default().to_owned()
    };
    assert_eq!(status(header("203.0.113.1")).await, "200");
    assert_eq!(status(header("203.0.113.1")).await, "429");
    assert_eq!(status(binary(1, [203, 0, 113, 1])).await, "429");
    assert_eq!(status(binary(1, [203, 0, 113, 2])).await, "200");
    assert_eq!(status(b"PROXY TCP6 2001:db8::1 2001:db8::2 5000 443\r\n".to_vec()).await, "200");
    // The client's own word on its address does not count.
    let spoofed = from_address(signature(), "198.51.100.9").bytes(addr);
    assert!(exchanged(addr, &[header("203.0.113.1"), spoofed].concat()).await.starts_with("HTTP/1.1 429"));
    // The proxy itself, as for a health check.
    for own in [binary(0, [0; 4]), b"PROXY UNKNOWN\r\n".to_vec()] {
        assert_eq!((status(own.clone()).await, status(own).await), ("200".into(), "200".into()));
    }
    for bad in [
        &b""[..],
        b"PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n",
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n\n\n\n",
        &[b'P'; 300],
        &[0; 40],
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
    ] {
        assert_eq!(exchanged(addr, &[bad, &ask].concat()).await, "", "{bad:?}");
    }
}

#[tokio::test]
async fn the_header_of_a_proxy_must_come_in_time() {
    let site = TestSite::new(&[("a.txt", b"text")]).await;
    let options = ServeOptions::default().header_timeout(Duration::from_millis(300));
    let addr = behind_proxy(&site, options, "127.0.0.1:0").await;
    for begun in [&b""[..], b"P", b"PROXY TCP4 1.2.3.4 5.6", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01"] {
        // It is the server that closes.
        assert_eq!(exchanged(addr, begun).await, "", "{begun:?}");
    }
}

#[tokio::test]
async fn only_trusted_proxies_may_speak_for_clients() {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    // No packet is sent. The system tells which address it would have.
    let own = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()).map(|own| own.ip());
    let Some(own) = own.ok().filter(|own| !own.is_loopback() && !own.is_unspecified()) else {
        eprintln!("skipped: this machine has no address but its loopback's");
        return;
    };
    let site = TestSite::new(&[("a.txt", b"text")]).await;
    let addr = behind_proxy(&site, ServeOptions::default(), &format!("{own}:0")).await;
    let sent = [header("203.0.113.1"), get("/a.txt").bytes(addr)].concat();
    assert_eq!(exchanged(addr, &sent).await, "");
    let socket = TcpListener::bind((own, 0)).await.unwrap();
    let addr = socket.local_addr().unwrap();
    let proxies = driblet::TrustedProxies::parse([own.to_string()]).unwrap();
    let listener = Listener::from(socket).trust_proxies(&proxies).proxy_protocol(true);
    tokio::spawn(driblet::serve(listener, site.server().router(), ServeOptions::default()));
    assert!(exchanged(addr, &sent).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn connections_of_one_address_are_limited() {
    let site = TestSite::new(&[("a.txt", b"text")]).await;
    let options = ServeOptions::default().max_connections_per_address(2);
    let addr = behind_proxy(&site, options, "127.0.0.1:0").await;
    // A connection that was answered, and stays open.
    let open = async |client: &str| {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let ask = b"GET /a.txt HTTP/1.1\r\nhost: localhost\r\n\r\n";
        stream.write_all(&[&header(client)[..], ask].concat()).await.unwrap();
        let mut status = [0; 12];
        let is_served = within(stream.read_exact(&mut status)).await.is_ok();
        is_served.then_some(stream)
    };
    let (first, second) = (open("203.0.113.1").await, open("203.0.113.1").await);
    assert!(first.is_some() && second.is_some());
    assert!(open("203.0.113.1").await.is_none());
    assert!(open("203.0.113.2").await.is_some());
    drop(first);
    eventually(async || open("203.0.113.1").await.is_some()).await;
    // Without a proxy, this machine has no limit.
    let direct = serving(site.server().router(), options).await;
    let _open = futures_util::future::join_all((0..5).map(|_| TcpStream::connect(direct))).await;
    assert_eq!(get("/a.txt").send(direct).await.text(), "text");
}
