//! Plain requests for files: conditions, ranges, types, codings, folders.

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use driblet::{ServeOptions, Server, Version};
use std::io::Read;

use crate::support::{TestSite, apply, get, post, random_bytes, serving, sign, text};

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", Version::of(bytes))
}

#[tokio::test]
async fn a_file_with_its_version_as_etag() {
    let bytes = random_bytes(1, 300_000);
    let site = TestSite::new(&[("a b/logo.png", &bytes)]).await;
    let answer = site.get("/a%20b/logo.png").await;
    assert_eq!((answer.status, &answer.body), (200, &bytes));
    assert_eq!(answer.etag(), etag(&bytes));
    assert_eq!(answer.header("content-type"), Some("image/png"));
    assert_eq!(answer.header("content-length"), Some("300000"));
    assert_eq!(answer.header("cache-control"), Some("no-cache"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    let head = site.ask(get("/a%20b/logo.png").method("HEAD")).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    for name in ["etag", "content-type", "content-length", "accept-ranges", "cache-control"] {
        assert_eq!(head.header(name), answer.header(name), "{name}");
    }
}

#[tokio::test]
async fn a_changed_file_is_another_version_at_once() {
    let site = TestSite::new(&[]).await;
    // Equal lengths, written in place one right after the other: only a second reading can tell them apart.
    for round in 0..100 {
        let bytes = format!("round {round:04}");
        site.write("racy.txt", bytes.as_bytes());
        let answer = site.get("/racy.txt").await;
        assert_eq!((answer.text(), answer.etag()), (bytes.as_str(), etag(bytes.as_bytes())));
    }
    std::fs::remove_file(site.root().join("racy.txt")).unwrap();
    assert_eq!(site.get("/racy.txt").await.status, 404);
}

#[tokio::test]
async fn a_change_behind_an_equal_time_stamp_is_seen() {
    let site = TestSite::new(&[("a.txt", b"before")]).await;
    let stamp = std::fs::metadata(site.root().join("a.txt")).unwrap().modified().unwrap();
    assert_eq!(site.get("/a.txt").await.text(), "before");
    site.write("a.txt", b"after!");
    let file = std::fs::File::options().write(true).open(site.root().join("a.txt")).unwrap();
    file.set_modified(stamp).unwrap();
    assert_eq!(site.get("/a.txt").await.text(), "after!");
}

#[tokio::test]
async fn if_none_match() {
    let site = TestSite::new(&[("a.txt", b"one driblet")]).await;
    let ours = etag(b"one driblet");
    for held in [ours.clone(), format!("W/{ours}"), format!("\"other\", {ours}"), "*".into()] {
        let answer = site.ask(get("/a.txt").header("if-none-match", &held)).await;
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{held}");
        assert_eq!(answer.etag(), ours);
    }
    let answer = site.ask(get("/a.txt").header("if-none-match", "\"other\"")).await;
    assert_eq!((answer.status, answer.text()), (200, "one driblet"));
}

#[tokio::test]
async fn ranges() {
    let site = TestSite::new(&[("a.txt", b"0123456789"), ("empty", b"")]).await;
    for (range, part, place) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=3-", "3456789", "bytes 3-9/10"),
        ("bytes=3-99", "3456789", "bytes 3-9/10"),
        ("bytes=-4", "6789", "bytes 6-9/10"),
        ("bytes=-99", "0123456789", "bytes 0-9/10"),
        ("bytes=9-9", "9", "bytes 9-9/10"),
    ] {
        let answer = site.ask(get("/a.txt").header("range", range)).await;
        assert_eq!((answer.status, answer.text()), (206, part), "{range}");
        assert_eq!(answer.header("content-range"), Some(place), "{range}");
        assert_eq!(answer.etag(), etag(b"0123456789"));
    }
    for whole in ["bytes=0-1,4-5", "lines=1-2", "bytes=x-y", "bytes=5-2", ""] {
        let answer = site.ask(get("/a.txt").header("range", whole)).await;
        assert_eq!((answer.status, answer.text()), (200, "0123456789"), "{whole}");
    }
    for beyond in ["bytes=10-", "bytes=99-100", "bytes=-0"] {
        let answer = site.ask(get("/a.txt").header("range", beyond)).await;
        assert_eq!((answer.status, answer.header("content-range")), (416, Some("bytes */10")), "{beyond}");
    }
    assert_eq!(site.ask(get("/empty").header("range", "bytes=0-")).await.status, 416);
}

#[tokio::test]
async fn if_range() {
    let site = TestSite::new(&[("a.txt", b"0123456789")]).await;
    let ask = |condition: &str| site.ask(get("/a.txt").header("range", "bytes=4-").header("if-range", condition));
    assert_eq!(ask(&etag(b"0123456789")).await.text(), "456789");
    for other in ["\"other\"", "Wed, 21 Oct 2015 07:28:00 GMT", "W/\"other\""] {
        let answer = ask(other).await;
        assert_eq!((answer.status, answer.text()), (200, "0123456789"), "{other}");
    }
}

#[tokio::test]
async fn media_types() {
    let site = TestSite::new(&[]).await;
    for (name, media_type) in [
        ("app.js", "text/javascript; charset=utf-8"),
        ("app.mjs", "text/javascript; charset=utf-8"),
        ("index.html", "text/html; charset=utf-8"),
        ("style.css", "text/css; charset=utf-8"),
        ("a.wasm", "application/wasm"),
        ("a.png", "image/png"),
        ("a.unheard-of", "application/octet-stream"),
    ] {
        site.write(name, b"x");
        assert_eq!(site.get(&format!("/{name}")).await.header("content-type"), Some(media_type), "{name}");
    }
}

#[tokio::test]
async fn folders_have_an_index() {
    let site = TestSite::new(&[("index.html", b"root"), ("docs/index.html", b"docs"), ("empty/x.txt", b"x")]).await;
    assert_eq!(site.get("/").await.text(), "root");
    assert_eq!(site.get("/docs/").await.text(), "docs");
    let redirect = site.get("/docs").await;
    assert_eq!((redirect.status, redirect.header("location")), (308, Some("./docs/")));
    assert_eq!(site.get("/empty/").await.status, 404);
    assert_eq!(site.get("/docs/index.html/").await.status, 404);
}

#[tokio::test]
async fn one_file_is_served_by_its_name_and_at_the_root() {
    let site = TestSite::new(&[("app.js", b"let a;"), ("beside.txt", b"not published")]).await;
    let history = site.outside().join("another history");
    let server = Server::builder(site.root().join("app.js")).history(history).build().await.unwrap();
    let addr = serving(server.router(), ServeOptions::default()).await;
    for path in ["/", "/app.js"] {
        assert_eq!(get(path).send(addr).await.text(), "let a;");
    }
    for path in ["/.driblet/head", "/app.js.driblet/head"] {
        assert_eq!(get(path).send(addr).await.json()["version"], Version::of(b"let a;").to_string());
    }
    for path in ["/beside.txt", "/beside.txt.driblet/head", "/app.js/", "/root/app.js"] {
        assert_eq!(get(path).send(addr).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_file_is_encoded_where_that_is_accepted_and_worth_it() {
    let script = text(3, 60_000);
    let site = TestSite::new(&[
        ("app.js", &script),
        ("noise.js", &random_bytes(4, 60_000)),
        ("small.js", b"let a;"),
        ("a.png", &script),
    ])
    .await;
    for (accept, coding) in [
        ("gzip, deflate, br, zstd", Some("br")),
        ("zstd", Some("zstd")),
        ("br;q=0.1, zstd;q=0.9", Some("zstd")),
        ("br;q=0, zstd;q=0", None),
        ("gzip, deflate", Some("gzip")),
        ("deflate", None),
        ("identity", None),
        ("", None),
    ] {
        let answer = site.ask(get("/app.js").header("accept-encoding", accept)).await;
        assert_eq!(answer.header("content-encoding"), coding, "{accept}");
        assert!(answer.header("vary").is_some_and(|vary| vary.to_lowercase().contains("accept-encoding")));
        assert_eq!(decoded(&answer.body, coding), script, "{accept}");
        let suffix = coding.map(|coding| format!("-{coding}")).unwrap_or_default();
        assert_eq!(answer.etag(), format!("\"{}{suffix}\"", Version::of(&script)));
        let again = get("/app.js").header("accept-encoding", accept).header("if-none-match", &answer.etag());
        assert_eq!(site.ask(again).await.status, 304);
    }
    for path in ["/noise.js", "/small.js", "/a.png"] {
        let answer = site.ask(get(path).header("accept-encoding", "br, zstd")).await;
        assert_eq!(answer.header("content-encoding"), None, "{path}");
    }
    let part = site.ask(get("/app.js").header("accept-encoding", "br").header("range", "bytes=10-19")).await;
    assert_eq!((part.status, part.header("content-encoding"), &part.body[..]), (206, None, &script[10..20]));
}

#[tokio::test]
async fn nested_behind_an_application() {
    let site = TestSite::new(&[("app.js", b"let a;"), ("docs/index.html", b"docs")]).await;
    let app = Router::new()
        .route("/api", axum::routing::get(|| async { "the application's own" }))
        .nest("/assets", site.server().router());
    let addr = serving(app, ServeOptions::default()).await;
    assert_eq!(get("/api").send(addr).await.text(), "the application's own");
    assert_eq!(get("/assets/app.js").send(addr).await.text(), "let a;");
    assert_eq!(get("/assets/docs/").send(addr).await.text(), "docs");
    assert_eq!(get("/assets/app.js.driblet/none").send(addr).await.status, 200);
    assert_eq!(get("/app.js").send(addr).await.status, 404);
}

#[tokio::test]
async fn what_guards_a_path_guards_its_deltas() {
    let site = TestSite::new(&[("secret.js", b"let a;")]).await;
    let guarded = axum::middleware::from_fn(|request: axum::extract::Request, next: axum::middleware::Next| async {
        let may = request.headers().contains_key("authorization");
        if may { Ok(next.run(request).await) } else { Err(axum::http::StatusCode::UNAUTHORIZED) }
    });
    let app = Router::new().fallback_service(site.server().router()).layer(guarded);
    let addr = serving(app, ServeOptions::default()).await;
    for path in ["/secret.js", "/secret.js.driblet/none", "/secret.js.driblet/head"] {
        assert_eq!(get(path).send(addr).await.status, 401, "{path}");
        assert_eq!(get(path).header("authorization", "yes").send(addr).await.status, 200, "{path}");
    }
}

fn decoded(bytes: &[u8], coding: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 20);
    match coding {
        Some("br") => brotli::BrotliDecompress(&mut &bytes[..], &mut out).unwrap(),
        Some("zstd") => drop(zstd_safe::decompress(&mut out, bytes).unwrap()),
        Some("gzip") => drop(flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap()),
        _ => out.extend_from_slice(bytes),
    }
    out
}

const GROUP: usize = 256 << 10;
/// Bytes of a file that one connection holds in memory.
const PIECE: usize = 128 << 10;

#[tokio::test]
async fn every_pair_of_sizes_around_a_group() {
    let site = TestSite::new(&[]).await;
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
    let site = TestSite::new(&[("a.bin", &bytes)]).await;
    site.get("/a.bin.driblet/none").await;
    // From now on the server sends the delta that was made in the background.
    site.prepared().await;
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
    let site = TestSite::new(&[("app.js", &script)]).await;
    let version = Version::of(&script);
    for path in ["/app.js", "/app.js.driblet/none", "/app.js.driblet/head", &format!("/app.js.driblet/{version}")] {
        for coding in ["identity", "br", "zstd"] {
            let ask = get(path).header("accept-encoding", coding);
            // The background form, which does not change any more.
            site.ask(ask.clone()).await;
            site.prepared().await;
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
    // RFC 9110, section 14.2: other methods ignore Range.
    let site = TestSite::new(&[("a.txt", b"0123456789")]).await;
    for range in ["bytes=2-3", "bytes=99-"] {
        let head = site.ask(get("/a.txt").method("HEAD").header("range", range)).await;
        assert_eq!((head.status, head.header("content-length")), (200, Some("10")), "{range}");
    }
}

#[tokio::test]
async fn if_range_wants_a_strong_tag() {
    // RFC 9110, section 13.1.5: a weak tag never matches.
    let site = TestSite::new(&[("a.txt", b"0123456789")]).await;
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
    let site = TestSite::new(&[("app.js", &script)]).await;
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
        // Another coding is another representation.
        let other = site.ask(ask.header("if-none-match", &format!("\"{}-gzip\"", Version::of(&script)))).await;
        assert_eq!(other.status, 200);
    }
}

#[tokio::test]
async fn what_guards_a_path_guards_every_resource_below_it() {
    let site = TestSite::new(&[]).await;
    let old = site.publish("secret.js", &text(1, 5_000)).await;
    let new = site.publish("secret.js", &text(2, 5_000)).await;
    let guarded = from_fn(|request: Request, next: Next| async {
        let may = request.headers().contains_key("authorization");
        if may { Ok(next.run(request).await) } else { Err(StatusCode::UNAUTHORIZED) }
    });
    let addr =
        serving(Router::new().nest("/deep/assets", site.server().router()).layer(guarded), ServeOptions::default())
            .await;
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
    let site = TestSite::new(&[("docs/index.html", b"docs")]).await;
    let old = site.publish("app.js", &text(1, 5_000)).await;
    site.publish("app.js", &text(2, 5_000)).await;
    let addr = serving(Router::new().nest("/deep/assets", site.server().router()), ServeOptions::default()).await;
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
