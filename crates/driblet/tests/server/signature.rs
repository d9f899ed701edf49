//! A version that the server does not know: what is signed comes back as a delta, and forgeries cost little.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driblet::Version;
use driblet_core::{Chunk, ChunkSize, ChunkSizes, Cuts, Signature};

use crate::support::{Site, apply, get, matched, post, random_bytes, sign, text};

const PATH: &str = "/app.js.driblet/signature";

/// Signs what is held, as the server's 404 asks for it.
async fn signed(site: &Site, held: &[u8]) -> (Signature, Vec<Chunk>) {
    let problem = site.get(&format!("/app.js.driblet/{}", Version::of(held))).await.json();
    assert_eq!(problem["code"], "unknown-version");
    let size = |at: usize| ChunkSize::new(problem["rungs"][at].as_u64().unwrap() as u8).unwrap();
    let cuts = Cuts::of(held, ChunkSizes { sections: size(0), chunks: size(1) });
    let chunks = cuts.describe(&STANDARD.decode(problem["sections"].as_str().unwrap()).unwrap());
    (Signature::sign([7; 16], &chunks), chunks)
}

/// The delta from nothing, at its best.
async fn from_nothing(site: &Site) -> Vec<u8> {
    site.get("/app.js.driblet/none").await;
    site.server().prepared().await;
    site.get("/app.js.driblet/none").await.body
}

#[tokio::test]
async fn what_matches_does_not_travel() {
    let head = random_bytes(1, 600_000);
    let held = [b"a line of our own", &head[..200_000], &random_bytes(2, 3_000), &head[250_000..]].concat();
    let site = Site::new(&[("app.js", &head)]).await;
    let (signature, chunks) = signed(&site, &held).await;
    let answer = site.ask(post(PATH, signature.encode())).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/vnd.driblet.matched")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let (file, basis) = matched(&held, &chunks, &answer.body);
    assert!(file == head && 400_000 < basis);
    assert!(answer.body.len() < 60_000, "{} bytes", answer.body.len());
}

#[tokio::test]
async fn where_little_matches_the_shared_delta_from_nothing_is_sent() {
    let head = text(1, 300_000);
    let held = [&random_bytes(2, 300_000), &head[..6_000]].concat();
    let site = Site::new(&[("app.js", &head)]).await;
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
    let site = Site::new(&[("app.js", &head)]).await;
    // A nonce, then one true tag of 64 bits among noise.
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
    // Less than 3 % of the head: one run of no matches, and the delta from nothing.
    let cold = from_nothing(&site).await;
    let answer = site.ask(post(PATH, forged)).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.body, [&[3, 0xa1, 0x8d, 0x06], &cold[..]].concat());
    assert_eq!(apply(None, &answer.body[4..]).unwrap(), head);
}

#[tokio::test]
async fn more_tags_than_are_taken() {
    let site = Site::with(&[("app.js", b"let a;")], |builder| builder.max_tags(1000)).await;
    let header = |count: &[u8]| [&[1; 16][..], &[21], count].concat();
    // 1001 announced, and none sent: refused by the number alone.
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
    let site = Site::new(&[("app.js", b"let a;")]).await;
    let mut body = [&[1; 16][..], &[64], &[0x80, 0xad, 0xe2, 0x04]].concat();
    body.resize(body.len() + (8 * 10_000_000), 0);
    assert!(site.ask(post(PATH, body)).await.refuses(413, "too-large"));
    let one_more = [&[1; 16][..], &[21], &[0x81, 0x80, 0x40], &[0; 21 * (1 << 20) / 8 + 3]].concat();
    assert!(site.ask(post(PATH, one_more)).await.refuses(413, "too-large"));
}

#[tokio::test]
async fn garbage() {
    let site = Site::new(&[("app.js", &random_bytes(1, 50_000))]).await;
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
    let site = Site::new(&[("app.js", &head)]).await;
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
    let site = Site::new(&[("app.js", b"")]).await;
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
    let site = Site::new(&[("app.js", &head)]).await;
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
    // Each line differs, so that little matches, and all of it compresses well.
    let lines =
        |what: &str| -> Vec<u8> { (0..40_000).flat_map(|i| format!("{what} {}\n", i / 2).into_bytes()).collect() };
    let head = lines("a line of the head with number");
    let site = Site::new(&[("app.js", &head)]).await;
    let cold = from_nothing(&site).await;
    for held in [lines("another line, of another file"), [&head[..90_000], &random_bytes(2, 200_000)].concat()] {
        let (signature, chunks) = signed(&site, &held).await;
        let answer = site.ask(post(PATH, signature.encode())).await;
        assert!(answer.body.len() <= cold.len() + 8, "{} and {}", answer.body.len(), cold.len());
        assert!(matched(&held, &chunks, &answer.body).0 == head);
    }
}
