//! Signatures from clients that lie, send too much, stop halfway or never read: each costs little and harms only itself.

#[path = "server/support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::middleware::map_response;
use axum::response::Response;
use driblet::{ServeOptions, Version};
use driblet_core::{Basis, Chunk, ChunkSizes, Cuts, DecodeError, Decoder, Limits, MatchedBasis, Runs, Signature};
use futures_util::StreamExt;
use support::{Answer, Site, Slow, apply, get, matched, post, random_bytes, sign, text};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const PATH: &str = "/app.js.driblet/signature";
/// The tags that a server takes by default.
const MOST: u64 = 1 << 20;

#[tokio::test]
async fn a_tag_that_matches_by_chance_is_noticed_by_the_receiver() {
    let head = random_bytes(1, 100_000);
    let site = Site::new(&[("app.js", &head)]).await;
    let sizes = ChunkSizes::of(&head);
    // The tags are those of the head, as if by chance; what is held is something else, of equal lengths.
    let claimed = Cuts::of(&head, sizes).chunks().to_vec();
    let other = Cuts::of(&random_bytes(2, 200_000), sizes);
    let forged = claimed.iter().zip(other.chunks());
    let held: Vec<Chunk> = forged.map(|(claimed, other)| Chunk { len: claimed.len, id: other.id }).collect();
    for lies in [1, claimed.len()] {
        let mut mixed = claimed.clone();
        mixed[..lies].copy_from_slice(&held[..lies]);
        let signature = Signature::sign([7; 16], &claimed);
        let answer = site.ask(post(PATH, signature.encode())).await;
        assert_eq!(answer.status, 200);
        let (runs, consumed) = Runs::decode(&answer.body, signature.count()).unwrap().unwrap();
        let basis = MatchedBasis::new(&runs, &mixed);
        let mut decoder = Decoder::new(Basis::matched(&basis), Limits::default());
        decoder.handle_input(&answer.body[consumed..]);
        decoder.handle_end();
        let error = decoder.poll_event().expect_err("the check is another's");
        assert!(matches!(error, DecodeError::WrongBasis { .. }), "{error}");
    }
    let cold = site.get("/app.js.driblet/none").await;
    assert!(apply(None, &cold.body).unwrap() == head, "what the receiver asks for next");
}

#[tokio::test]
async fn all_tags_are_one() {
    let head = random_bytes(1, 2_000_000);
    let first = Cuts::of(&head, ChunkSizes::of(&head)).chunks()[0];
    let site = Site::new(&[("app.js", &head), ("one.js", &head[..first.len as usize])]).await;
    let many = vec![first; 300_000];
    let signature = Signature::sign([7; 16], &many);
    // One chunk of very many is no basis to speak of; where it is the whole file, it is all of it.
    let answer = site.ask(post(PATH, signature.encode())).await;
    assert!(answer.body.len() < head.len() + 10_000, "{} bytes", answer.body.len());
    let held = head[..first.len as usize].repeat(300);
    let (signature, many) = (Signature::sign([7; 16], &many[..300]), vec![first; 300]);
    let answer = site.ask(post(PATH, signature.encode())).await;
    assert!(matched(&held, &many, &answer.body).0 == head);
    let small = &head[..first.len as usize];
    let chunks = Cuts::of(small, ChunkSizes::of(small)).chunks().to_vec();
    let (chunks, held) = (chunks.repeat(500), small.repeat(500));
    let signature = Signature::sign([7; 16], &chunks);
    let answer = site.ask(post("/one.js.driblet/signature", signature.encode())).await;
    let (file, basis) = matched(&held, &chunks, &answer.body);
    assert!(file == small && small.len() as u64 <= basis, "{basis} bytes matched");
    assert!(answer.body.len() < 500, "{} bytes", answer.body.len());
}

#[tokio::test]
async fn one_tag_more_than_are_taken() {
    let site = Site::new(&[("app.js", b"let a;")]).await;
    let body = |count: u64, tags: usize| {
        let varint: Vec<u8> =
            [count & 0x7f | 0x80, count >> 7 & 0x7f | 0x80, count >> 14].map(|byte| byte as u8).into();
        [&[1; 16][..], &[21], &varint, &vec![0; tags]].concat()
    };
    let bytes = |count: u64| (count * 21).div_ceil(8) as usize;
    assert_eq!(site.ask(post(PATH, body(MOST, bytes(MOST)))).await.status, 200);
    for tags in [0, bytes(MOST + 1)] {
        let answer = site.ask(post(PATH, body(MOST + 1, tags))).await;
        assert!(names_the_limit(&answer), "{tags} bytes of tags: {answer:?}");
    }
    // Longer than any signature that is taken, whatever it says of itself; announced, or in pieces without end.
    let long = body(1, 9 << 20);
    assert!(names_the_limit(&site.ask(post(PATH, long.clone())).await));
    let head =
        format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n");
    let piece = [b"100000\r\n", &long[..1 << 20], b"\r\n"].concat();
    let answer = told(site.addr(), &[head.as_bytes(), &piece.repeat(9)].concat(), false).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("too-large") && answer.contains("1048576"), "{answer}");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_no_signature() {
    let site = Site::new(&[("app.js", b"let a;")]).await;
    let start = format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    let cases = [
        format!("{start}transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\nzz\r\n"),
        format!("{start}transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n"),
        format!("{start}content-length: 1000\r\n\r\nabcde"),
    ];
    for case in cases {
        let answer = told(site.addr(), case.as_bytes(), true).await;
        // Who breaks off need not be answered; what is answered is true.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{case}\n{answer}");
    }
    assert_eq!(site.get("/app.js").await.text(), "let a;");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn strangers_share_one_diff() {
    let head = text(1, 400_000);
    let site = Site::new(&[("app.js", &head)]).await;
    let asks: Vec<_> = (0..40)
        .map(|number| {
            let held = [&random_bytes(number, 200_000 + number as usize), &head[..8_000]].concat();
            let (signature, chunks) = sign(&held, &head);
            let answer = tokio::spawn(post(PATH, signature.encode()).send(site.addr()));
            (held, chunks, answer)
        })
        .collect();
    for (held, chunks, answer) in asks {
        let answer = answer.await.unwrap();
        let (file, basis) = matched(&held, &chunks, &answer.body);
        assert!(file == head && basis == 0);
        let (runs, _) = Runs::decode(&answer.body, chunks.len() as u64).unwrap().unwrap();
        assert_eq!(runs.matched().count(), 0, "one run of unmatched tags");
    }
    site.server().prepared().await;
    assert_eq!(site.server().stats().encodes, 2, "one at once for all of them, and then a better one");
}

#[tokio::test]
async fn a_client_that_never_reads_its_answer_is_dropped() {
    let head = random_bytes(1, 64 << 20);
    let site = Site::new(&[("app.js", &head)]).await;
    let held = &head[..24 << 20];
    let (signature, _) = sign(held, &head);
    let (ended, mut ends) = mpsc::unbounded_channel();
    // Each answer's body says when it is let go.
    let app = site.server().router().layer(map_response(move |response: Response| {
        let said = Said(ended.clone());
        async move {
            let said = Arc::new(said);
            let (parts, body) = response.into_parts();
            let pieces = body.into_data_stream().map(move |piece| (piece, said.clone()).0);
            Response::from_parts(parts, Body::from_stream(pieces))
        }
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let options = ServeOptions::default().write_timeout(Duration::from_millis(300));
    tokio::spawn(driblet::serve(listener, app, options));
    let stalled = Slow::start(post(PATH, signature.encode()), addr).await;
    ends.recv().await.unwrap();
    let received = stalled.rest().await;
    // Little of it matches: the answer is the delta from nothing, behind a run of tags.
    let whole = get("/app.js.driblet/none").send(addr).await.body.len();
    assert!(received.body.len() < whole, "it got all of {whole} bytes");
    assert!(get("/app.js").send(addr).await.body == head, "others go on");
}

#[tokio::test]
async fn clients_that_never_send_are_told_so_and_make_room() {
    let site = Site::with(&[("app.js", b"let a;")], |builder| builder.deadline(Duration::from_millis(300))).await;
    let mut stalled = Vec::new();
    for _ in 0..40 {
        let mut client = TcpStream::connect(site.addr()).await.unwrap();
        let start =
            format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 90\r\n\r\nabc");
        client.write_all(start.as_bytes()).await.unwrap();
        stalled.push(client);
    }
    for mut client in stalled {
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer).await;
        // More at once than have a turn: those are told to come again.
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408") || answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
    let (signature, chunks) = sign(b"let b;", b"let a;");
    let answer = site.ask(post(PATH, signature.encode())).await;
    assert_eq!(matched(b"let b;", &chunks, &answer.body).0, b"let a;");
    assert_eq!(site.get(&format!("/app.js.driblet/{}", Version::of(b"let a;"))).await.status, 200);
}

/// Says so when it goes.
struct Said(mpsc::UnboundedSender<()>);

impl Drop for Said {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

fn names_the_limit(answer: &Answer) -> bool {
    answer.refuses(413, "too-large") && answer.json()["detail"].as_str().unwrap().contains("1048576")
}

/// What is answered to these bytes, if anything is; `ends` says that no more will come.
async fn told(addr: SocketAddr, bytes: &[u8], ends: bool) -> String {
    let (mut reader, mut writer) = TcpStream::connect(addr).await.unwrap().into_split();
    let bytes = bytes.to_vec();
    let sent = tokio::spawn(async move {
        let _ = writer.write_all(&bytes).await;
        if ends {
            let _ = writer.shutdown().await;
        }
        writer
    });
    let mut answer = Vec::new();
    let _ = reader.read_to_end(&mut answer).await;
    let _ = sent.await;
    String::from_utf8_lossy(&answer).into_owned()
}
