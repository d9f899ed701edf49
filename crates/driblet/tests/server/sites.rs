//! What a website wants besides its files: a page for every path, a page for missing files, headers, caching.

use driblet::{BuildError, Server};

use crate::support::{Ask, TestSite, get};

const FILES: [(&str, &[u8]); 6] = [
    ("index.html", b"<title>app</title>"),
    ("assets/index-B3f2a9xx.js", b"let app"),
    ("assets/plain.js", b"let plain"),
    ("docs/index.html", b"<title>docs</title>"),
    ("empty/a.txt", b"a"),
    ("embed/frame.html", b"<title>frame</title>"),
];

fn navigation(path: &str) -> Ask {
    get(path).header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
}

#[tokio::test]
async fn an_app_that_reads_its_url_gets_one_page() {
    let site = TestSite::with(&FILES, |builder| builder.single_page(true)).await;
    let addr = site.addr();
    for path in ["/some/route", "/some/folder/", "/empty/"] {
        let answer = navigation(path).send(addr).await;
        assert_eq!((answer.status, &answer.body[..]), (200, FILES[0].1), "{path}");
        assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
    }
    assert_eq!(navigation("/docs/").send(addr).await.body, FILES[3].1);
    assert_eq!(navigation("/docs").send(addr).await.status, 308);
    // A script that is gone is no page.
    assert_eq!(get("/assets/index-Q9bd1cyy.js").header("accept", "*/*").send(addr).await.status, 404);
    let script = navigation("/assets/gone.js").header("sec-fetch-mode", "no-cors").send(addr).await;
    assert_eq!(script.status, 404);
    assert_eq!(navigation("/some/route.driblet/head").send(addr).await.status, 404);
    let page = get("/some/route").header("sec-fetch-mode", "navigate").send(addr).await;
    assert_eq!(page.body, FILES[0].1);
}

#[tokio::test]
async fn a_site_has_a_page_for_missing_files() {
    let site = TestSite::new(&[&FILES[..], &[("404.html", b"<title>gone</title>")]].concat()).await;
    let addr = site.addr();
    let answer = navigation("/nothing").send(addr).await;
    assert_eq!((answer.status, &answer.body[..]), (404, &b"<title>gone</title>"[..]));
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("etag"), None);
    // It is no answer to a condition or a range.
    let conditional = navigation("/nothing").header("if-none-match", "*").header("range", "bytes=0-1").send(addr).await;
    assert_eq!((conditional.status, conditional.body.len()), (404, 19));
    assert_eq!(navigation("/empty/").send(addr).await.status, 404);
    let script = get("/nothing.js").header("accept", "*/*").send(addr).await;
    assert!(script.status == 404 && !script.body.starts_with(b"<"));
}

#[tokio::test]
async fn hashed_names_are_cached_for_a_year_unless_they_change() {
    let site = TestSite::new(&FILES).await;
    let addr = site.addr();
    let caching = async |path: &str| get(path).send(addr).await.header("cache-control").unwrap().to_owned();
    assert_eq!(caching("/assets/index-B3f2a9xx.js").await, "max-age=31536000, immutable");
    assert_eq!(caching("/assets/plain.js").await, "no-cache");
    assert_eq!(caching("/").await, "no-cache");
    let personal = get("/assets/index-B3f2a9xx.js").header("cookie", "a=b").send(addr).await;
    assert_eq!(personal.header("cache-control"), Some("private, max-age=31536000, immutable"));
    site.write("assets/index-B3f2a9xx.js", b"let changed");
    let answer = get("/assets/index-B3f2a9xx.js").send(addr).await;
    assert_eq!((&answer.body[..], answer.header("cache-control")), (&b"let changed"[..], Some("no-cache")));
}

#[tokio::test]
async fn files_have_the_headers_of_their_patterns() {
    let site = TestSite::with(&FILES, |builder| {
        builder.header("*", "X-Frame-Options", "DENY").header("embed/", "X-Frame-Options", "").header(
            "*.js",
            "Cache-Control",
            "max-age=60",
        )
    })
    .await;
    let addr = site.addr();
    let page = get("/docs/").send(addr).await;
    assert_eq!((page.header("x-frame-options"), page.header("cache-control")), (Some("DENY"), Some("no-cache")));
    assert_eq!(get("/embed/frame.html").send(addr).await.header("x-frame-options"), None);
    assert_eq!(get("/assets/plain.js").send(addr).await.header("cache-control"), Some("max-age=60"));
    let head = get("/assets/plain.js.driblet/head").send(addr).await;
    assert_eq!((head.header("cache-control"), head.header("x-frame-options")), (Some("no-store"), None));
}

#[tokio::test]
async fn a_header_that_cannot_be_set_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let built = Server::builder(folder.path()).header("*", "x a", "1").build().await;
    let Err(error @ BuildError::Header { .. }) = built else { panic!("{built:?}") };
    assert!(error.to_string().contains("\"x a\" is no name of a header"), "{error}");
}
