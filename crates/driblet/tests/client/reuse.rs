//! One client for many pulls.

use driblet::{Client, ClientError, PullError};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::setting::{url, within};

const REFUSAL: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn pulls_share_a_connection_and_send_the_headers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // The server accepts one connection, and so a second one would get no response.
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heads = Vec::new();
        for _ in 0..2 {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            stream.write_all(REFUSAL).await.unwrap();
            heads.push(String::from_utf8(head).unwrap());
        }
        heads
    });
    let (folder, client) = (TempDir::new().unwrap(), Client::builder().header("x-team", "blue").build().unwrap());
    for name in ["one", "two"] {
        let (client, url, dest) = (client.clone(), url(address), folder.path().join(name));
        let refused = within(client.pull(&url, dest, |_| {})).await.unwrap_err();
        assert!(matches!(refused, PullError::Protocol { .. }), "{refused}");
    }
    for head in within(server).await.unwrap() {
        assert!(head.contains("x-team: blue\r\n"), "{head}");
    }
}

#[test]
fn an_invalid_header_is_refused() {
    let error = Client::builder().header("x team", "blue").build().unwrap_err();
    assert!(matches!(&error, ClientError::InvalidHeader { name, .. } if name == "x team"), "{error}");
    assert!(!format!("{:?}", Client::builder().header("authorization", "secret")).contains("secret"));
}
