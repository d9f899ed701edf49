//! Deltas as web resources: the response for each name, the file that receivers make of it, and shared work.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driblet::{Codec, Version};
use driblet_core::{ChunkSizes, Cuts};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::{Answer, Ask, TestSite, apply, get, random_bytes, text};

const DELTA: &str = "application/vnd.driblet.delta";

/// Two releases of a file, the second of them the head.
async fn released() -> (TestSite, Vec<u8>, Vec<u8>) {
    let old = text(1, 400_000);
    let new = [&old[..100_000], b"one more driblet", &old[100_000..], b"and its end"].concat();
    let site = TestSite::new(&[]).await;
    site.publish("app.js", &old).await;
    site.publish("app.js", &new).await;
    (site, old, new)
}

fn is_delta(answer: &Answer, status: u16, caching: &str) -> bool {
    answer.status == status
        && answer.header("content-type") == Some(DELTA)
        && answer.header("cache-control") == Some(caching)
        && answer.header("content-encoding").is_none()
}

#[tokio::test]
async fn from_a_version_from_nothing_and_from_the_head_itself() {
    let (site, old, new) = released().await;
    let (has, head) = (Version::of(&old), Version::of(&new));
    let warm = site.get(&format!("/app.js.driblet/{has}")).await;
    assert!(is_delta(&warm, 200, "no-cache"), "{warm:?}");
    assert_eq!(apply(Some(&old), &warm.body).unwrap(), new);
    assert!(warm.body.len() < 500, "{} bytes for a change of 27", warm.body.len());
    let cold = site.get("/app.js.driblet/none").await;
    assert!(is_delta(&cold, 200, "no-cache"));
    assert_eq!(apply(None, &cold.body).unwrap(), new);
    let same = site.get(&format!("/app.js.driblet/{head}")).await;
    assert!(is_delta(&same, 200, "no-cache"));
    assert_eq!(apply(Some(&new), &same.body).unwrap(), new);
    assert!(same.body.len() <= 42, "{} bytes to say same", same.body.len());
}

#[tokio::test]
async fn a_pair_stays_what_it_is_when_the_head_moves_on() {
    let (site, old, new) = released().await;
    let (a, b) = (Version::of(&old), Version::of(&new));
    site.get(&format!("/app.js.driblet/{a}")).await;
    site.get("/app.js.driblet/none").await;
    site.prepared().await;
    let to_head = site.get(&format!("/app.js.driblet/{a}")).await;
    let cold = site.get("/app.js.driblet/none").await;
    let newer = site.publish("app.js", b"a third").await;
    let pair = site.get(&format!("/app.js.driblet/{a}-{b}")).await;
    assert!(is_delta(&pair, 200, "max-age=31536000, immutable"), "{pair:?}");
    assert_eq!((&pair.body, pair.etag()), (&to_head.body, to_head.etag()), "one delta, one ETag, under each name");
    let pair = site.get(&format!("/app.js.driblet/none-{b}")).await;
    assert_eq!((&pair.body, pair.etag()), (&cold.body, cold.etag()));
    let back = site.get(&format!("/app.js.driblet/{newer}-{a}")).await;
    assert_eq!(apply(Some(b"a third"), &back.body).unwrap(), old, "backwards too");
    let to_newer = site.get(&format!("/app.js.driblet/{a}")).await;
    assert_eq!(apply(Some(&old), &to_newer.body).unwrap(), b"a third");
}

#[tokio::test]
async fn a_delta_is_resumed_at_any_byte() {
    let (site, old, new) = released().await;
    let name = format!("/app.js.driblet/{}-{}", Version::of(&old), Version::of(&new));
    let whole = site.get(&name).await;
    for cut in (0..whole.body.len()).step_by(50).chain([whole.body.len() - 1]) {
        let rest = get(&name).header("range", &format!("bytes={cut}-")).header("if-range", &whole.etag());
        let rest = site.ask(rest).await;
        assert!(is_delta(&rest, 206, "max-age=31536000, immutable"), "{rest:?}");
        assert_eq!(rest.etag(), whole.etag());
        assert_eq!([&whole.body[..cut], &rest.body[..]].concat(), whole.body);
    }
    let other = get(&name).header("range", "bytes=10-").header("if-range", "\"other\"");
    assert_eq!((site.ask(other.clone()).await.status, site.ask(other).await.body), (200, whole.body.clone()));
    let known = site.ask(get(&name).header("if-none-match", &whole.etag())).await;
    assert_eq!(known.status, 304);
}

#[tokio::test]
async fn lengths_around_a_group() {
    let group = 256 << 10;
    let site = TestSite::new(&[]).await;
    for len in [0, 1, group - 1, group, group + 1, 3 * group + 17] {
        let (old, new) = (random_bytes(5, len / 2), random_bytes(6, len));
        let name = format!("f{len}");
        let has = site.publish(&name, &old).await;
        let head = site.publish(&name, &new).await;
        assert_eq!(site.get(&format!("/{name}")).await.body, new);
        let cold = site.get(&format!("/{name}.driblet/none")).await;
        assert_eq!(apply(None, &cold.body).unwrap(), new, "{len}");
        let warm = site.get(&format!("/{name}.driblet/{has}")).await;
        assert_eq!(apply(Some(&old), &warm.body).unwrap(), new, "{len}");
        let json = site.get(&format!("/{name}.driblet/head")).await.json();
        assert_eq!((&json["version"], &json["length"]), (&head.to_string().into(), &len.into()));
    }
}

#[tokio::test]
async fn an_unknown_version_is_told_how_to_sign() {
    let (site, _, new) = released().await;
    let stranger = Version::of(b"never published");
    for name in [format!("{stranger}"), format!("{stranger}-{}", Version::of(&new)), format!("none-{stranger}")] {
        let answer = site.get(&format!("/app.js.driblet/{name}")).await;
        assert!(answer.refuses(404, "unknown-version"), "{name}");
        let problem = answer.json();
        assert_eq!(problem["head"], Version::of(&new).to_string());
        assert_eq!((&problem["length"], &problem["counter"]), (&new.len().into(), &2.into()));
        let cuts = Cuts::of(&new, ChunkSizes::of(&new));
        assert_eq!(problem["rungs"], json!([cuts.sizes().sections.log2(), cuts.sizes().chunks.log2()]));
        assert_eq!(problem["sections"], STANDARD.encode(cuts.list()));
    }
}

#[tokio::test]
async fn a_version_of_another_path_is_unknown() {
    let site = TestSite::new(&[]).await;
    let secret = site.publish("secret.js", &text(1, 5_000)).await;
    let public = site.publish("public.js", &text(2, 5_000)).await;
    for name in
        [format!("{secret}"), format!("{secret}-{public}"), format!("{public}-{secret}"), format!("none-{secret}")]
    {
        assert!(site.get(&format!("/public.js.driblet/{name}")).await.refuses(404, "unknown-version"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_equal_requests_share_one_diff_and_then_a_better_one() {
    let (site, old, new) = released().await;
    let before = site.server().stats().encodes;
    let name = format!("/app.js.driblet/{}", Version::of(&old));
    let asks: Vec<_> = (0..200).map(|_| tokio::spawn(get(&name).send(site.addr()))).collect();
    let mut bodies = HashSet::new();
    for ask in asks {
        bodies.insert(ask.await.unwrap().body);
    }
    assert!(bodies.iter().all(|body| apply(Some(&old), body).unwrap() == new));
    assert!(bodies.len() <= 2, "one made at once, one at leisure");
    site.prepared().await;
    assert_eq!(site.server().stats().encodes - before, 2);
    assert!(site.get(&name).await.body.len() <= bodies.iter().map(Vec::len).min().unwrap());
    assert_eq!(site.server().stats().encodes - before, 2);
}

#[tokio::test]
async fn a_client_that_leaves_does_not_undo_the_work() {
    let (old, new) = (text(1, 8 << 20), [&text(1, 8 << 20)[..], &text(2, 2 << 20)].concat());
    let site = TestSite::new(&[]).await;
    let has = site.publish("app.js", &old).await;
    site.publish("app.js", &new).await;
    let name = format!("/app.js.driblet/{has}");
    for _ in 0..20 {
        let mut leaver = tokio::net::TcpStream::connect(site.addr()).await.unwrap();
        leaver.write_all(&get(&name).bytes(site.addr())).await.unwrap();
        tokio::task::yield_now().await;
    }
    let delta = site.get(&name).await.body;
    assert!(apply(Some(&old), &delta).unwrap() == new);
    site.prepared().await;
    assert_eq!(site.server().stats().encodes, 2, "one at once, one at leisure");
}

#[tokio::test]
async fn a_poll_waits_for_the_next_head() {
    let site = TestSite::new(&[]).await;
    let first = site.publish("app.js", b"first").await;
    let head = site.get("/app.js.driblet/head").await;
    assert_eq!((head.status, head.header("cache-control")), (200, Some("no-store")));
    let epoch = head.json()["epoch"].clone();
    let expected = serde_json::json!({ "version": first.to_string(), "length": 5, "counter": 1, "epoch": epoch });
    assert_eq!(head.json(), expected);
    let waiting = tokio::spawn(get("/app.js.driblet/head?since=1&wait=60").send(site.addr()));
    site.write("app.js", b"second!");
    let head = waiting.await.unwrap().json();
    let second = Version::of(b"second!");
    assert_eq!(
        head,
        serde_json::json!({ "version": second.to_string(), "length": 7, "counter": 2, "epoch": expected["epoch"] })
    );
    let unchanged = site.get("/app.js.driblet/head?since=2&wait=0").await.json();
    assert_eq!(unchanged["counter"], 2);
    let behind = site.get("/app.js.driblet/head?since=1&wait=60").await.json();
    assert_eq!(behind["counter"], 2, "the head has moved already");
    let unchanged = site.get("/app.js.driblet/head?since=2&wait=1").await.json();
    assert_eq!(unchanged["counter"], 2, "the wait has an end");
}

#[tokio::test]
async fn any_byte_of_a_delta_flipped_makes_an_error_or_the_right_file() {
    let (site, old, new) = released().await;
    let delta = site.get(&format!("/app.js.driblet/{}", Version::of(&old))).await.body;
    for at in 0..delta.len() {
        let mut flipped = delta.clone();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(file) = apply(Some(&old), &flipped) {
            assert!(file == new || file == old, "byte {at}");
        }
    }
}

#[tokio::test]
async fn the_browser_client_is_there_or_says_how_to_build_it() {
    let site = TestSite::new(&[("index.html", b"a page")]).await;
    let client = site.get("/.driblet/client.js").await;
    if client.status == 404 {
        assert!(client.refuses(404, "no-such-file"));
        assert!(client.json()["detail"].as_str().unwrap().contains("make client"));
        return;
    }
    assert!(client.header("content-type").is_some_and(|kind| kind.starts_with("text/javascript")));
    assert_eq!(site.ask(get("/.driblet/client.js").header("if-none-match", &client.etag())).await.status, 304);
    assert!(site.get("/.driblet/nope.js").await.refuses(404, "no-such-file"));
    assert!(site.ask(get("/.driblet/client.js").method("POST")).await.refuses(405, "method"));
}

#[tokio::test]
async fn who_tells_of_another_link_gets_the_delta_for_that() {
    let rows = |more: u16| -> Vec<u8> {
        let random = random_bytes(1, 64_000);
        let numbers = random.chunks(8).map(|row| {
            let [a, b, c, d] = [0, 2, 4, 6].map(|at| u16::from_le_bytes([row[at], row[at + 1]]) % 10_000);
            format!("{a},{b},{},{d}\n", c + more)
        });
        numbers.collect::<String>().into_bytes()
    };
    let (old, new) = (rows(0), rows(1));
    // Over the expected link copies are verified first. Over one ten times slower it is worth to replace numbers in them.
    let site = TestSite::with(&[], |builder| builder.codec(Codec::Auto { bits_per_second: 100_000_000 })).await;
    let has = site.publish("app.js", &old).await;
    site.publish("app.js", &new).await;
    let name = format!("/app.js.driblet/{has}");
    let ask = |words: &'static str| {
        site.ask(get(&name).header("accept", &format!("application/vnd.driblet.delta;codec=dense{words}, */*;q=0.5")))
    };
    ask("").await;
    site.prepared().await;
    let usual = ask("").await;
    let meanwhile = ask(";link=slow").await;
    assert_eq!(meanwhile.etag(), usual.etag(), "it is made for the first who asks for it");
    site.prepared().await;
    let slow = ask(";link=slow").await;
    assert!(slow.body.len() < usual.body.len(), "{} and {} bytes", slow.body.len(), usual.body.len());
    assert_eq!(apply(Some(&old), &slow.body).unwrap(), new);
    assert_eq!(ask(";link=none").await.etag(), usual.etag(), "an unknown word");
    // A transfer continues, whatever the receiver says of its link by now.
    let accept = "application/vnd.driblet.delta;codec=dense";
    let begun = get(&name).header("accept", accept).header("range", "bytes=10-").header("if-range", &slow.etag());
    let rest = site.ask(begun).await;
    assert_eq!((rest.status, &rest.body[..]), (206, &slow.body[10..]));
    ask(";link=fast").await;
    site.prepared().await;
    assert_eq!(apply(Some(&old), &ask(";link=fast").await.body).unwrap(), new);
}

#[tokio::test]
async fn who_reads_the_dense_codec_gets_it_once_it_is_made() {
    let old = text(1, 400_000);
    let new = String::from_utf8(old.clone()).unwrap().replace("value", "amount").replace("length", "size").into_bytes();
    // A link so slow that the smallest delta arrives first.
    let site = TestSite::with(&[], |builder| builder.codec(Codec::Auto { bits_per_second: 10_000 })).await;
    let has = site.publish("app.js", &old).await;
    site.publish("app.js", &new).await;
    let name = format!("/app.js.driblet/{has}");
    let ask = |accept: &'static str| site.ask(get(&name).header("accept", accept));
    const DENSE: &str = "application/vnd.driblet.delta;codec=dense, */*;q=0.5";

    let fast = ask(DENSE).await;
    assert_eq!((fast.status, fast.header("vary")), (200, Some("accept")), "at once, what is made quickly");
    site.prepared().await;
    let dense = ask(DENSE).await;
    assert_eq!(apply(Some(&old), &dense.body).unwrap(), new);
    assert!(dense.body.len() < fast.body.len() && dense.etag() != fast.etag(), "{} bytes", dense.body.len());

    for accept in [DELTA, "*/*", "application/vnd.driblet.delta;codec=denser", "text/html;codec=dense"] {
        let other = ask(accept).await;
        assert_ne!(other.etag(), dense.etag(), "{accept} does not name it");
        assert_eq!(apply(Some(&old), &other.body).unwrap(), new);
    }
    let begun = get(&name).header("accept", DENSE).header("range", "bytes=10-").header("if-range", &fast.etag());
    let rest = site.ask(begun).await;
    assert_eq!((rest.status, &rest.body[..]), (206, &fast.body[10..]), "what was begun goes on as it was");
}

#[tokio::test]
async fn shared_caches_keep_nothing_that_a_guard_may_have_let_through() {
    const SHARED: &str = "max-age=31536000, immutable";
    const PRIVATE: &str = "private, max-age=31536000, immutable";
    for (private, plain) in [(false, SHARED), (true, PRIVATE)] {
        let site = TestSite::with(&[], |builder| builder.directory("").private(private)).await;
        let old = site.publish("app.js", &text(1, 5_000)).await;
        let new = site.publish("app.js", &text(2, 5_000)).await;
        let directory = site.get("/.driblet/head").await.json()["version"].as_str().unwrap().to_owned();
        for path in [
            format!("/app.js.driblet/{old}-{new}"),
            format!("/.driblet/none-{directory}"),
            format!("/.driblet/manifest/{directory}"),
        ] {
            let caching = async |ask: Ask| site.ask(ask).await.header("cache-control").map(str::to_owned);
            assert_eq!(caching(get(&path)).await.as_deref(), Some(plain), "{path}");
            assert_eq!(caching(get(&path).header("cookie", "a=b")).await.as_deref(), Some(PRIVATE), "{path}");
            assert_eq!(caching(get(&path).header("authorization", "x")).await.as_deref(), Some(PRIVATE), "{path}");
        }
        // The browser client is everybody's, and what is revalidated asks the guard each time.
        let head = site.ask(get(&format!("/app.js.driblet/{old}")).header("cookie", "a=b")).await;
        assert_eq!(head.header("cache-control"), Some("no-cache"));
    }
}
