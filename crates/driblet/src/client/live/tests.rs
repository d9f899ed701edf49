//! Receivers with short times, and servers that do what a test says.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use driblet_core::Version;
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::*;
use crate::client::PullError;

const LIMIT: Duration = Duration::from_secs(120);
const EPOCH: &str = "0011223344556677";
const OTHER: &str = "8899aabbccddeeff";
const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";

/// What a server does with a connection after the request.
enum Act {
    /// Sends these bytes and closes.
    Send(String),
    /// Sends these bytes and nothing more. The connection stays open.
    Stall(String),
}

/// Starts a server. `act` gets the path, and how many requests for it there were before.
async fn server(act: impl Fn(&str, usize) -> Act + Send + Sync + 'static) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/a", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        let mut counts = HashMap::new();
        let mut stalled = Vec::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let Some(path) = path(&mut client).await else { continue };
            let count = counts.entry(path.split('?').next().unwrap().to_owned()).or_insert(0);
            let act = act(&path, *count);
            *count += 1;
            match act {
                Act::Send(bytes) => {
                    let _ = client.write_all(bytes.as_bytes()).await;
                    let _ = client.shutdown().await;
                }
                Act::Stall(bytes) => {
                    let _ = client.write_all(bytes.as_bytes()).await;
                    stalled.push(client);
                }
            }
        }
    });
    url
}

/// The path of a request.
async fn path(client: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    Some(head.split(' ').nth(1).unwrap().to_owned())
}

fn answer(status: &str, body: &str) -> Act {
    Act::Send(format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()))
}

fn version(name: &str) -> Version {
    Version::of(name.as_bytes())
}

fn head(epoch: &str, counter: u64, name: &str) -> String {
    let version = version(name);
    format!(r#"{{"version":"{version}","length":1,"counter":{counter},"epoch":"{epoch}"}}"#)
}

fn event(epoch: &str, counter: u64, name: &str) -> String {
    format!("id: {epoch}.{counter}\nevent: head\ndata: {}\n\n", head(epoch, counter, name))
}

fn hasty() -> Pace {
    let short = Duration::from_millis(100);
    Pace { first_event: LIMIT, silence: short, poll: short, held_back: short * 5 }
}

/// Follows an asset, with errors that are reported.
fn watch(url: &Url, pace: Pace) -> (Watch, mpsc::UnboundedReceiver<String>) {
    let client = Client::new().unwrap();
    let asset = Asset::new(client.http.clone(), url, &client.options, Arc::new(|_| {}));
    let (reports, reported) = mpsc::unbounded_channel();
    let report = move |error: &PullError| drop(reports.send(error.to_string()));
    (Watch::new(asset, pace).on_failure(report), reported)
}

async fn next(watch: &mut Watch) -> Option<Result<LiveHead, PullError>> {
    timeout(LIMIT, watch.next()).await.expect("the event happens within the limit")
}

async fn next_version(watch: &mut Watch) -> Version {
    next(watch).await.unwrap().unwrap().version
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_opened_again() {
    let url = server(|path, count| {
        assert!(path.starts_with("/a.driblet/live"), "{path}");
        // The receiver says what it knows.
        assert_eq!(path.ends_with(&format!("?since={EPOCH}.{count}")), count != 0, "{path}");
        let counter = count as u64 + 1;
        Act::Stall(format!("{STREAM}retry: 1\n{}", event(EPOCH, counter, &format!("{counter}"))))
    })
    .await;
    let (mut watch, _) = watch(&url, hasty());
    for counter in 1..4 {
        assert_eq!(next_version(&mut watch).await, version(&counter.to_string()));
    }
}

#[tokio::test]
async fn a_stream_that_is_held_back_is_replaced_by_requests() {
    let streams = Arc::new(AtomicUsize::new(0));
    let counted = streams.clone();
    let url = server(move |path, count| match path.ends_with("/head") {
        true => answer("200 OK", &head(EPOCH, count as u64 / 2, &(count / 2).to_string())),
        false => {
            counted.fetch_add(1, Ordering::Relaxed);
            // First not even the head comes, then no event.
            Act::Stall(if count == 0 { String::new() } else { format!("{STREAM}: hello\n\n") })
        }
    })
    .await;
    let pace = Pace { first_event: Duration::from_millis(300), ..hasty() };
    let (mut watch, mut reported) = watch(&url, pace);
    let mut number = 0;
    while streams.load(Ordering::Relaxed) < 3 || number < 3 {
        assert_eq!(next_version(&mut watch).await, version(&number.to_string()));
        number += 1;
    }
    assert!(reported.try_recv().is_err());
}

#[tokio::test]
async fn a_busy_server_is_asked_for_the_head() {
    let url = server(|path, count| match path.ends_with("/head") {
        true => answer("200 OK", &head(EPOCH, 1, "polled")),
        false if count == 0 => Act::Send(
            "HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
        ),
        false => Act::Stall(format!("{STREAM}{}", event(EPOCH, 2, "streamed"))),
    })
    .await;
    let (mut watch, mut reported) = watch(&url, hasty());
    assert_eq!(next_version(&mut watch).await, version("polled"));
    assert_eq!(next_version(&mut watch).await, version("streamed"));
    assert!(reported.try_recv().is_err());
}

#[tokio::test]
async fn what_is_no_stream_is_survived() {
    let long = "a".repeat(200_000);
    let url = server(move |path, count| match (path.ends_with("/head"), count) {
        (true, _) => answer("500 No", ""),
        (_, 0) => answer("200 OK", "<p>sign in</p>"),
        (_, 1) => answer("502 Bad Gateway", ""),
        (_, 2) => Act::Send(STREAM.to_owned()),
        (_, 3) => Act::Send(format!("{STREAM}data: {long}\n\n")),
        (_, 4) => Act::Send(format!("{STREAM}event: head\ndata: {{}}\n\n")),
        _ => Act::Stall(format!("{STREAM}{}", event(EPOCH, 1, "at last"))),
    })
    .await;
    let (mut watch, mut reported) = watch(&url, Pace { silence: LIMIT, ..hasty() });
    assert_eq!(next_version(&mut watch).await, version("at last"));
    let first = reported.try_recv().unwrap();
    assert!(first.contains("answers 500"), "{first}");
    // An event that is no head was an event: the server answered again.
    while let Ok(more) = reported.try_recv() {
        assert!(more.contains("answers 500"), "{more}");
    }
}

#[tokio::test]
async fn a_head_is_had_where_there_are_no_streams() {
    let url = server(|path, count| match path.ends_with("/head") {
        true => answer("200 OK", &head(EPOCH, count as u64, &count.to_string())),
        false => answer("404 Not Found", r#"{"code":"bad-name","detail":"no such resource"}"#),
    })
    .await;
    let (mut watch, mut reported) = watch(&url, hasty());
    for number in 0..3 {
        assert_eq!(next_version(&mut watch).await, version(&number.to_string()));
    }
    assert!(reported.try_recv().is_err());
}

#[tokio::test]
async fn a_refusal_is_the_end() {
    for (live, head) in [("401 Unauthorized", ""), ("403 Forbidden", ""), ("404 Not Found", "404 Not Found")] {
        let url = server(move |path, _| match path.ends_with("/head") {
            true => answer(head, r#"{"code":"no-such-file","detail":"There is no file /a here."}"#),
            false => answer(live, ""),
        })
        .await;
        let (mut watch, mut reported) = watch(&url, hasty());
        let refused = next(&mut watch).await.unwrap().unwrap_err();
        let PullError::Protocol { source, what, .. } = &refused else { panic!("{refused}") };
        assert_eq!(source.status(), live[..3].parse().ok(), "{what}");
        assert!(what.contains(live), "{what}");
        assert!(next(&mut watch).await.is_none());
        assert!(reported.try_recv().is_err());
    }
}

#[tokio::test]
async fn an_asset_that_was_there_may_come_back() {
    let url = server(|path, count| match (path.ends_with("/head"), count) {
        (true, _) | (_, 1) => answer("404 Not Found", r#"{"code":"no-such-file","detail":"not now"}"#),
        (_, 0) => Act::Send(format!("{STREAM}retry: 1\n{}", event(EPOCH, 1, "first"))),
        _ => Act::Stall(format!("{STREAM}{}", event(EPOCH, 2, "second"))),
    })
    .await;
    let (mut watch, mut reported) = watch(&url, Pace { silence: LIMIT, ..hasty() });
    assert_eq!(next_version(&mut watch).await, version("first"));
    assert_eq!(next_version(&mut watch).await, version("second"));
    assert!(reported.try_recv().unwrap().contains("answers 404"));
}

#[tokio::test]
async fn a_doubtful_head_is_asked_for() {
    let url = server(|path, _| match path.ends_with("/head") {
        true => answer("200 OK", &head(EPOCH, 1, "restored")),
        false => Act::Stall(format!("{STREAM}{}{}", event(EPOCH, 9, "lost"), event(EPOCH, 1, "restored"))),
    })
    .await;
    let (mut watch, _) = watch(&url, Pace { silence: LIMIT, ..hasty() });
    assert_eq!(next_version(&mut watch).await, version("lost"));
    let head = next(&mut watch).await.unwrap().unwrap();
    assert_eq!((head.version, head.counter), (version("restored"), 1));
}

#[tokio::test]
async fn an_alive_event_that_names_an_unknown_head_leads_to_a_request() {
    let url = server(|path, _| match path.ends_with("/head") {
        true => answer("200 OK", &head(OTHER, 7, "asked for")),
        false => Act::Stall(format!("{STREAM}{}id: {OTHER}.7\nevent: alive\ndata: {{}}\n\n", event(EPOCH, 1, "told"))),
    })
    .await;
    let (mut watch, _) = watch(&url, Pace { silence: LIMIT, ..hasty() });
    let mut seen = Vec::new();
    while seen.last() != Some(&version("asked for")) {
        seen.push(next_version(&mut watch).await);
    }
}

#[tokio::test]
async fn a_slow_consumer_gets_the_newest_head() {
    let url = server(|_, _| {
        let events: String = (0..50).map(|counter| event(EPOCH, counter, &counter.to_string())).collect();
        Act::Stall(format!("{STREAM}{events}"))
    })
    .await;
    let (mut watch, _) = watch(&url, Pace { silence: LIMIT, ..hasty() });
    let mut last = next(&mut watch).await.unwrap().unwrap();
    while last.counter != 49 {
        let newer = next(&mut watch).await.unwrap().unwrap();
        assert!(last.counter < newer.counter);
        last = newer;
    }
}

#[tokio::test]
async fn receivers_wait_for_their_part_of_a_spread() {
    let spread = |counter, name, spread| {
        event(EPOCH, counter, name).replace("\"length\"", &format!("\"spread\":{spread},\"length\""))
    };
    let url = server(move |_, _| {
        // The first head comes at once, and a newer one does not wait for that before.
        let events = [spread(1, "first", 60_000), spread(2, "second", 60_000), spread(3, "third", 1)].concat();
        Act::Stall(format!("{STREAM}{events}"))
    })
    .await;
    let (mut watch, _) = watch(&url, Pace { silence: LIMIT, ..hasty() });
    let mut seen = vec![next_version(&mut watch).await];
    if seen[0] == version("first") {
        seen.push(next_version(&mut watch).await);
    }
    assert_eq!(seen.last(), Some(&version("third")));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_reported_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = Url::parse(&format!("http://{address}/a")).unwrap();
    let (mut watch, mut reported) = watch(&url, hasty());
    let waiting = tokio::spawn(async move { next(&mut watch).await });
    assert!(timeout(LIMIT, reported.recv()).await.unwrap().unwrap().contains("cannot reach"));
    assert!(timeout(Duration::from_millis(500), reported.recv()).await.is_err());
    waiting.abort();
}

#[tokio::test]
async fn other_urls_are_refused() {
    let mut watch = Client::new().unwrap().watch(&Url::parse("ftp://127.0.0.1/a").unwrap());
    assert!(matches!(next(&mut watch).await, Some(Err(PullError::Protocol { .. }))));
    assert!(next(&mut watch).await.is_none());
}
