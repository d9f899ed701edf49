//! First visits: artifacts are sent while they are made, and later visitors get the background form.

use driblet::Version;

use crate::support::{Answer, Ask, Slow, TestSite, apply, get, random_bytes, text};

const NONE: &str = "/app.js.driblet/none";

/// Bytes that compress to half their length: nothing repeats.
fn digits(number: u64, len: usize) -> Vec<u8> {
    random_bytes(number, len).iter().map(|byte| b"0123456789abcdef"[usize::from(byte & 15)]).collect()
}

fn encoded(coding: &str) -> Ask {
    get("/app.js").header("accept-encoding", coding)
}

fn decoded(answer: &Answer) -> Vec<u8> {
    let mut out = Vec::new();
    match answer.header("content-encoding") {
        Some("br") => brotli::BrotliDecompress(&mut &answer.body[..], &mut out).unwrap(),
        Some("zstd") => {
            out.reserve(65 << 20);
            zstd_safe::decompress(&mut out, &answer.body).unwrap();
        }
        None => out = answer.body.clone(),
        Some(coding) => panic!("{coding}"),
    }
    out
}

/// Whether the response began before its length was known.
fn flowed(answer: &Answer) -> bool {
    answer.header("transfer-encoding") == Some("chunked") && answer.header("content-length").is_none()
}

fn has_length(answer: &Answer) -> bool {
    answer.header("content-length") == Some(&answer.body.len().to_string())
}

#[tokio::test]
async fn what_is_long_flows_while_it_is_made() {
    let site = TestSite::new(&[]).await;
    let (mut delta_flowed, mut plain_flowed) = (false, false);
    // Each is long enough for a usual machine. On a busy one the work may end before the response begins.
    for len in [8, 16, 32, 64].map(|megabytes| megabytes << 20) {
        let bytes = digits(1, len);
        site.publish("app.js", &bytes).await;
        let (first, plain) = (site.get(NONE).await, site.ask(encoded("zstd")).await);
        delta_flowed |= flowed(&first);
        plain_flowed |= flowed(&plain);
        assert!(first.status == 200 && apply(None, &first.body).unwrap() == bytes);
        assert!(plain.header("content-encoding") == Some("zstd") && decoded(&plain) == bytes);
        assert_eq!(plain.etag(), format!("\"{}-zstd\"", Version::of(&bytes)));
        // The second response is the same, and its length is known.
        let again = site.ask(get(NONE).header("range", "bytes=0-").header("if-range", &first.etag())).await;
        assert!(again.status == 206 && has_length(&again) && again.body == first.body);
        if delta_flowed && plain_flowed {
            return;
        }
    }
    panic!("nothing was sent before all of it was made");
}

#[tokio::test]
async fn what_is_short_says_its_length_at_once() {
    let bytes = text(1, 200_000);
    let site = TestSite::new(&[("app.js", &bytes)]).await;
    for ask in [get(NONE), encoded("br"), encoded("zstd")] {
        let answer = site.ask(ask).await;
        assert!(answer.status == 200 && has_length(&answer), "{:?}", answer.header("content-encoding"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_number_of_readers_share_one_and_none_waits_for_another() {
    let bytes = digits(2, 6 << 20);
    let site = TestSite::new(&[("app.js", &bytes)]).await;
    let slow = Slow::start(get(NONE), site.addr()).await;
    let asks: Vec<_> = (0..10).map(|_| tokio::spawn(get(NONE).send(site.addr()))).collect();
    let mut bodies = Vec::new();
    for ask in asks {
        bodies.push(ask.await.unwrap().body);
    }
    bodies.push(slow.whole_answer().await.body);
    assert!(bodies.iter().all(|body| *body == bodies[0]));
    assert!(apply(None, &bodies[0]).unwrap() == bytes);
    assert!(site.server().stats().encodes <= 2, "one at once, one at leisure");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_part_of_what_is_being_made_is_answered_when_it_is_made() {
    let bytes = digits(3, 4 << 20);
    let site = TestSite::new(&[("app.js", &bytes)]).await;
    let pair = format!("/app.js.driblet/none-{}", Version::of(&bytes));
    // A response without a body does not wait for the work, and has an ETag.
    let head = site.ask(get(&pair).method("HEAD")).await;
    assert!(head.status == 200 && head.header("content-length").is_none());
    let whole = tokio::spawn(get(&pair).send(site.addr()));
    let rest = get(&pair).header("range", "bytes=1000-").header("if-range", &head.etag());
    let rest = site.ask(rest).await;
    let whole = whole.await.unwrap();
    assert_eq!((rest.status, rest.etag(), whole.etag()), (206, head.etag(), head.etag()));
    assert!(rest.body == whole.body[1000..]);
    assert_eq!(
        rest.header("content-range"),
        Some(&*format!("bytes 1000-{}/{}", whole.body.len() - 1, whole.body.len()))
    );
}

#[tokio::test]
async fn who_comes_next_gets_the_better_one_and_who_has_begun_goes_on() {
    let bytes = text(4, 500_000);
    let site = TestSite::new(&[("app.js", &bytes)]).await;
    let quick = site.get(NONE).await;
    let plain = [site.ask(encoded("br")).await, site.ask(encoded("zstd")).await];
    site.prepared().await;
    let better = site.get(NONE).await;
    assert!(apply(None, &better.body).unwrap() == bytes && has_length(&better));
    assert!(better.body.len() < quick.body.len() && better.etag() != quick.etag(), "{}", better.body.len());
    let begun = get(NONE).header("range", "bytes=100-").header("if-range", &quick.etag());
    let rest = site.ask(begun).await;
    assert!(rest.status == 206 && rest.body == quick.body[100..]);
    let begun = get(NONE).header("range", "bytes=100-").header("if-range", &better.etag());
    assert!(site.ask(begun).await.body == better.body[100..]);
    for held in [&quick, &better] {
        let known = site.ask(get(NONE).header("if-none-match", &held.etag())).await;
        assert_eq!((known.status, known.etag()), (304, held.etag()));
    }
    for (coding, quick) in ["br", "zstd"].into_iter().zip(plain) {
        let better = site.ask(encoded(coding)).await;
        assert!(decoded(&quick) == bytes && decoded(&better) == bytes && has_length(&better));
        assert!(better.body.len() < quick.body.len() && better.etag() != quick.etag(), "{coding}");
        for held in [&quick, &better] {
            let known = site.ask(encoded(coding).header("if-none-match", &held.etag())).await;
            assert_eq!((known.status, known.etag()), (304, held.etag()));
        }
        let head = site.ask(encoded(coding).method("HEAD")).await;
        assert_eq!(head.header("content-length"), better.header("content-length"));
    }
    assert_eq!(site.server().stats().encodes, 2, "the delta twice, at once and at leisure");
}

#[tokio::test]
async fn what_is_as_long_encoded_is_sent_as_it_is() {
    let bytes = random_bytes(5, 3 << 20);
    let site = TestSite::new(&[("app.js", &bytes)]).await;
    for coding in ["br", "zstd"] {
        let plain = site.ask(encoded(coding)).await;
        assert!(has_length(&plain) && plain.header("content-encoding").is_none() && plain.body == bytes);
    }
    assert_eq!(site.server().stats().waiting, 0);
    let delta = site.get(NONE).await.body;
    assert!(apply(None, &delta).unwrap() == bytes && delta.len() < bytes.len() + 4096);
}

#[tokio::test]
async fn a_reader_that_leaves_undoes_nothing() {
    let bytes = digits(6, 4 << 20);
    let site = TestSite::new(&[("app.js", &bytes)]).await;
    for _ in 0..5 {
        drop(Slow::start(get(NONE), site.addr()).await);
        drop(Slow::start(encoded("zstd"), site.addr()).await);
    }
    assert!(apply(None, &site.get(NONE).await.body).unwrap() == bytes);
    assert!(decoded(&site.ask(encoded("zstd")).await) == bytes);
    assert!(site.server().stats().encodes <= 2, "one at once, one at leisure");
}

#[tokio::test]
async fn lengths_around_where_it_begins_to_flow() {
    let site = TestSite::new(&[]).await;
    for len in [0, 1, (128 << 10) - 1, 128 << 10, (128 << 10) + 1, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 1 << 20]
    {
        for bytes in [random_bytes(7, len), text(7, len), vec![0; len]] {
            site.publish("app.js", &bytes).await;
            assert!(apply(None, &site.get(NONE).await.body).unwrap() == bytes, "{len}");
            assert!(decoded(&site.ask(encoded("br")).await) == bytes, "{len}");
        }
    }
}
