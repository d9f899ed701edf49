//! `pull` from driblet's server, and from servers that break the protocol.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use driblet::browser_sync_stream::{ChunkHash, RabinOptions, Received, WireError, pull};
use driblet::{Client, PullError, PullOptions, ServeOptions};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_async};
use url::Url;

use crate::chain::chain;
use crate::support::{CHUNKS, TestSite, answer, hashes, list, message, random_bytes, versions, within};

async fn pull_from(url: &Url, site: &TestSite) -> Result<Received<()>, PullError> {
    let client = Client::builder().timeout(Duration::from_secs(1)).build().unwrap();
    within(pull(&client, url, site.dest(), CHUNKS, |_| {})).await
}

#[tokio::test]
async fn cold_warm_and_up_to_date() {
    let (old, new) = versions();
    let site = TestSite::new(&[("file", &old)]).await;
    let url = site.url("file");
    let cold = pull_from(&url, &site).await.unwrap();
    assert_eq!((cold.len, cold.sent, cold.reused), (old.len() as u64, 2, 0));
    assert!(fs::read(site.dest()).unwrap() == old);
    site.publish("file", &new);
    let warm = pull_from(&url, &site).await.unwrap();
    let held = hashes(&old);
    assert_eq!((warm.sent, warm.received), (list(&held).len() as u64, answer(&held, &new).len() as u64));
    assert!(fs::read(site.dest()).unwrap() == new);
    let same = pull_from(&url, &site).await.unwrap();
    assert_eq!((same.reused, same.received), (new.len() as u64, 33 * same.chunks));
    site.publish("file", b"");
    assert_eq!(pull_from(&url, &site).await.unwrap().len, 0);
    assert_eq!(fs::read(site.dest()).unwrap(), b"");
}

#[tokio::test]
async fn a_list_longer_than_a_message_may_be() {
    let tiny = RabinOptions::new().bits(1).min(64).max(64);
    let (old, more) = (random_bytes(1, 40_000 * 64), random_bytes(2, 100));
    let new = [&old, &more[..]].concat();
    let site =
        TestSite::with(&[("file", &new)], |builder| builder.browser_sync_stream(Some(tiny)), ServeOptions::default())
            .await;
    fs::write(site.dest(), &old).unwrap();
    let client = Client::new().unwrap();
    let pulled = within(pull(&client, &site.url("file"), site.dest(), tiny, |_| {})).await.unwrap();
    assert_eq!((pulled.sent, pulled.reused), (40_000 * 33 + 2, old.len() as u64));
    assert!(fs::read(site.dest()).unwrap() == new);
}

#[tokio::test]
async fn refusals_say_why_and_change_nothing() {
    let site = TestSite::new(&[("folder/file", b"f")]).await;
    fs::write(site.dest(), "held").unwrap();
    let refusal = async |path: &str| {
        let error = pull_from(&site.url(path), &site).await.unwrap_err();
        assert!(matches!(error, PullError::Protocol { .. }), "{error}");
        chain(&error)
    };
    assert_eq!(
        refusal("missing").await,
        "the server refuses to send the file: the server closed the WebSocket with 4404: There is no file of that name here."
    );
    assert!(refusal("folder").await.ends_with("This is a folder; sync the files in it, each by its own path."));
    assert!(refusal("a.driblet/nope").await.contains("answers 400 Bad Request to a WebSocket: "));
    let http = Url::parse(&format!("http://{}/folder/file", site.addr)).unwrap();
    let error = pull_from(&http, &site).await.unwrap_err();
    assert!(chain(&error).ends_with("http is neither ws nor wss"), "{error}");
    assert_eq!(fs::read(site.dest()).unwrap(), b"held");
}

/// What a test's server does after the client's list.
#[derive(Clone)]
enum Then {
    Close(CloseCode),
    /// Ends the connection without closing the WebSocket.
    Vanish,
    Stall,
}

/// A server that waits for the end of the list and then sends these bytes in messages of `piece` bytes.
async fn canned(bytes: Vec<u8>, piece: usize, then: Then) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket: WebSocketStream<TcpStream> = accept_async(stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.into_data().ends_with(&[1, 0]) {
                break;
            }
        }
        for piece in bytes.chunks(piece) {
            let _ = socket.send(Message::binary(piece.to_vec())).await;
        }
        match then {
            Then::Close(code) => {
                let _ = socket.close(Some(CloseFrame { code, reason: Utf8Bytes::from_static("so it is") })).await;
                while let Some(Ok(_)) = socket.next().await {}
            }
            Then::Vanish => {}
            Then::Stall => std::future::pending().await,
        }
    });
    Url::parse(&format!("ws://{address}/")).unwrap()
}

#[tokio::test]
async fn messages_are_pieces_at_any_split() {
    let (old, new) = versions();
    let site = TestSite::new(&[]).await;
    for piece in [1, 33, 1 << 20] {
        fs::write(site.dest(), &old).unwrap();
        let url = canned(answer(&hashes(&old), &new), piece, Then::Close(CloseCode::Normal)).await;
        pull_from(&url, &site).await.unwrap();
        assert!(fs::read(site.dest()).unwrap() == new);
    }
}

#[tokio::test]
async fn a_file_that_does_not_come_whole() {
    let (old, new) = versions();
    let site = TestSite::new(&[]).await;
    fs::write(site.dest(), &old).unwrap();
    let good = answer(&hashes(&old), &new);
    let last = message(&[ChunkHash::of(b"new").as_bytes(), b"new"]).len();
    for (len, then) in [
        // Cut between two messages, and within a message.
        (good.len(), Then::Vanish),
        (good.len() - last, Then::Vanish),
        (0, Then::Vanish),
        (good.len(), Then::Stall),
        (10, Then::Stall),
    ] {
        let url = canned(good[..len].to_vec(), 1000, then).await;
        let error = pull_from(&url, &site).await.unwrap_err();
        assert!(matches!(error, PullError::Network { .. }), "{len} bytes: {error}");
        assert!(fs::read(site.dest()).unwrap() == old);
    }
    for (bytes, code) in
        [(good.clone(), CloseCode::Away), (good[..10].to_vec(), CloseCode::Normal), (vec![], CloseCode::Error)]
    {
        let url = canned(bytes, 1000, Then::Close(code)).await;
        let error = pull_from(&url, &site).await.unwrap_err();
        assert!(matches!(error, PullError::Protocol { .. }), "{code}: {error}");
        assert!(fs::read(site.dest()).unwrap() == old);
    }
}

#[tokio::test]
async fn a_wrong_chunk() {
    let (old, new) = versions();
    let site = TestSite::new(&[]).await;
    fs::write(site.dest(), &old).unwrap();
    let mut bytes = answer(&hashes(&old), &new);
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    let error = pull_from(&canned(bytes, 99, Then::Close(CloseCode::Normal)).await, &site).await.unwrap_err();
    let is_wrong = |error: Option<&WireError>| matches!(error, Some(WireError::WrongHash { .. }));
    assert!(matches!(&error, PullError::Protocol { source, .. } if is_wrong(source.wire_error())), "{error}");
    assert!(fs::read(site.dest()).unwrap() == old);
}

#[tokio::test]
async fn a_file_longer_than_is_accepted() {
    let site = TestSite::new(&[("file", &[1; 100_000])]).await;
    let client = Client::builder().options(PullOptions::default().max_len(50_000)).build().unwrap();
    let error = within(pull(&client, &site.url("file"), site.dest(), CHUNKS, |_| {})).await.unwrap_err();
    assert_eq!(chain(&error), "cannot accept the file: the file is longer than the 50000 bytes that are accepted");
    assert!(!site.dest().exists());
}
