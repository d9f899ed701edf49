//! HTTP/2 without TLS, by prior knowledge (RFC 9113): many requests at once, and clients that do harm.

use std::net::SocketAddr;
use std::time::Duration;

use driblet::ServeOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{TestSite, get, random_bytes, serving, within};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// Settings: how much of each stream the server may send unasked.
const INITIAL_WINDOW_SIZE: u16 = 4;

struct Client {
    stream: TcpStream,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Client {
    async fn connect(addr: SocketAddr, settings: &[(u16, u32)]) -> Client {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()[..]].concat())
            .collect();
        let mut client = Client { stream };
        client.send(SETTINGS, 0, 0, &payload).await.unwrap();
        client
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(&frame(kind, flags, stream, payload)).await
    }

    async fn get(&mut self, stream: u32, path: &str) {
        self.send(HEADERS, END_STREAM | END_HEADERS, stream, &request(path)).await.unwrap();
    }

    /// The next frame; `None` if the server has closed the connection.
    async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        within(self.stream.read_exact(&mut head)).await.ok()?;
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        within(self.stream.read_exact(&mut payload)).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// Reads until the server closes the connection. Gives the reason that it states.
    async fn closed(&mut self) -> Option<u32> {
        let mut reason = None;
        while let Some(Frame { kind, payload, .. }) = self.next().await {
            if kind == GOAWAY {
                reason = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
        reason
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The head of a request (RFC 7541): entries of the static table, and two literals.
fn request(path: &str) -> Vec<u8> {
    let literal = |index: u8, text: &str| [&[index, text.len() as u8], text.as_bytes()].concat();
    // :method GET, :scheme http, :path, :authority
    [vec![0x82, 0x86], literal(0x04, path), literal(0x01, "localhost")].concat()
}

#[tokio::test]
async fn a_hundred_requests_share_a_connection() {
    let bytes = random_bytes(1, 30_000);
    let site = TestSite::new(&[("a.bin", &bytes)]).await;
    let mut client = Client::connect(site.addr(), &[(INITIAL_WINDOW_SIZE, 1 << 20)]).await;
    client.send(WINDOW_UPDATE, 0, 0, &(1u32 << 24).to_be_bytes()).await.unwrap();
    for number in 0..100 {
        client.get(2 * number + 1, "/a.bin").await;
    }
    let mut bodies = vec![Vec::new(); 100];
    let mut ended = 0;
    while ended < 100 {
        let Frame { kind, flags, stream, payload } = client.next().await.unwrap();
        if kind == DATA {
            bodies[(stream / 2) as usize].extend(payload);
        }
        assert_ne!(kind, RST_STREAM);
        ended += usize::from((kind == DATA || kind == HEADERS) && flags & END_STREAM != 0);
    }
    assert!(bodies.iter().all(|body| *body == bytes));
}

/// CVE-2023-44487: streams that are begun and reset cost the server more than the client.
#[tokio::test]
async fn a_client_that_resets_its_requests_is_cut_off() {
    let site = TestSite::new(&[("a.txt", b"a")]).await;
    let mut client = Client::connect(site.addr(), &[]).await;
    let mut stream = 1;
    for _ in 0..1_000 {
        let mut burst = Vec::new();
        for _ in 0..100 {
            burst.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &request("/a.txt")));
            burst.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
            stream += 2;
        }
        if client.stream.write_all(&burst).await.is_err() {
            break;
        }
    }
    // ENHANCE_YOUR_CALM, unless the connection was reset before that arrived.
    let reason = client.closed().await;
    assert!(matches!(reason, None | Some(11)), "{reason:?}");
    assert!(stream < 200_000, "the connection was closed before all requests were sent");
    assert_eq!(get("/a.txt").send(site.addr()).await.body, b"a", "others go on");
}

/// A head that never ends: only the first frame says that more follows.
#[tokio::test]
async fn a_client_whose_head_never_ends_is_cut_off() {
    let site = TestSite::new(&[("a.txt", b"a")]).await;
    let mut client = Client::connect(site.addr(), &[]).await;
    client.send(HEADERS, END_STREAM, 1, &request("/a.txt")).await.unwrap();
    // A literal header that is not indexed: x: and 16 KiB.
    let literal = [&[0x00, 1, b'x', 0x7f, 0x81, 0x7e][..], &vec![b'a'; 16_256]].concat();
    let mut sent = 0;
    while sent < 16 << 20 && client.send(CONTINUATION, 0, 1, &literal).await.is_ok() {
        sent += literal.len();
    }
    assert!(sent < 16 << 20, "the connection is closed");
    assert_eq!(get("/a.txt").send(site.addr()).await.body, b"a", "others go on");
}

/// The stream of a client that allows no more bytes of any body, but answers.
#[tokio::test]
async fn a_client_that_takes_nothing_is_cut_off() {
    let site = TestSite::new(&[("a.bin", &random_bytes(1, 1 << 20))]).await;
    let addr = serving(site.server().router(), ServeOptions::default().write_timeout(Duration::from_millis(300))).await;
    let mut client = Client::connect(addr, &[(INITIAL_WINDOW_SIZE, 1)]).await;
    client.get(1, "/a.bin").await;
    client.send(PING, 0, 0, &[0; 8]).await.unwrap();
    let mut taken = 0;
    while let Some(Frame { kind, flags, payload, .. }) = client.next().await {
        taken += if kind == DATA { payload.len() } else { 0 };
        // It asks again and again.
        if kind == PING && flags & ACK != 0 && client.send(PING, 0, 0, &[0; 8]).await.is_err() {
            break;
        }
    }
    assert!(taken <= 1, "{taken}");
    assert_eq!(get("/a.bin").send(addr).await.body.len(), 1 << 20, "others go on");
}

/// A response that only waits is no reason to cut off a connection.
#[tokio::test]
async fn a_client_whose_answer_takes_long_is_not_cut_off() {
    let site = TestSite::new(&[("a.txt", b"a")]).await;
    let addr = serving(site.server().router(), ServeOptions::default().write_timeout(Duration::from_millis(100))).await;
    let head: serde_json::Value = serde_json::from_slice(&get("/a.txt.driblet/head").send(addr).await.body).unwrap();
    let mut client = Client::connect(addr, &[]).await;
    client.get(1, &format!("/a.txt.driblet/head?since={}&wait=1", head["counter"])).await;
    let mut body = Vec::new();
    loop {
        let Frame { kind, flags, payload, .. } = client.next().await.expect("the connection stays open");
        if kind == DATA {
            body.extend(payload);
        }
        if kind == DATA && flags & END_STREAM != 0 {
            break;
        }
    }
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["version"], head["version"]);
}

/// Whether the request is seen before the stop or after it: its answer is whole, and the client is told to leave.
#[tokio::test]
async fn a_stop_lets_requests_finish() {
    let site = TestSite::new(&[("a.txt", b"a")]).await;
    let head: serde_json::Value =
        serde_json::from_slice(&get("/a.txt.driblet/head").send(site.addr()).await.body).unwrap();
    for round in 0..20 {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let served =
            tokio::spawn(driblet::serve_until(listener, site.server().router(), ServeOptions::default(), stopped));
        let mut client = Client::connect(addr, &[]).await;
        // The connection is accepted.
        assert_eq!(client.next().await.unwrap().kind, SETTINGS);
        client.get(1, &format!("/a.txt.driblet/head?since={}&wait=60", head["counter"])).await;
        stop.send(()).unwrap();
        let (mut body, mut has_ended, mut reason) = (Vec::new(), false, None);
        while let Some(Frame { kind, flags, payload, .. }) = client.next().await {
            match kind {
                PING if flags & ACK == 0 => client.send(PING, ACK, 0, &payload).await.unwrap(),
                GOAWAY => reason = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap())),
                DATA => {
                    body.extend(payload);
                    has_ended |= flags & END_STREAM != 0;
                }
                _ => {}
            }
        }
        assert!(has_ended && reason == Some(0), "round {round}: {has_ended}, {reason:?}");
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&body).unwrap()["version"], head["version"]);
        assert_eq!(within(served).await.unwrap().unwrap(), 0, "nothing is cut off");
    }
}
