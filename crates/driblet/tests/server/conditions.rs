//! Conditional requests (RFC 9110, section 13), and redirects to folders.

use std::fs::File;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use driblet::{ServeOptions, Version};

use crate::support::{Answer, Ask, TestSite, get, serving, text};

/// Wed, 21 Oct 2015 07:28:00 GMT, and a fraction that no HTTP date can express.
const STAMP: Duration = Duration::from_nanos(1_445_412_480_500_000_000);
const BEFORE: &str = "Wed, 21 Oct 2015 07:27:59 GMT";
const SAME: &str = "Wed, 21 Oct 2015 07:28:00 GMT";
const AFTER: &str = "Wed, 21 Oct 2015 07:28:01 GMT";

/// A file that was last modified at a time.
async fn stamped(time: SystemTime) -> TestSite {
    let site = TestSite::stopped(&[("a.txt", b"0123456789")]);
    File::options().write(true).open(site.root().join("a.txt")).unwrap().set_modified(time).unwrap();
    let mut site = site;
    site.start(|builder| builder).await;
    site
}

fn with(headers: &[(&str, &str)]) -> Ask {
    headers.iter().fold(get("/a.txt"), |ask, (name, value)| ask.header(name, value))
}

fn ours() -> String {
    format!("\"{}\"", Version::of(b"0123456789"))
}

#[tokio::test]
async fn conditions_in_their_order() {
    let site = stamped(UNIX_EPOCH + STAMP).await;
    let (ours, weak) = (ours(), format!("W/{}", ours()));
    let among = format!("\"x\", {ours}");
    let cases: &[(&[(&str, &str)], u16)] = &[
        (&[("if-match", &ours)], 200),
        (&[("if-match", &among)], 200),
        (&[("if-match", "*")], 200),
        (&[("if-match", "\"other\"")], 412),
        // Strong comparison.
        (&[("if-match", &weak)], 412),
        (&[("if-match", "unreadable")], 412),
        (&[("if-unmodified-since", SAME)], 200),
        (&[("if-unmodified-since", AFTER)], 200),
        (&[("if-unmodified-since", BEFORE)], 412),
        (&[("if-unmodified-since", "yesterday")], 200),
        // If-Match has precedence.
        (&[("if-match", &ours), ("if-unmodified-since", BEFORE)], 200),
        (&[("if-none-match", &weak)], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-modified-since", SAME)], 304),
        (&[("if-modified-since", AFTER)], 304),
        (&[("if-modified-since", BEFORE)], 200),
        (&[("if-modified-since", "yesterday")], 200),
        (&[("if-modified-since", "Wednesday, 21-Oct-15 07:28:00 GMT")], 304),
        // If-None-Match has precedence.
        (&[("if-none-match", "\"other\""), ("if-modified-since", AFTER)], 200),
        (&[("if-none-match", &ours), ("if-modified-since", BEFORE)], 304),
        (&[("if-match", "\"other\""), ("if-none-match", &ours)], 412),
        (&[("if-match", &ours), ("if-none-match", &ours)], 304),
        (&[("if-match", "\"other\""), ("range", "bytes=0-1")], 412),
        (&[("if-match", &ours), ("range", "bytes=0-1")], 206),
        (&[("if-none-match", &ours), ("range", "bytes=0-1")], 304),
        (&[("if-none-match", &ours), ("range", "bytes=99-")], 304),
        (&[("if-range", SAME), ("range", "bytes=0-1")], 206),
        (&[("if-range", BEFORE), ("range", "bytes=0-1")], 200),
        (&[("if-range", AFTER), ("range", "bytes=0-1")], 200),
        (&[("if-range", "yesterday"), ("range", "bytes=0-1")], 200),
        (&[("if-range", AFTER), ("range", "bytes=99-")], 200),
    ];
    for (headers, status) in cases {
        for method in ["GET", "HEAD"] {
            // Only a GET has ranges.
            let wanted = if method == "HEAD" && *status == 206 { 200 } else { *status };
            let answer = site.ask(with(headers).method(method)).await;
            assert_eq!(answer.status, wanted, "{method} {headers:?}");
            assert_whole(&answer, method, headers);
        }
    }
}

/// The headers that each of these responses must have.
fn assert_whole(answer: &Answer, method: &str, headers: &[(&str, &str)]) {
    match answer.status {
        412 => assert!(method == "HEAD" || answer.text().contains("does not hold"), "{headers:?}"),
        304 => {
            assert!(answer.body.is_empty());
            for name in ["etag", "cache-control", "vary", "date"] {
                assert!(answer.header(name).is_some(), "{name} {headers:?}");
            }
            for name in ["content-type", "content-length", "content-encoding"] {
                assert_eq!(answer.header(name), None, "{name} {headers:?}");
            }
        }
        _ => {
            assert_eq!(answer.header("last-modified"), Some(SAME), "{headers:?}");
            assert_eq!(answer.etag(), ours());
        }
    }
}

#[tokio::test]
async fn a_stamp_that_no_date_can_say_or_that_is_to_come() {
    for (time, dated) in [
        (UNIX_EPOCH - Duration::from_secs(86_400), false),
        (UNIX_EPOCH, true),
        (SystemTime::now() + Duration::from_secs(86_400), true),
        (UNIX_EPOCH + Duration::from_secs(9_000_000_000), true),
    ] {
        let site = stamped(time).await;
        let answer = site.get("/a.txt").await;
        assert_eq!((answer.status, answer.text()), (200, "0123456789"), "{time:?}");
        let date = answer.header("last-modified").map(parsed);
        assert_eq!(date.is_some(), dated, "{time:?}");
        assert!(date.is_none_or(|date| date <= SystemTime::now()), "{time:?}");
        for name in ["if-modified-since", "if-unmodified-since"] {
            let status = site.ask(get("/a.txt").header(name, AFTER)).await.status;
            assert!(matches!(status, 200 | 304 | 412), "{time:?} {name}: {status}");
        }
    }
}

#[tokio::test]
async fn a_date_alone_joins_no_parts_of_a_file_just_written() {
    // Within the same second the file could be written again with the same date.
    let site = TestSite::new(&[("a.txt", b"0123456789")]).await;
    let soon = SystemTime::now() + Duration::from_secs(86_400);
    File::options().write(true).open(site.root().join("a.txt")).unwrap().set_modified(soon).unwrap();
    let date = site.get("/a.txt").await.header("last-modified").unwrap().to_owned();
    let answer = site.ask(with(&[("range", "bytes=0-1"), ("if-range", &date)])).await;
    assert_eq!((answer.status, answer.text()), (200, "0123456789"));
}

#[tokio::test]
async fn conditions_on_an_encoded_file_and_on_deltas() {
    let script = text(1, 50_000);
    let site = TestSite::new(&[("app.js", &script)]).await;
    for (path, coding) in [("/app.js", "br"), ("/app.js", "identity"), ("/app.js.driblet/none", "br")] {
        let ask = get(path).header("accept-encoding", coding);
        let etag = site.ask(ask.clone()).await.etag();
        assert_eq!(site.ask(ask.clone().header("if-match", &etag)).await.status, 200, "{path} {coding}");
        assert_eq!(site.ask(ask.clone().header("if-none-match", &etag)).await.status, 304, "{path} {coding}");
        assert_eq!(site.ask(ask.clone().header("if-match", "\"other\"")).await.status, 412, "{path} {coding}");
    }
    let delta = site.get("/app.js.driblet/none").await;
    let known = site.ask(get("/app.js.driblet/none").header("if-none-match", &delta.etag())).await;
    assert_eq!(known.header("content-location"), delta.header("content-location"));
    assert_eq!(known.header("etag"), delta.header("etag"));
    assert!(site.ask(get("/app.js.driblet/none").header("if-match", "\"x\"")).await.refuses(412, "precondition"));
}

#[tokio::test]
async fn a_unit_is_read_in_any_case() {
    let site = stamped(UNIX_EPOCH + STAMP).await;
    assert_eq!(site.ask(with(&[("range", "Bytes=2-3")])).await.text(), "23");
    assert_eq!(site.ask(with(&[("range", "items=2-3")])).await.status, 200);
}

#[tokio::test]
async fn redirects_to_folders() {
    let files: &[(&str, &[u8])] =
        &[("index.html", b"root"), ("docs/a b/index.html", b"docs"), ("x:y/index.html", b"colon")];
    let site = TestSite::new(files).await;
    for (path, location) in [
        ("/docs/a%20b", "./a%20b/"),
        ("/docs/a%20b?q=1&r=%2F", "./a%20b/?q=1&r=%2F"),
        ("/docs?", "./docs/?"),
        ("/x:y", "./x:y/"),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = site.ask(get(path).method(method)).await;
            assert_eq!((answer.status, answer.header("location"), answer.body.len()), (308, Some(location), 0));
            // The folder may become a file.
            assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
        }
    }
    let app =
        Router::new().nest("/deep/assets", site.server().router()).nest_service("/service", site.server().router());
    let addr = serving(app, ServeOptions::default()).await;
    for path in ["/deep/assets/docs/a%20b", "/service/docs/a%20b"] {
        let base = url::Url::parse(&format!("http://{addr}{path}?q=1")).unwrap();
        let answer = get(&format!("{path}?q=1")).send(addr).await;
        let there = base.join(answer.header("location").unwrap()).unwrap();
        assert_eq!((there.path(), there.query()), (format!("{path}/").as_str(), Some("q=1")));
        assert_eq!(get(there.path()).send(addr).await.text(), "docs", "{path}");
    }
}

fn parsed(text: &str) -> SystemTime {
    httpdate::parse_http_date(text).unwrap()
}
