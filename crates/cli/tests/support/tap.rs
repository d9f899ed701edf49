use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::wait::LIMIT;

/// A proxy between the command and a server. It records each request, and may answer instead of the server.
pub(crate) struct Tap {
    pub(crate) address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Tap {
    /// `answer` gets the number and the head of each request. Its result is sent, and the connection is closed. With
    /// `None` the server answers.
    pub(crate) fn new(
        server: Option<&str>,
        answer: impl Fn(usize, &str) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Tap {
        Tap::speaking(server, move |number, head, client| match answer(number, head) {
            Some(bytes) => client.write_all(&bytes).map(|()| true),
            None => Ok(false),
        })
    }

    /// `answer` may write to the client itself, and says whether it did.
    pub(crate) fn speaking(
        server: Option<&str>,
        answer: impl Fn(usize, &str, &mut TcpStream) -> io::Result<bool> + Send + Sync + 'static,
    ) -> Tap {
        Tap::before(server.as_slice(), answer)
    }

    /// The servers answer in turn.
    pub(crate) fn between(servers: &[&str]) -> Tap {
        Tap::before(servers, |_, _, _| Ok(false))
    }

    fn before(
        servers: &[&str],
        answer: impl Fn(usize, &str, &mut TcpStream) -> io::Result<bool> + Send + Sync + 'static,
    ) -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let address_of = |url: &&str| url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let servers: Arc<[String]> = servers.iter().map(address_of).collect();
        let (answer, heads) = (Arc::new(answer), Arc::new(Mutex::new(Vec::new())));
        let heard = heads.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (answer, heard, servers) = (answer.clone(), heard.clone(), servers.clone());
                thread::spawn(move || carry(client, &servers, &*answer, &heard));
            }
        });
        Tap { address, heads }
    }

    /// The heads of all requests so far, in lower case except for the paths.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// A whole answer.
pub(crate) fn http(status: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let len = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {len}\r\nconnection: close\r\n\r\n{body}").into_bytes()
}

fn carry(
    mut client: TcpStream,
    servers: &[String],
    answer: &dyn Fn(usize, &str, &mut TcpStream) -> io::Result<bool>,
    heads: &Mutex<Vec<String>>,
) -> io::Result<()> {
    client.set_read_timeout(Some(LIMIT))?;
    let (mut came, mut piece) = (Vec::new(), [0; 4096]);
    let end = loop {
        if let Some(end) = came.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        match client.read(&mut piece)? {
            0 => return Ok(()),
            len => came.extend_from_slice(&piece[..len]),
        }
    };
    let head = String::from_utf8_lossy(&came[..end]).into_owned();
    let number = {
        let mut heads = heads.lock().unwrap();
        heads.push(head.clone());
        heads.len() - 1
    };
    if answer(number, &head, &mut client)? {
        client.shutdown(Shutdown::Write)?;
        // Wait until the client has read everything and closes: closing earlier may lose bytes.
        while client.read(&mut piece)? != 0 {}
        return Ok(());
    }
    let mut server = TcpStream::connect(&servers[number % servers.len()])?;
    server.set_read_timeout(Some(LIMIT))?;
    // One request for each connection, so that each is recorded, except for a WebSocket.
    let close = if head.to_ascii_lowercase().contains("upgrade: websocket") { "" } else { "\r\nconnection: close" };
    server.write_all(&[&came[..end], close.as_bytes(), &came[end..]].concat())?;
    let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || io::copy(&mut from, &mut to));
    io::copy(&mut server, &mut client)?;
    client.shutdown(Shutdown::Write)
}
