use std::fmt;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::wait::within;

/// A request that is sent byte for byte. Only `Host` and `Connection` are added.
#[derive(Clone)]
pub(crate) struct Ask {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// The response, up to the end of the connection.
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn get(path: &str) -> Ask {
    Ask { method: "GET".into(), path: path.into(), headers: Vec::new(), body: Vec::new() }
}

pub(crate) fn post(path: &str, body: Vec<u8>) -> Ask {
    let len = body.len().to_string();
    Ask { method: "POST".into(), body, ..get(path) }.header("content-length", &len)
}

impl Ask {
    pub(crate) fn method(mut self, method: &str) -> Ask {
        self.method = method.into();
        self
    }

    /// Whether a live stream is asked for.
    pub(crate) fn is_stream(&self) -> bool {
        self.method == "GET" && self.path.ends_with("/live")
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Ask {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The bytes of the request's head and body.
    pub(crate) fn bytes(&self, addr: SocketAddr) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", self.method, self.path);
        if !self.headers.iter().any(|(name, _)| name == "host") {
            head += &format!("host: {addr}\r\n");
        }
        self.headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }

    /// Sends the request, and reads the response to its end.
    pub(crate) async fn send(self, addr: SocketAddr) -> Answer {
        within(self.sent(addr)).await
    }

    async fn sent(self, addr: SocketAddr) -> Answer {
        let (mut reader, mut writer) = TcpStream::connect(addr).await.unwrap().into_split();
        let bytes = self.bytes(addr);
        // A server may answer and close the connection before it has read everything.
        let sent = tokio::spawn(async move { writer.write_all(&bytes).await.map(|()| writer) });
        let (mut received, mut piece) = (Vec::new(), vec![0; 64 << 10]);
        while let Ok(read @ 1..) = reader.read(&mut piece).await {
            received.extend_from_slice(&piece[..read]);
        }
        let _ = sent.await;
        Answer::parse(&received)
    }
}

/// A long body is shortened.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { status, headers, body } = self;
        let start = String::from_utf8_lossy(&body[..body.len().min(500)]);
        write!(f, "{status} {headers:?}, {} bytes: {start:?}", body.len())
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The ETag, with its quotes.
    pub(crate) fn etag(&self) -> String {
        self.header("etag").expect("an ETag").to_owned()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// Whether the response refuses as the protocol says: a problem document with this status and code, and a sentence
    /// as detail.
    pub(crate) fn refuses(&self, status: u16, code: &str) -> bool {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()));
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.ends_with(['.', '!'])), "{problem}");
        problem["code"] == code
    }

    fn parse(bytes: &[u8]) -> Answer {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("the head of an answer");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = &bytes[end + 4..];
        Answer { status, headers, body: if chunked { join(body) } else { body.to_vec() } }
    }
}

/// A client that has sent its request, and reads the response later.
pub(crate) struct Slow {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Slow {
    /// Sends the request, and reads the first bytes of the response.
    pub(crate) async fn start(ask: Ask, addr: SocketAddr) -> Slow {
        let start = async {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.write_all(&ask.bytes(addr)).await.unwrap();
            let mut received = vec![0; 100];
            stream.read_exact(&mut received).await.unwrap();
            Slow { stream, received }
        };
        within(start).await
    }

    /// Reads until the connection ends.
    pub(crate) async fn whole_answer(mut self) -> Answer {
        let mut piece = vec![0; 64 << 10];
        while let Ok(read @ 1..) = within(self.stream.read(&mut piece)).await {
            self.received.extend_from_slice(&piece[..read]);
        }
        Answer::parse(&self.received)
    }
}

/// A live stream.
pub(crate) struct Live {
    stream: TcpStream,
    received: Vec<u8>,
    /// Events that were read.
    read: usize,
}

/// An event of a live stream.
#[derive(Debug)]
pub(crate) struct LiveEvent {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    pub(crate) retry: Option<u64>,
    pub(crate) data: Value,
}

impl Live {
    pub(crate) async fn open(path: &str, addr: SocketAddr) -> Live {
        let Slow { stream, received } = Slow::start(get(path), addr).await;
        Live { stream, received, read: 0 }
    }

    /// The next event; `None` if the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<LiveEvent> {
        let mut piece = vec![0; 64 << 10];
        loop {
            let body = if self.received.windows(4).any(|window| window == b"\r\n\r\n") {
                Answer::parse(&self.received).body
            } else {
                Vec::new()
            };
            let body = String::from_utf8(body).unwrap();
            if let Some((text, _)) =
                body.split_inclusive("\n\n").nth(self.read).and_then(|text| text.split_once("\n\n"))
            {
                self.read += 1;
                return Some(LiveEvent::parse(text));
            }
            let read = within(self.stream.read(&mut piece)).await.unwrap_or_default();
            if read == 0 {
                return None;
            }
            self.received.extend_from_slice(&piece[..read]);
        }
    }

    /// The next head; events that only say that the stream is alive are left out.
    pub(crate) async fn head(&mut self) -> Value {
        loop {
            let event = self.next().await.expect("an event");
            if event.name == "head" {
                return event.data;
            }
        }
    }
}

impl LiveEvent {
    fn parse(text: &str) -> LiveEvent {
        let field = |name: &str| {
            let mut values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            values.next().map(str::to_owned)
        };
        LiveEvent {
            name: field("event").unwrap_or_default(),
            id: field("id"),
            retry: field("retry").map(|retry| retry.parse().unwrap()),
            data: field("data").map_or(Value::Null, |data| serde_json::from_str(&data).unwrap()),
        }
    }
}

/// The bytes of a chunked body that arrived.
fn join(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let len = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        let chunk = &rest[line + 2..];
        body.extend_from_slice(&chunk[..len.min(chunk.len())]);
        rest = chunk.get(len + 2..).unwrap_or_default();
    }
    body
}
