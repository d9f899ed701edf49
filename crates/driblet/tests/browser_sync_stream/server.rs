//! The server's WebSockets: which requests it answers, with which bytes, and how it refuses.

use std::collections::HashSet;
use std::time::Duration;

use driblet::ServeOptions;
use driblet::browser_sync_stream::RabinOptions;
use futures_util::SinkExt;
use futures_util::future::join_all;

use crate::support::{TestSite, answer, eventually, hashes, list, random_bytes, versions, within};

#[tokio::test]
async fn bytes_are_what_the_rules_predict() {
    let (old, new) = versions();
    let site = TestSite::new(&[("app.js", &new), ("empty", b""), ("a folder/short", b"short")]).await;
    for held in [&b""[..], &old, &new, b"something else"] {
        let held = hashes(held);
        for piece in [1 << 20, 1000, 33, 1] {
            let received = site.raw("app.js").await.exchange(&list(&held), piece).await;
            assert!(received == answer(&held, &new), "{} held, in pieces of {piece}", held.len());
        }
    }
    let nothing = list(&HashSet::new());
    assert_eq!(site.raw("empty").await.exchange(&nothing, 9).await, b"");
    let short = answer(&HashSet::new(), b"short");
    assert_eq!(site.raw("a%20folder/short").await.exchange(&nothing, 9).await, short);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_receivers_at_once() {
    let new = random_bytes(5, 3_000_000);
    let old = [&new[..1_000_000], &random_bytes(6, 100), &new[1_000_000..]].concat();
    let site = TestSite::new(&[("a", &new)]).await;
    let one = async |number: usize| {
        let held = if number < 25 { HashSet::new() } else { hashes(&old) };
        let received = site.raw("a").await.exchange(&list(&held), 5000).await;
        assert!(received == answer(&held, &new), "receiver {number}");
    };
    join_all((0..50).map(one)).await;
}

#[tokio::test]
async fn a_session_sends_the_version_that_it_began_with() {
    let (before, after) = (random_bytes(8, 40_000_000), random_bytes(9, 100));
    let site = TestSite::new(&[("a", &before)]).await;
    let mut slow = site.raw("a").await;
    slow.send(&[1, 0]).await;
    let first = slow.next().await;
    site.publish("a", &after);
    let nothing = HashSet::new();
    assert_eq!(site.raw("a").await.exchange(&[1, 0], 2).await, answer(&nothing, &after));
    let (rest, _) = slow.until_close().await;
    assert!([&first[..], &rest].concat() == answer(&nothing, &before));
}

#[tokio::test]
async fn what_is_no_file() {
    let site = TestSite::new(&[("folder/index.html", b"<p>")]).await;
    let folder = "This is a folder; sync the files in it, each by its own path.";
    for path in ["folder", "folder/", ""] {
        assert_eq!(site.raw(path).await.refusal().await, (4404, folder.into()), "{path}");
    }
    for path in ["missing", ".hidden", "folder/missing/deep"] {
        assert_eq!(
            site.raw(path).await.refusal().await,
            (4404, "There is no file of that name here.".into()),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_single_file_is_served_at_the_root_too() {
    let site = TestSite::new(&[("a", b"alone")]).await;
    let builder = driblet::Server::builder(site.folder.path().join("root/a")).history(site.folder.path().join("other"));
    let server = builder.build().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(driblet::serve(listener, server.router(), ServeOptions::default()));
    for path in ["", "a"] {
        let url = format!("ws://{addr}/{path}").parse().unwrap();
        let client = driblet::Client::new().unwrap();
        let pull = driblet::browser_sync_stream::pull(&client, &url, site.dest(), RabinOptions::default(), |_| {});
        within(pull).await.unwrap();
        assert_eq!(std::fs::read(site.dest()).unwrap(), b"alone");
        std::fs::remove_file(site.dest()).unwrap();
    }
}

#[tokio::test]
async fn the_first_protocol_offered_is_echoed() {
    let site = TestSite::new(&[("a", b"a")]).await;
    for (offer, echoed) in [("null", "null"), ("sync, other", "sync"), ("other,sync", "other")] {
        let raw = site.ask("a", &[("sec-websocket-protocol", offer)]).await.ok().unwrap();
        assert_eq!(raw.protocol.as_deref(), Some(echoed));
        assert_eq!(raw.exchange(&[1, 0], 2).await, answer(&HashSet::new(), b"a"));
    }
    assert_eq!(site.raw("a").await.protocol, None);
}

#[tokio::test]
async fn whoever_offers_our_own_protocol_does_not_get_this_one() {
    let site = TestSite::new(&[("a", b"a")]).await;
    for offer in ["driblet.1", "null, driblet.1", "driblet.99"] {
        let status = site.ask("a", &[("sec-websocket-protocol", offer)]).await.err().unwrap();
        assert_eq!(status, 200, "the file, as for anyone who asks for it plainly");
    }
    assert_eq!(site.ask("a.driblet/live", &[]).await.err().unwrap(), 200, "a stream of events");
}

#[tokio::test]
async fn a_session_outlasts_idle_connections_and_a_stop() {
    let (_, new) = versions();
    let (short, long) = (Duration::from_millis(50), Duration::from_secs(3600));
    let how = ServeOptions::default().keep_alive(short).header_timeout(short).grace(long);
    let (site, stop) = TestSite::until(&[("app.js", &new)], how).await;
    let session = site.raw("app.js").await;
    // A silent connection that began later is closed already: neither limit applies to a session.
    let mut silent = tokio::net::TcpStream::connect(site.addr).await.unwrap();
    assert_eq!(within(tokio::io::AsyncReadExt::read(&mut silent, &mut [0])).await.unwrap_or(0), 0);
    stop.send(()).unwrap();
    eventually(async || tokio::net::TcpStream::connect(site.addr).await.is_err()).await;
    let received = session.exchange(&list(&HashSet::new()), 1 << 20).await;
    assert!(received == answer(&HashSet::new(), &new));
    assert_eq!(site.served().await, 0);
}

#[tokio::test]
async fn a_session_is_cut_where_a_stop_may_wait_no_longer() {
    let how = ServeOptions::default().grace(Duration::from_millis(50));
    let (site, stop) = TestSite::until(&[("app.js", b"let a;")], how).await;
    let session = site.raw("app.js").await;
    stop.send(()).unwrap();
    assert_eq!(session.until_close().await, (Vec::new(), None));
    assert_eq!(site.served().await, 1);
}

#[tokio::test]
async fn a_server_that_was_told_not_to() {
    let site =
        TestSite::with(&[("a", b"a")], |builder| builder.browser_sync_stream(None), ServeOptions::default()).await;
    assert_eq!(site.ask("a", &[]).await.err().unwrap(), 200);
}

#[tokio::test]
async fn foreign_names_and_pages() {
    let allow =
        |builder: driblet::ServerBuilder| builder.allow_host("assets.example").allow_origin("https://app.example");
    let site = TestSite::with(&[("a", b"a")], allow, ServeOptions::default()).await;
    for path in ["a", "missing", ""] {
        for (header, value, status) in [
            ("host", "evil.example", 421),
            ("host", "assets.example.evil", 421),
            ("origin", "https://evil.example", 403),
            ("origin", "null", 403),
        ] {
            assert_eq!(site.ask(path, &[(header, value)]).await.err().unwrap(), status, "{path}, {header}: {value}");
        }
    }
    let own = format!("http://{}", site.addr);
    for (header, value) in [("host", "assets.example"), ("origin", "https://app.example"), ("origin", &own)] {
        let raw = site.ask("a", &[(header, value)]).await.ok().unwrap();
        assert_eq!(raw.exchange(&[1, 0], 2).await, answer(&HashSet::new(), b"a"), "{header}: {value}");
    }
}

#[tokio::test]
async fn a_receiver_that_stops_reading() {
    let bytes = random_bytes(4, 64 << 20);
    let how = ServeOptions::default().write_timeout(Duration::from_millis(300));
    let site = TestSite::with(&[("a", &bytes), ("b", b"b")], |builder| builder, how).await;
    let mut stopped = site.raw("a").await;
    stopped.send(&[1, 0]).await;
    // From now on only this session has the version open.
    stopped.next().await;
    assert_eq!(site.raw("b").await.exchange(&[1, 0], 2).await, answer(&HashSet::new(), b"b"), "others go on");
    eventually(async || !site.is_any_version_open()).await;
    let (received, close) = stopped.until_close().await;
    assert!(received.len() < bytes.len(), "it was dropped");
    assert!(close.is_none_or(|close| u16::from(close.code) != 1000), "and told no end");
}

#[tokio::test]
async fn a_receiver_that_leaves() {
    let site = TestSite::new(&[("a", &random_bytes(4, 64 << 20))]).await;
    let mut leaving = site.raw("a").await;
    leaving.send(&[1, 0]).await;
    leaving.next().await;
    within(leaving.socket.close(None)).await.unwrap();
    within(leaving.socket.flush()).await.unwrap();
    leaving.until_close().await;
    eventually(async || !site.is_any_version_open()).await;
}

#[tokio::test]
async fn more_receivers_than_are_served_at_once() {
    let site = TestSite::new(&[("a", b"a")]).await;
    let mut waiting = join_all((0..256).map(|_| site.raw("a"))).await;
    assert_eq!(site.ask("a", &[]).await.err().unwrap(), 503);
    let first = waiting.swap_remove(0);
    first.exchange(&[1, 0], 2).await;
    // The permit is free once the server has seen the close.
    eventually(async || site.ask("a", &[]).await.is_ok()).await;
}

#[tokio::test]
async fn a_file_of_more_chunks_than_a_list_may_have() {
    let tiny = RabinOptions::new().bits(1).min(1).max(2);
    let site = TestSite::with(
        &[("a", &[0; 3 << 20]), ("b", b"b")],
        |builder| builder.browser_sync_stream(Some(tiny)),
        ServeOptions::default(),
    )
    .await;
    let mut raw = site.raw("a").await;
    raw.send(&[1, 0]).await;
    let (code, reason) = raw.refusal().await;
    assert_eq!(code, 4413);
    assert!(reason.starts_with("the file has more than 1048576 chunks; cut longer chunks"), "{reason}");
    assert_eq!(site.raw("b").await.exchange(&[1, 0], 2).await, answer(&HashSet::new(), b"b"));
}
