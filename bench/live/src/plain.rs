//! Writes bytes to as many plain sockets as there are, without any of HTTP: what a server that does more is held against.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

/// What a client takes for the beginning of a stream.
const BEGIN: &[u8] = b"HTTP/1.1 200 OK\r\n\r\nevent: alive\n\n";

type Sockets = Arc<Mutex<Vec<TcpStream>>>;

/// Serves until it is killed. A connection that begins with `TELL LEN` brings the bytes for all others.
pub(crate) async fn serve() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}/", listener.local_addr()?);
    let sockets = Sockets::default();
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(answer(socket, sockets.clone()));
    }
}

async fn answer(socket: TcpStream, sockets: Sockets) -> io::Result<()> {
    let (mut socket, mut line) = (BufReader::with_capacity(256, socket), String::new());
    socket.read_line(&mut line).await?;
    match line.strip_prefix("TELL ").map(|len| len.trim().parse()) {
        Some(Ok(len)) => {
            let mut bytes = vec![0; len];
            socket.read_exact(&mut bytes).await?;
            for socket in sockets.lock().await.iter_mut() {
                socket.write_all(&bytes).await?;
            }
        }
        Some(Err(_)) => {}
        None => {
            let mut socket = socket.into_inner();
            socket.write_all(BEGIN).await?;
            sockets.lock().await.push(socket);
        }
    }
    Ok(())
}
