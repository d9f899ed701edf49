//! Signatures: a delta from what matches, and little work for forged or invalid ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::middleware::map_response;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driblet::{ServeOptions, Version};
use driblet_core::{
    Basis, Chunk, ChunkSize, ChunkSizes, Cuts, DecodeError, Decoder, Limits, MatchedBasis, Runs, Signature,
};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::support::{Answer, Slow, TestSite, apply, get, matched, post, random_bytes, serving, sign, text, within};

const PATH: &str = "/app.js.driblet/signature";

/// Signs the held bytes, as the server's 404 asks.
async fn signed(site: &TestSite, held: &[u8]) -> (Signature, Vec<Chunk>) {
    let problem = site.get(&format!("/app.js.driblet/{}", Version::of(held))).await.json();
    assert_eq!(problem["code"], "unknown-version");
    let size = |at: usize| ChunkSize::new(problem["rungs"][at].as_u64().unwrap() as u8).unwrap();
    let cuts = Cuts::of(held, ChunkSizes { sections: size(0), chunks: size(1) });
    let chunks = cuts.describe(&STANDARD.decode(problem["sections"].as_str().unwrap()).unwrap());
    (Signature::sign([7; 16], &chunks), chunks)
}

/// The background delta from nothing.
async fn from_nothing(site: &TestSite) -> Vec<u8> {
    site.get("/app.js.driblet/none").await;
    site.prepared().await;
    site.get("/app.js.driblet/none").await.body
}

#[tokio::test]
async fn what_matches_does_not_travel() {
    let head = random_bytes(1, 600_000);
    let held = [b"a line of our own", &head[..200_000], &random_bytes(2, 3_000), &head[250_000..]].concat();
    let site = TestSite::new(&[("app.js", &head)]).await;
    let (signature, chunks) = signed(&site, &held).await;
    let answer = site.ask(post(PATH, signature.encode())).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/vnd.driblet.matched")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let (file, basis) = matched(&held, &chunks, &answer.body);
    assert!(file == head && 400_000 < basis);
    assert!(answer.body.len() < 60_000, "{} bytes", answer.body.len());
}

#[tokio::test]
async fn receivers_of_the_same_unknown_version_share_a_delta_and_later_ones_get_a_better_one() {
    let head = text(1, 900_000);
    let held = [&head[..400_000], &random_bytes(2, 3_000), &head[850_000..]].concat();
    let site = TestSite::new(&[("app.js", &head)]).await;
    let (_, chunks) = signed(&site, &held).await;
    let ask = async |nonce| {
        let answer = site.ask(post(PATH, Signature::sign([nonce; 16], &chunks).encode())).await;
        let (file, basis) = matched(&held, &chunks, &answer.body);
        assert!(file == head && 440_000 < basis);
        answer.body
    };
    let first = ask(1).await;
    site.prepared().await;
    let second = ask(2).await;
    assert_eq!(second, first, "nothing better is made for one receiver");
    site.prepared().await;
    let third = ask(3).await;
    assert!(third.len() < first.len() * 99 / 100, "{} bytes, then {}", first.len(), third.len());
    assert_eq!(ask(4).await, third);
}

#[tokio::test]
async fn where_little_matches_the_shared_delta_from_nothing_is_sent() {
    let head = text(1, 300_000);
    let held = [&random_bytes(2, 300_000), &head[..6_000]].concat();
    let site = TestSite::new(&[("app.js", &head)]).await;
    let cold = from_nothing(&site).await;
    let encodes = site.server().stats().encodes;
    let (signature, chunks) = signed(&site, &held).await;
    let answer = site.ask(post(PATH, signature.encode())).await;
    assert!(answer.body.ends_with(&cold));
    let (file, basis) = matched(&held, &chunks, &answer.body);
    assert!(file == head && basis == 0);
    assert_eq!(site.server().stats().encodes, encodes);
}

#[tokio::test]
async fn one_tag_that_matches_and_a_hundred_thousand_that_do_not() {
    let head = random_bytes(1, 300_000);
    let site = TestSite::new(&[("app.js", &head)]).await;
    // A nonce, then one true tag of 64 bits among random ones.
    let (nonce, count) = ([3; 16], 100_001u32);
    let mut forged = nonce.to_vec();
    forged.push(64);
    forged.extend([count as u8 | 0x80, (count >> 7) as u8 | 0x80, (count >> 14) as u8]);
    let keyed = {
        let mut key = [0; 32];
        key[..16].copy_from_slice(&nonce);
        blake3::keyed_hash(&key, Cuts::of(&head, ChunkSizes::of(&head)).chunks()[0].id.as_bytes())
    };
    forged.extend(random_bytes(9, 8 * 50_000));
    forged.extend_from_slice(&keyed.as_bytes()[..8]);
    forged.extend(random_bytes(10, 8 * 50_000));
    // Less than 3 % of the head matches: one run without a match, and the delta from nothing.
    let cold = from_nothing(&site).await;
    let answer = site.ask(post(PATH, forged)).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.body, [&[3, 0xa1, 0x8d, 0x06], &cold[..]].concat());
    assert_eq!(apply(None, &answer.body[4..]).unwrap(), head);
}

#[tokio::test]
async fn more_tags_than_are_taken() {
    let site = TestSite::with(&[("app.js", b"let a;")], |builder| builder.max_tags(1000)).await;
    let header = |count: &[u8]| [&[1; 16][..], &[21], count].concat();
    // 1001 tags announced and none sent: the number alone is refused.
    let answer = site.ask(post(PATH, header(&[0xe9, 0x07]))).await;
    assert!(answer.refuses(413, "too-large"));
    assert!(answer.json()["detail"].as_str().unwrap().contains("1000"));
    let most = header(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    assert!(site.ask(post(PATH, most)).await.refuses(413, "too-large"));
    let answer = site.ask(post(PATH, [&header(&[0xe8, 0x07])[..], &[0; 2625]].concat())).await;
    assert_eq!(answer.status, 200, "1000 are taken");
}

#[tokio::test]
async fn ten_million_tags() {
    let site = TestSite::new(&[("app.js", b"let a;")]).await;
    let mut body = [&[1; 16][..], &[64], &[0x80, 0xad, 0xe2, 0x04]].concat();
    body.resize(body.len() + (8 * 10_000_000), 0);
    assert!(site.ask(post(PATH, body)).await.refuses(413, "too-large"));
    let one_more = [&[1; 16][..], &[21], &[0x81, 0x80, 0x40], &[0; 21 * (1 << 20) / 8 + 3]].concat();
    assert!(site.ask(post(PATH, one_more)).await.refuses(413, "too-large"));
}

#[tokio::test]
async fn garbage() {
    let site = TestSite::new(&[("app.js", &random_bytes(1, 50_000))]).await;
    let (signature, _) = signed(&site, &random_bytes(2, 50_000)).await;
    let good = signature.encode();
    let mut cases =
        vec![Vec::new(), random_bytes(3, 5_000), good[..good.len() - 1].to_vec(), [&good[..], &[0]].concat()];
    cases.extend((0..17).map(|len| good[..len].to_vec()));
    for (at, value) in [(16, 0), (16, 7), (16, 65), (16, 255)] {
        let mut case = good.clone();
        case[at] = value;
        cases.push(case);
    }
    for case in cases {
        let answer = site.ask(post(PATH, case.clone())).await;
        assert!(answer.refuses(400, "bad-signature"), "{case:?}");
    }
    assert!(site.ask(post("/missing.js.driblet/signature", good)).await.refuses(404, "no-such-file"));
}

#[tokio::test]
async fn any_byte_of_a_signature_flipped_makes_an_error_or_the_right_file() {
    let head = random_bytes(1, 60_000);
    let held = [&head[..40_000], b"and something else"].concat();
    let site = TestSite::new(&[("app.js", &head)]).await;
    let (signature, chunks) = signed(&site, &held).await;
    let good = signature.encode();
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 1 << (at % 8);
        let answer = site.ask(post(PATH, flipped.clone())).await;
        let Ok(read) = Signature::decode(&flipped, 1 << 20) else {
            assert!(matches!(answer.status, 400 | 413), "byte {at}: {answer:?}");
            continue;
        };
        assert_eq!(answer.status, 200, "byte {at}");
        if chunks.len() as u64 == read.count() {
            let (file, _) = matched(&held, &chunks, &answer.body);
            assert_eq!(file, head, "byte {at}");
        }
    }
}

#[tokio::test]
async fn an_empty_head_and_an_empty_hand() {
    let site = TestSite::new(&[("app.js", b"")]).await;
    let (signature, chunks) = sign(&random_bytes(1, 9_000), b"");
    let answer = site.ask(post(PATH, signature.encode())).await;
    assert_eq!(matched(&random_bytes(1, 9_000), &chunks, &answer.body).0, b"");
    site.publish("app.js", &text(1, 9_000)).await;
    let (nothing, chunks) = sign(b"", &text(1, 9_000));
    let answer = site.ask(post(PATH, nothing.encode())).await;
    assert_eq!(matched(b"", &chunks, &answer.body).0, text(1, 9_000));
    assert_eq!(site.ask(get("/app.js")).await.status, 200);
}

#[tokio::test]
async fn what_was_cut_otherwise_than_asked_for_matches_little() {
    let head = random_bytes(1, 1 << 20);
    let site = TestSite::new(&[("app.js", &head)]).await;
    for [sections, chunks] in [[17, 12], [8, 8], [9, 17]] {
        let size = |log2| ChunkSize::new(log2).unwrap();
        let cuts = Cuts::of(&head, ChunkSizes { sections: size(sections), chunks: size(chunks) });
        let signature = Signature::sign([7; 16], cuts.chunks());
        let answer = site.ask(post(PATH, signature.encode())).await;
        assert!(matched(&head, cuts.chunks(), &answer.body).0 == head);
    }
}

#[tokio::test]
async fn the_answer_is_never_longer_than_the_delta_from_nothing() {
    // Each line differs, so little matches, and everything compresses well.
    let lines =
        |what: &str| -> Vec<u8> { (0..40_000).flat_map(|i| format!("{what} {}\n", i / 2).into_bytes()).collect() };
    let head = lines("a line of the head with number");
    let site = TestSite::new(&[("app.js", &head)]).await;
    let cold = from_nothing(&site).await;
    for held in [lines("another line, of another file"), [&head[..90_000], &random_bytes(2, 200_000)].concat()] {
        let (signature, chunks) = signed(&site, &held).await;
        let answer = site.ask(post(PATH, signature.encode())).await;
        assert!(answer.body.len() <= cold.len() + 8, "{} and {}", answer.body.len(), cold.len());
        assert!(matched(&held, &chunks, &answer.body).0 == head);
    }
}

/// The default for the most tags.
const MOST: u64 = 1 << 20;

#[tokio::test]
async fn a_tag_that_matches_by_chance_is_noticed_by_the_receiver() {
    let head = random_bytes(1, 100_000);
    let site = TestSite::new(&[("app.js", &head)]).await;
    let sizes = ChunkSizes::of(&head);
    // The tags are those of the head, as if by chance. The held chunks are others of equal lengths.
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
    let site = TestSite::new(&[("app.js", &head), ("one.js", &head[..first.len as usize])]).await;
    let many = vec![first; 300_000];
    let signature = Signature::sign([7; 16], &many);
    // One matching chunk of many is not worth a basis. If it is the whole file, it is.
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
    let site = TestSite::new(&[("app.js", b"let a;")]).await;
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
    // Longer than the longest signature, with a stated length or in endless pieces.
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
    let site = TestSite::new(&[("app.js", b"let a;")]).await;
    let start = format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    let cases = [
        format!("{start}transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\nzz\r\n"),
        format!("{start}transfer-encoding: chunked\r\n\r\n5\r\nabcde\r\n"),
        format!("{start}content-length: 1000\r\n\r\nabcde"),
    ];
    for case in cases {
        let answer = told(site.addr(), case.as_bytes(), true).await;
        // A client that breaks off may get no response. A response must be correct.
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{case}\n{answer}");
    }
    assert_eq!(site.get("/app.js").await.text(), "let a;");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn strangers_share_one_diff() {
    let head = text(1, 400_000);
    let site = TestSite::new(&[("app.js", &head)]).await;
    let asks: Vec<_> = (0..40)
        .map(|number| {
            let held = [&random_bytes(number, 200_000 + number as usize), &head[..8_000]].concat();
            let (signature, chunks) = sign(&held, &head);
            let answer = tokio::spawn(post(PATH, signature.encode()).send(site.addr()));
            (held, chunks, answer)
        })
        .collect();
    for (held, chunks, answer) in asks {
        let answer = within(answer).await.unwrap();
        let (file, basis) = matched(&held, &chunks, &answer.body);
        assert!(file == head && basis == 0);
        let (runs, _) = Runs::decode(&answer.body, chunks.len() as u64).unwrap().unwrap();
        assert_eq!(runs.matched().count(), 0, "one run of unmatched tags");
    }
    site.prepared().await;
    assert_eq!(site.server().stats().encodes, 2, "one at once for all of them, and then a better one");
}

#[tokio::test]
async fn a_client_that_never_reads_its_answer_is_dropped() {
    let head = random_bytes(1, 64 << 20);
    let site = TestSite::new(&[("app.js", &head)]).await;
    let held = &head[..24 << 20];
    let (signature, _) = sign(held, &head);
    let (ended, mut ends) = mpsc::unbounded_channel();
    // Each body tells when it is dropped.
    let app = site.server().router().layer(map_response(move |response: Response| {
        let said = Said(ended.clone());
        async move {
            let said = Arc::new(said);
            let (parts, body) = response.into_parts();
            let pieces = body.into_data_stream().map(move |piece| (piece, said.clone()).0);
            Response::from_parts(parts, Body::from_stream(pieces))
        }
    }));
    let options = ServeOptions::default().write_timeout(Duration::from_millis(300));
    let addr = serving(app, options).await;
    let stalled = Slow::start(post(PATH, signature.encode()), addr).await;
    within(ends.recv()).await.unwrap();
    let received = stalled.whole_answer().await;
    // Little matches: the answer is a run of tags and the delta from nothing.
    let whole = get("/app.js.driblet/none").send(addr).await.body.len();
    assert!(received.body.len() < whole, "it got all of {whole} bytes");
    assert!(get("/app.js").send(addr).await.body == head, "others go on");
}

#[tokio::test]
async fn clients_that_never_send_are_told_so_and_make_room() {
    let site = TestSite::with(&[("app.js", b"let a;")], |builder| builder.deadline(Duration::from_millis(300))).await;
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
        let _ = within(client.read_to_end(&mut answer)).await;
        // More signatures than permits: the server tells the others to come again.
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 408") || answer.starts_with("HTTP/1.1 503"), "{answer}");
    }
    let (signature, chunks) = sign(b"let b;", b"let a;");
    let answer = site.ask(post(PATH, signature.encode())).await;
    assert_eq!(matched(b"let b;", &chunks, &answer.body).0, b"let a;");
    assert_eq!(site.get(&format!("/app.js.driblet/{}", Version::of(b"let a;"))).await.status, 200);
}

/// Tells when it is dropped.
struct Said(mpsc::UnboundedSender<()>);

impl Drop for Said {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

fn names_the_limit(answer: &Answer) -> bool {
    answer.refuses(413, "too-large") && answer.json()["detail"].as_str().unwrap().contains("1048576")
}

/// The response to these bytes, if there is one. With `ends` the client ends its side.
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
    let _ = within(reader.read_to_end(&mut answer)).await;
    let _ = within(sent).await;
    String::from_utf8_lossy(&answer).into_owned()
}
