//! A proxy that changes responses.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A fault in the bytes of each response, its head included.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// The connection ends after this many bytes of the body.
    CutBody(usize),
    /// One bit of this byte of the head or body is flipped.
    Flip(usize, u8),
    /// Nothing arrives after this many bytes of the body.
    StallBody(usize),
}

/// Starts a proxy in front of `server`. Every connection through it has the fault.
pub(crate) async fn proxy(server: SocketAddr, fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(client, server, fault));
        }
    });
    address
}

/// A server that gives every request the same bytes.
pub(crate) async fn canned(answer: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut request = vec![0; 16 << 10];
                let _ = client.read(&mut request).await;
                let _ = client.write_all(&answer).await;
                if answer.is_empty() {
                    // Accepts connections and never answers.
                    let _ = client.read(&mut request).await;
                }
            });
        }
    });
    address
}

async fn carry(mut client: TcpStream, server: SocketAddr, fault: Fault) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let back = async {
        let (mut piece, mut head, mut body_at, mut at) = (vec![0; 16 << 10], Vec::new(), None, 0);
        loop {
            let read = from_server.read(&mut piece).await?;
            if read == 0 {
                return Ok(());
            }
            let bytes = &mut piece[..read];
            if body_at.is_none() {
                head.extend_from_slice(bytes);
                body_at = head.windows(4).position(|window| window == b"\r\n\r\n").map(|end| end + 4);
            }
            let passes = match fault {
                Fault::Flip(place, bit) => {
                    if let Some(byte) = place.checked_sub(at).and_then(|place| bytes.get_mut(place)) {
                        *byte ^= 1 << bit;
                    }
                    read
                }
                Fault::CutBody(len) | Fault::StallBody(len) => {
                    body_at.map_or(read, |start| (start + len).saturating_sub(at).min(read))
                }
            };
            to_client.write_all(&bytes[..passes]).await?;
            at += read;
            if passes < read {
                if let Fault::StallBody(_) = fault {
                    std::future::pending::<()>().await;
                }
                return to_client.shutdown().await;
            }
        }
    };
    tokio::select! {
        result = tokio::io::copy(&mut from_client, &mut to_server) => result.map(drop),
        result = back => result,
    }
}
