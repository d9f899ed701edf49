//! The files themselves, for everyone who does not speak driblet: conditions, ranges, types, codings, folders.

use crate::support::{Site, get, random_bytes, text};
use axum::Router;
use driblet::{ServeOptions, Server, Version};

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", Version::of(bytes))
}

#[tokio::test]
async fn a_file_with_its_version_as_etag() {
    let bytes = random_bytes(1, 300_000);
    let site = Site::new(&[("a b/logo.png", &bytes)]).await;
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
    let site = Site::new(&[]).await;
    // Equal lengths, in place, as fast as can be: only git's rule for racy times can tell them apart.
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
    let site = Site::new(&[("a.txt", b"before")]).await;
    let stamp = std::fs::metadata(site.root().join("a.txt")).unwrap().modified().unwrap();
    assert_eq!(site.get("/a.txt").await.text(), "before");
    site.write("a.txt", b"after!");
    let file = std::fs::File::options().write(true).open(site.root().join("a.txt")).unwrap();
    file.set_modified(stamp).unwrap();
    assert_eq!(site.get("/a.txt").await.text(), "after!");
}

#[tokio::test]
async fn if_none_match() {
    let site = Site::new(&[("a.txt", b"one driblet")]).await;
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
    let site = Site::new(&[("a.txt", b"0123456789"), ("empty", b"")]).await;
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
    let site = Site::new(&[("a.txt", b"0123456789")]).await;
    let ask = |condition: &str| site.ask(get("/a.txt").header("range", "bytes=4-").header("if-range", condition));
    assert_eq!(ask(&etag(b"0123456789")).await.text(), "456789");
    for other in ["\"other\"", "Wed, 21 Oct 2015 07:28:00 GMT", "W/\"other\""] {
        let answer = ask(other).await;
        assert_eq!((answer.status, answer.text()), (200, "0123456789"), "{other}");
    }
}

#[tokio::test]
async fn media_types() {
    let site = Site::new(&[]).await;
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
    let site = Site::new(&[("index.html", b"root"), ("docs/index.html", b"docs"), ("empty/x.txt", b"x")]).await;
    assert_eq!(site.get("/").await.text(), "root");
    assert_eq!(site.get("/docs/").await.text(), "docs");
    let redirect = site.get("/docs").await;
    assert_eq!((redirect.status, redirect.header("location")), (308, Some("./docs/")));
    assert_eq!(site.get("/empty/").await.status, 404);
    assert_eq!(site.get("/docs/index.html/").await.status, 404);
}

#[tokio::test]
async fn one_file_is_served_by_its_name_and_at_the_root() {
    let site = Site::new(&[("app.js", b"let a;"), ("beside.txt", b"not published")]).await;
    let history = site.outside().join("another history");
    let server = Server::builder(site.root().join("app.js")).history(history).build().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(driblet::serve(listener, server.router(), ServeOptions::default()));
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
    let site = Site::new(&[
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
        ("gzip", None),
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
    let site = Site::new(&[("app.js", b"let a;"), ("docs/index.html", b"docs")]).await;
    let app = Router::new()
        .route("/api", axum::routing::get(|| async { "the application's own" }))
        .nest("/assets", site.server().router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(driblet::serve(listener, app, ServeOptions::default()));
    assert_eq!(get("/api").send(addr).await.text(), "the application's own");
    assert_eq!(get("/assets/app.js").send(addr).await.text(), "let a;");
    assert_eq!(get("/assets/docs/").send(addr).await.text(), "docs");
    assert_eq!(get("/assets/app.js.driblet/none").send(addr).await.status, 200);
    assert_eq!(get("/app.js").send(addr).await.status, 404);
}

#[tokio::test]
async fn what_guards_a_path_guards_its_deltas() {
    let site = Site::new(&[("secret.js", b"let a;")]).await;
    let guarded = axum::middleware::from_fn(|request: axum::extract::Request, next: axum::middleware::Next| async {
        let may = request.headers().contains_key("authorization");
        if may { Ok(next.run(request).await) } else { Err(axum::http::StatusCode::UNAUTHORIZED) }
    });
    let app = Router::new().fallback_service(site.server().router()).layer(guarded);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(driblet::serve(listener, app, ServeOptions::default()));
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
        _ => out.extend_from_slice(bytes),
    }
    out
}
