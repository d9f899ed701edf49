//! Sizes, pieces, conditions and middleware: what an HTTP library and an application around the server rely on.

#[path = "server/support/mod.rs"]
#[allow(dead_code, unused_imports)]
mod support;

use std::net::SocketAddr;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use driblet::{ServeOptions, Version};
use support::{Site, apply, get, post, random_bytes, sign, text};

const GROUP: usize = 256 << 10;
/// What one connection reads from a file at once.
const PIECE: usize = 128 << 10;

async fn served(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(driblet::serve(listener, app, ServeOptions::default()));
    addr
}

#[tokio::test]
async fn every_pair_of_sizes_around_a_group() {
    let site = Site::new(&[]).await;
    let releases: Vec<Vec<u8>> = [0, 1, GROUP - 1, GROUP, GROUP + 1, 2 * GROUP]
        .iter()
        .enumerate()
        .map(|(number, len)| [&text(7, *len)[..len / 2], &random_bytes(number as u64, len - len / 2)].concat())
        .collect();
    for release in &releases {
        let version = site.publish("a.bin", release).await;
        assert!(site.get("/a.bin").await.body == *release);
        let cold = site.get(&format!("/a.bin.driblet/none-{version}")).await.body;
        assert!(apply(None, &cold).unwrap() == *release, "{} bytes from nothing", release.len());
    }
    for from in &releases {
        for to in releases.iter().filter(|to| *to != from) {
            let name = format!("/a.bin.driblet/{}-{}", Version::of(from), Version::of(to));
            let delta = site.get(&name).await;
            assert!(apply(Some(from), &delta.body).unwrap() == *to, "{} to {}", from.len(), to.len());
        }
    }
}

#[tokio::test]
async fn ranges_across_pieces() {
    let bytes = random_bytes(1, 3 * PIECE + 5);
    let site = Site::new(&[("a.bin", &bytes)]).await;
    site.get("/a.bin.driblet/none").await;
    // From now on it is the one that was made in the background.
    site.server().prepared().await;
    let delta = site.get("/a.bin.driblet/none").await.body;
    assert!(PIECE < delta.len());
    for (path, whole) in [("/a.bin", &bytes), ("/a.bin.driblet/none", &delta)] {
        for (start, end) in [(0, PIECE), (PIECE - 1, PIECE + 1), (PIECE, 3 * PIECE), (1, whole.len()), (7, 8)] {
            let answer = site.ask(get(path).header("range", &format!("bytes={start}-{}", end - 1))).await;
            assert_eq!((answer.status, answer.body == whole[start..end]), (206, true), "{path} {start} to {end}");
            let place = format!("bytes {start}-{}/{}", end - 1, whole.len());
            assert_eq!(answer.header("content-range"), Some(place.as_str()));
        }
        let last = site.ask(get(path).header("range", &format!("bytes=-{}", PIECE + 1))).await;
        assert!(last.status == 206 && last.body == whole[whole.len() - PIECE - 1..]);
        let beyond = site.ask(get(path).header("range", &format!("bytes={}-", whole.len()))).await;
        assert_eq!(beyond.status, 416);
        let far = site.ask(get(path).header("range", "bytes=0-18446744073709551615")).await;
        assert!(far.status == 206 && far.body == *whole);
        let overflow = site.ask(get(path).header("range", "bytes=18446744073709551616-")).await;
        assert!(matches!(overflow.status, 200 | 416), "{}", overflow.status);
    }
}

#[tokio::test]
async fn a_head_is_a_get_without_its_body() {
    let script = text(1, 100_000);
    let site = Site::new(&[("app.js", &script)]).await;
    let version = Version::of(&script);
    for path in ["/app.js", "/app.js.driblet/none", "/app.js.driblet/head", &format!("/app.js.driblet/{version}")] {
        for coding in ["identity", "br", "zstd"] {
            let ask = get(path).header("accept-encoding", coding);
            // Its best form, which does not change any more.
            site.ask(ask.clone()).await;
            site.server().prepared().await;
            let (whole, head) = (site.ask(ask.clone()).await, site.ask(ask.method("HEAD")).await);
            assert_eq!((whole.status, head.status, head.body.len()), (200, 200, 0), "{path}");
            for name in ["etag", "content-type", "content-length", "content-encoding", "cache-control", "vary"] {
                assert_eq!(head.header(name), whole.header(name), "{name} of {path} as {coding}");
            }
        }
    }
    for path in ["/missing", "/missing.driblet/head", "/app.js.driblet/nope"] {
        let (whole, head) = (site.get(path).await, site.ask(get(path).method("HEAD")).await);
        assert_eq!((head.status, head.body.len()), (whole.status, 0), "{path}");
    }
}

#[tokio::test]
async fn only_a_get_has_ranges() {
    // RFC 9110, section 14.2: Range is ignored with any other method.
    let site = Site::new(&[("a.txt", b"0123456789")]).await;
    for range in ["bytes=2-3", "bytes=99-"] {
        let head = site.ask(get("/a.txt").method("HEAD").header("range", range)).await;
        assert_eq!((head.status, head.header("content-length")), (200, Some("10")), "{range}");
    }
}

#[tokio::test]
async fn if_range_wants_a_strong_tag() {
    // RFC 9110, section 13.1.5: a weak tag never matches, even ours.
    let site = Site::new(&[("a.txt", b"0123456789")]).await;
    let ours = format!("\"{}\"", Version::of(b"0123456789"));
    for path in ["/a.txt", "/a.txt.driblet/none"] {
        let whole = site.get(path).await;
        for (condition, status) in [(whole.etag(), 206), (format!("W/{}", whole.etag()), 200), ("*".into(), 200)] {
            let ask = get(path).header("range", "bytes=4-").header("if-range", &condition);
            let answer = site.ask(ask).await;
            assert_eq!(answer.status, status, "{path} if {condition}");
            assert_eq!(answer.body, whole.body[if status == 206 { 4 } else { 0 }..]);
        }
    }
    assert_eq!(site.get("/a.txt").await.etag(), ours);
}

#[tokio::test]
async fn caches_are_told_what_the_answer_depended_on() {
    let script = text(1, 50_000);
    let site = Site::new(&[("app.js", &script)]).await;
    for coding in ["br", "zstd", "identity"] {
        let ask = get("/app.js").header("accept-encoding", coding);
        let whole = site.ask(ask.clone()).await;
        let known = site.ask(ask.clone().header("if-none-match", &whole.etag())).await;
        assert_eq!(known.status, 304);
        for answer in [&whole, &known] {
            let vary = answer.header("vary").unwrap_or_default();
            assert!(vary.contains("accept-encoding"), "{coding} {}: {vary:?}", answer.status);
            assert_eq!(answer.header("cache-control"), Some("no-cache"));
        }
        // Another coding's bytes are another representation.
        let other = site.ask(ask.header("if-none-match", &format!("\"{}-gzip\"", Version::of(&script)))).await;
        assert_eq!(other.status, 200);
    }
}

#[tokio::test]
async fn what_guards_a_path_guards_every_resource_below_it() {
    let site = Site::new(&[]).await;
    let old = site.publish("secret.js", &text(1, 5_000)).await;
    let new = site.publish("secret.js", &text(2, 5_000)).await;
    let guarded = from_fn(|request: Request, next: Next| async {
        let may = request.headers().contains_key("authorization");
        if may { Ok(next.run(request).await) } else { Err(StatusCode::UNAUTHORIZED) }
    });
    let addr = served(Router::new().nest("/deep/assets", site.server().router()).layer(guarded)).await;
    let (signature, _) = sign(b"something", &text(2, 5_000));
    let below = "/deep/assets/secret.js.driblet";
    let names = ["none".into(), "head".into(), old.to_string(), format!("{old}-{new}"), format!("none-{old}")];
    let mut asks: Vec<_> = names.iter().map(|name| get(&format!("{below}/{name}"))).collect();
    asks.extend([get("/deep/assets/secret.js"), post(&format!("{below}/signature"), signature.encode())]);
    for ask in asks {
        let refused = ask.clone().send(addr).await;
        assert_eq!((refused.status, refused.body.len()), (401, 0));
        assert_eq!(ask.header("authorization", "yes").send(addr).await.status, 200);
    }
}

#[tokio::test]
async fn names_in_answers_hold_wherever_the_router_is_nested() {
    let site = Site::new(&[("docs/index.html", b"docs")]).await;
    let old = site.publish("app.js", &text(1, 5_000)).await;
    site.publish("app.js", &text(2, 5_000)).await;
    let addr = served(Router::new().nest("/deep/assets", site.server().router())).await;
    let place = |path: &str, name: &str| {
        let base = url::Url::parse(&format!("http://{addr}{path}")).unwrap();
        base.join(name).unwrap().path().to_owned()
    };
    for from in [old.to_string(), "none".into()] {
        let path = format!("/deep/assets/app.js.driblet/{from}");
        let delta = get(&path).send(addr).await;
        let pair = place(&path, delta.header("content-location").unwrap());
        let same = get(&pair).send(addr).await;
        assert_eq!((same.status, &same.body, same.etag()), (200, &delta.body, delta.etag()), "{pair}");
    }
    let redirect = get("/deep/assets/docs").send(addr).await;
    assert_eq!(redirect.status, 308);
    let folder = place("/deep/assets/docs", redirect.header("location").unwrap());
    assert_eq!(get(&folder).send(addr).await.text(), "docs");
}
