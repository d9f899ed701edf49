//! HTTP/2 without TLS, by prior knowledge (RFC 9113): many requests at once, and clients that do harm.

use std::net::SocketAddr;
use std::time::Duration;

use driblet::ServeOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE,
    PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, field, frame, head_of, opening, request,
};
use crate::support::{TestSite, get, random_bytes, serving, within};

struct Client {
    stream: TcpStream,
}

impl Client {
    async fn connect(addr: SocketAddr, settings: &[(u16, u32)]) -> Client {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(&opening(settings)).await.unwrap();
        Client { stream }
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
        let (mut frame, len) = head_of(head);
        frame.payload = vec![0; len];
        within(self.stream.read_exact(&mut frame.payload)).await.ok()?;
        Some(frame)
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
    // It is told, unless the connection was reset before that arrived.
    let reason = client.closed().await;
    assert!(matches!(reason, None | Some(ENHANCE_YOUR_CALM)), "{reason:?}");
    assert!(stream < 200_000, "the connection was closed before all requests were sent");
    assert_eq!(get("/a.txt").send(site.addr()).await.body, b"a", "others go on");
}

/// A head that never ends: only the first frame says that more follows.
#[tokio::test]
async fn a_client_whose_head_never_ends_is_cut_off() {
    let site = TestSite::new(&[("a.txt", b"a")]).await;
    let mut client = Client::connect(site.addr(), &[]).await;
    client.send(HEADERS, END_STREAM, 1, &request("/a.txt")).await.unwrap();
    let literal = field("x", &[b'a'; 16_256], false);
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

/// A client that asks for nothing more, and sends pings without a pause: there is no moment at which nothing is left to read.
#[tokio::test]
async fn a_client_that_only_pings_is_cut_off() {
    let site = TestSite::new(&[("a.txt", b"a")]).await;
    let limit = Duration::from_millis(200);
    let options = ServeOptions::default().header_timeout(limit).keep_alive(limit);
    let addr = serving(site.server().router(), options).await;
    for asks in [false, true] {
        let mut client = Client::connect(addr, &[]).await;
        if asks {
            client.get(1, "/a.txt").await;
            while !matches!(client.next().await, Some(Frame { kind: DATA, flags: END_STREAM, .. })) {}
        }
        let (mut reader, mut writer) = client.stream.into_split();
        let pings = frame(PING, 0, 0, &[0; 8]).repeat(1_000);
        let answers = tokio::spawn(async move { tokio::io::copy(&mut reader, &mut tokio::io::sink()).await });
        within(async { while writer.write_all(&pings).await.is_ok() {} }).await;
        let _ = within(answers).await;
    }
    assert_eq!(get("/a.txt").send(addr).await.body, b"a", "others go on");
}

/// A proxy may carry the requests of many clients, some of which take nothing.
#[tokio::test]
async fn answers_that_are_left_alone_hold_up_no_other() {
    let bytes = random_bytes(1, 4 << 20);
    let site = TestSite::new(&[("a.bin", &bytes)]).await;
    let mut client = Client::connect(site.addr(), &[(INITIAL_WINDOW_SIZE, 100_000)]).await;
    client.send(WINDOW_UPDATE, 0, 0, &(1u32 << 30).to_be_bytes()).await.unwrap();
    for number in 0..100 {
        client.get(2 * number + 1, "/a.bin").await;
    }
    // Only the last one is taken.
    client.send(WINDOW_UPDATE, 0, 199, &(1u32 << 24).to_be_bytes()).await.unwrap();
    let mut body = Vec::new();
    loop {
        let Frame { kind, flags, stream, payload } = client.next().await.expect("the connection stays open");
        if kind == DATA && stream == 199 {
            body.extend(payload);
            if flags & END_STREAM != 0 {
                break;
            }
        }
    }
    assert!(body == bytes);
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
