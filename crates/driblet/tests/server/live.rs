//! Live streams: events of new heads, and what bounds them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driblet::{ServeOptions, Version, serve_until};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::support::{Live, TestSite, apply, eventually, get, random_bytes, serving, text, within};

/// The bytes of the delta that an event carries, and the version that it is from.
fn inline(event: &Value) -> (Vec<u8>, Version) {
    let delta = STANDARD.decode(event["delta"].as_str().expect("a delta")).unwrap();
    (delta, event["from"].as_str().unwrap().parse().unwrap())
}

/// Replaces a file in one step, without a request.
fn replace(site: &TestSite, name: &str, bytes: &[u8]) {
    std::fs::write(site.outside().join("next"), bytes).unwrap();
    std::fs::rename(site.outside().join("next"), site.root().join(name)).unwrap();
}

#[tokio::test]
async fn a_stream_begins_with_the_head_and_tells_each_change_with_its_delta() {
    let first = text(1, 100_000);
    let site = TestSite::new(&[("app.js", &first)]).await;
    let mut live = Live::open("/app.js.driblet/live", site.addr()).await;
    let event = live.next().await.unwrap();
    let head = site.get("/app.js.driblet/head").await.json();
    assert_eq!(event.name, "head");
    assert_eq!(event.id.unwrap(), format!("{}.{}", head["epoch"].as_str().unwrap(), head["counter"]));
    assert_eq!(event.data["version"], Version::of(&first).to_string());
    for member in ["version", "length", "counter", "epoch"] {
        assert_eq!(event.data[member], head[member], "{member}");
    }
    // Nobody asks for the file: the server sees the change itself.
    let second = [&first[..], b"more"].concat();
    replace(&site, "app.js", &second);
    let event = live.head().await;
    assert_eq!(event["version"], Version::of(&second).to_string());
    match event.get("spread") {
        // On a slow machine the delta may be too late for the event.
        Some(spread) => assert_eq!(*spread, 1),
        None => {
            let (delta, from) = inline(&event);
            assert_eq!(from, Version::of(&first));
            assert!(apply(Some(&first), &delta).unwrap() == second);
        }
    }
    // A file that is written in place.
    site.write("app.js", b"short");
    assert_eq!(live.head().await["version"], Version::of(b"short").to_string());
}

#[tokio::test]
async fn a_delta_that_is_made_already_is_in_the_event() {
    let (first, second) = (text(1, 100_000), text(1, 100_004));
    let site = TestSite::new(&[("app.js", &first)]).await;
    site.publish("app.js", &second).await;
    site.get(&format!("/app.js.driblet/{}", Version::of(&first))).await;
    site.publish("app.js", &first).await;
    let mut live = Live::open("/app.js.driblet/live", site.addr()).await;
    assert_eq!(live.head().await["version"], Version::of(&first).to_string());
    replace(&site, "app.js", &second);
    let event = live.head().await;
    let (delta, from) = inline(&event);
    assert_eq!(from, Version::of(&first));
    assert!(apply(Some(&first), &delta).unwrap() == second);
    // All get the same bytes: also who comes later.
    assert_eq!(Live::open("/app.js.driblet/live", site.addr()).await.head().await, event);
}

#[tokio::test]
async fn a_long_delta_is_fetched_over_a_while_that_grows_with_the_streams() {
    let site = TestSite::new(&[("a.bin", &random_bytes(1, 100_000))]).await;
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(Live::open("/a.bin.driblet/live", site.addr()).await);
    }
    for live in &mut all {
        live.head().await;
    }
    replace(&site, "a.bin", &random_bytes(2, 100_000));
    for live in &mut all {
        let event = live.head().await;
        assert_eq!((event.get("delta"), &event["spread"]), (None, &Value::from(5)));
    }
}

#[tokio::test]
async fn a_receiver_that_knows_the_head_hears_that_the_stream_is_alive() {
    let site = TestSite::new(&[("app.js", b"1")]).await;
    let head = site.get("/app.js.driblet/head").await.json();
    let (epoch, counter) = (head["epoch"].as_str().unwrap(), head["counter"].as_u64().unwrap());
    let first = async |since: &str| {
        let path = format!("/app.js.driblet/live?since={since}");
        Live::open(&path, site.addr()).await.next().await.unwrap()
    };
    let known = first(&format!("{epoch}.{counter}")).await;
    assert_eq!((known.name.as_str(), known.id.unwrap()), ("alive", format!("{epoch}.{counter}")));
    assert!(known.retry.unwrap() < 1_000, "when to come back");
    // An old counter, another history's counter, and what is no counter at all.
    for since in [&format!("{epoch}.0"), &format!("0000000000000000.{counter}"), epoch, "", "x.y", "."] {
        assert_eq!(first(since).await.name, "head", "{since}");
    }
}

#[tokio::test]
async fn the_epoch_stays_with_the_history() {
    let mut site = TestSite::new(&[("app.js", b"1")]).await;
    let epoch = site.get("/app.js.driblet/head").await.json()["epoch"].clone();
    site.restart().await;
    let head = site.get("/app.js.driblet/head").await.json();
    assert_eq!(head["epoch"], epoch);
    let unknown = site.get(&format!("/app.js.driblet/{}", Version::of(b"other"))).await.json();
    assert_eq!((&unknown["epoch"], &unknown["counter"]), (&epoch, &head["counter"]));
    site.stop().await;
    std::fs::remove_dir_all(site.history()).unwrap();
    site.restart().await;
    assert_ne!(site.get("/app.js.driblet/head").await.json()["epoch"], epoch);
}

#[tokio::test]
async fn a_directory_has_one_stream() {
    let files: [(&str, &[u8]); 2] = [("app/a.js", b"a"), ("app/b.js", b"b")];
    let site = TestSite::with(&files, |builder| builder.directory("app").watch(true)).await;
    let mut live = Live::open("/app/.driblet/live", site.addr()).await;
    let first = live.head().await;
    site.write("app/b.js", b"bb");
    let second = live.head().await;
    let head = site.get("/app/.driblet/head").await.json();
    for member in ["version", "length", "counter", "epoch"] {
        assert_eq!(second[member], head[member], "{member}");
    }
    if second.get("spread").is_none() {
        let (delta, from) = inline(&second);
        assert_eq!(from.to_string(), first["version"].as_str().unwrap());
        // What a request for the delta is answered with.
        assert_eq!(site.get(&format!("/app/.driblet/{from}")).await.body, delta);
    }
    assert!(site.get("/other/.driblet/live").await.refuses(404, "no-such-file"));
}

#[tokio::test]
async fn headers_and_refusals() {
    let site = TestSite::with(&[("app.js", b"1"), ("b.js", b"2")], |builder| builder.max_live(2)).await;
    let head = site.ask(get("/app.js.driblet/live").method("HEAD")).await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
    assert_eq!(head.header("cache-control"), Some("no-store, no-transform"));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    assert!(site.get("/missing.js.driblet/live").await.refuses(404, "no-such-file"));
    assert_eq!(site.ask(get("/app.js.driblet/live").method("POST")).await.status, 405);
    let (first, second) = ("/app.js.driblet/live", "/b.js.driblet/live");
    let open = [Live::open(first, site.addr()).await, Live::open(second, site.addr()).await];
    let refused = site.get(first).await;
    assert!(refused.refuses(503, "busy"));
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((5..30).contains(&wait));
    // Other requests go on, and a stream that ends makes room.
    assert_eq!(site.get("/app.js").await.body, b"1");
    drop(open);
    eventually(async || site.ask(get(first).method("HEAD")).await.status == 200 && is_open(&site, first).await).await;
}

/// Whether a stream can be opened.
async fn is_open(site: &TestSite, path: &str) -> bool {
    let mut live = Live::open(path, site.addr()).await;
    live.next().await.is_some_and(|event| event.name == "head")
}

#[tokio::test]
async fn streams_take_no_places_of_connections() {
    let site = TestSite::new(&[("app.js", b"1")]).await;
    let addr = serving(site.server().router(), ServeOptions::default().max_connections(2)).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut live = Live::open("/app.js.driblet/live", addr).await;
        live.head().await;
        streams.push(live);
    }
    assert_eq!(get("/app.js").send(addr).await.body, b"1");
    replace(&site, "app.js", b"2");
    for live in &mut streams {
        assert_eq!(live.head().await["version"], Version::of(b"2").to_string());
    }
}

#[tokio::test]
async fn a_server_that_stops_tells_when_to_come_back() {
    let site = TestSite::new(&[("app.js", b"1")]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let options = ServeOptions::default().grace(Duration::from_secs(3600));
    let serving = tokio::spawn(serve_until(listener, site.server().router(), options, stopped));
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut live = Live::open("/app.js.driblet/live", addr).await;
        live.head().await;
        streams.push(live);
    }
    stop.send(()).unwrap();
    let mut waits = Vec::new();
    for live in &mut streams {
        waits.push(live.next().await.unwrap().retry.unwrap());
        assert!(live.next().await.is_none());
    }
    waits.sort_unstable();
    waits.dedup();
    assert_eq!(waits.len(), 10, "each comes at another time");
    assert_eq!(within(serving).await.unwrap().unwrap(), 0, "no stream was cut off");
}

#[tokio::test]
async fn streams_that_are_never_read_delay_nobody_and_hold_one_event() {
    const STREAMS: usize = 1_000;
    let site = TestSite::new(&[("a.bin", &random_bytes(0, 40_000))]).await;
    let addr = serving(site.server().router(), ServeOptions::default().max_connections(8)).await;
    let mut silent = Vec::new();
    for _ in 0..STREAMS {
        silent.push(Live::open("/a.bin.driblet/live", addr).await);
    }
    let mut live = Live::open("/a.bin.driblet/live", addr).await;
    live.head().await;
    let before = resident();
    // Each event has 40 kB: more than the sockets take after some.
    for number in 1..=30u64 {
        let bytes = [&random_bytes(0, 40_000)[..], &random_bytes(number, 29_000)].concat();
        replace(&site, "a.bin", &bytes);
        assert_eq!(live.head().await["version"], Version::of(&bytes).to_string());
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < STREAMS * 100_000, "{} bytes for each stream that nobody reads", grown / STREAMS);
    // Whoever reads at last hears of the newest head after few old ones.
    let newest = site.get("/a.bin.driblet/head").await.json()["version"].clone();
    let mut heard = 1;
    while silent[0].head().await["version"] != newest {
        heard += 1;
    }
    assert!(heard < 25, "{heard} of 31 events were queued");
}

/// Bytes of anonymous memory of this process.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn a_file_that_is_removed_and_comes_back() {
    let site = TestSite::new(&[("a.txt", b"1"), ("b.txt", b"b")]).await;
    let mut live = Live::open("/a.txt.driblet/live", site.addr()).await;
    assert_eq!(live.head().await["version"], Version::of(b"1").to_string());
    std::fs::remove_file(site.root().join("a.txt")).unwrap();
    // The server has seen that by then.
    assert_eq!(site.get("/a.txt").await.status, 404);
    site.publish("b.txt", b"bb").await;
    site.write("a.txt", b"2");
    assert_eq!(live.head().await["version"], Version::of(b"2").to_string());
}
