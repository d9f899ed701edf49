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

#[tokio::test]
async fn paths_that_have_moved() {
    let site = TestSite::with(&FILES, |builder| {
        builder.redirect("/old/*", "/docs/*", 301).redirect("/assets/plain.js", "https://cdn.example/plain.js", 302)
    })
    .await;
    let addr = site.addr();
    let moved = get("/old/a%20b/?q=1").send(addr).await;
    assert_eq!((moved.status, moved.header("location")), (301, Some("/docs/a%20b/?q=1")));
    let moved = get("/assets/plain.js").send(addr).await;
    assert_eq!((moved.status, moved.header("location")), (302, Some("https://cdn.example/plain.js")));
    assert_eq!(get("/docs/").send(addr).await.status, 200);
    // No path leads to another server.
    for path in ["/old//evil.example", "/old/%2Fevil.example", "/old/\\evil.example"] {
        assert_eq!(get(path).send(addr).await.header("location"), None, "{path}");
    }
    assert_eq!(get("/assets/plain.js.driblet/head").send(addr).await.status, 200);
    let folder = tempfile::tempdir().unwrap();
    let built = Server::builder(folder.path()).redirect("old", "/new", 308).build().await;
    let Err(error @ BuildError::Redirect { .. }) = built else { panic!("{built:?}") };
    assert!(error.to_string().contains("\"old\" is no path"), "{error}");
}

#[tokio::test]
async fn folders_list_their_files() {
    let files: &[(&str, &[u8])] =
        &[("a/<b>&\".txt", b"12345"), ("a/sub/x.txt", b"x"), ("a/.hidden", b"h"), ("b/index.html", b"page")];
    let site = TestSite::with(files, |builder| builder.listing(true)).await;
    std::os::unix::fs::symlink("/etc", site.root().join("a/out")).unwrap();
    let addr = site.addr();
    let page = get("/a/").send(addr).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let text = page.text();
    assert!(text.contains("<a href=\"./%3Cb%3E%26%22.txt\">&lt;b&gt;&amp;&quot;.txt</a><td>5<td>"), "{text}");
    assert!(text.contains("<a href=\"./sub/\">sub/</a>") && text.contains("href=\"../\""), "{text}");
    assert!(!text.contains("hidden") && !text.contains("out"), "{text}");
    assert_eq!(get("/a/%3Cb%3E%26%22.txt").send(addr).await.body, b"12345");
    let list = get("/a/").header("accept", "application/json").send(addr).await.json();
    assert_eq!((&list[0]["name"], &list[0]["folder"]), (&"sub".into(), &true.into()));
    assert_eq!(
        (&list[1]["name"], &list[1]["length"], list.as_array().unwrap().len()),
        (&"<b>&\".txt".into(), &5.into(), 2)
    );
    assert!(!get("/").send(addr).await.text().contains("../"));
    assert_eq!(get("/b/").send(addr).await.body, b"page");
    assert_eq!(get("/nothing/").send(addr).await.status, 404);
    assert_eq!(get("/a/x/").send(addr).await.status, 404);
    let head = get("/a/").method("HEAD").send(addr).await;
    assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, page.header("content-length")));
    assert_eq!(get("/a/").send(TestSite::new(files).await.addr()).await.status, 404);
}

#[tokio::test]
async fn headers_that_protect_pages() {
    let site =
        TestSite::with(&FILES, |builder| builder.security_headers(true).header("embed/", "X-Frame-Options", "")).await;
    let page = get("/").send(site.addr()).await;
    assert_eq!(page.header("x-frame-options"), Some("SAMEORIGIN"));
    assert_eq!(page.header("content-security-policy"), Some("frame-ancestors 'self'"));
    assert_eq!(page.header("strict-transport-security"), Some("max-age=31536000"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(get("/embed/frame.html").send(site.addr()).await.header("x-frame-options"), None);
}

#[tokio::test]
async fn pages_of_all_origins_may_read_without_cookies() {
    let site = TestSite::with(&FILES, |builder| builder.allow_origin("*").allow_origin("https://app.example")).await;
    let of = async |origin: &str| {
        let answer = get("/assets/plain.js").header("origin", origin).send(site.addr()).await;
        let header = |name| answer.header(name).map(str::to_owned);
        (answer.status, header("access-control-allow-origin"), header("access-control-allow-credentials"))
    };
    assert_eq!(of("https://other.example").await, (200, Some("*".into()), None));
    assert_eq!(of("null").await, (200, Some("*".into()), None));
    assert_eq!(of("https://app.example").await, (200, Some("https://app.example".into()), Some("true".into())));
    let preflight = get("/assets/plain.js").method("OPTIONS").header("origin", "https://other.example");
    let preflight = preflight.header("access-control-request-headers", "range").send(site.addr()).await;
    assert_eq!(preflight.header("access-control-allow-headers"), Some("range"));
}
