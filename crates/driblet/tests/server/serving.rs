//! Connections: which ones stay, which ones end, and how the server stops.

use std::net::SocketAddr;
use std::time::Duration;

use driblet::{ServeOptions, serve_until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Slow, TestSite, eventually, get, random_bytes, within};

const LONG: Duration = Duration::from_secs(3600);
/// Limits that no test reaches.
fn patient() -> ServeOptions {
    ServeOptions::default().write_timeout(LONG).header_timeout(LONG).keep_alive(LONG).max_connections(1024).grace(LONG)
}

struct Serving {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<usize>>,
}

impl Serving {
    async fn start(site: &TestSite, options: ServeOptions) -> Serving {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let task = tokio::spawn(serve_until(listener, site.server().router(), options, stopped));
        Serving { addr, stop, task }
    }

    /// How many connections were cut off.
    async fn stopped(self) -> usize {
        self.stop.send(()).unwrap();
        within(self.task).await.unwrap().unwrap()
    }
}

/// A connection that stays open between requests.
struct Connection(TcpStream);

impl Connection {
    async fn new(addr: SocketAddr) -> Connection {
        Connection(TcpStream::connect(addr).await.unwrap())
    }

    /// Requests one byte, and gives the response; `None` if the server has closed the connection.
    async fn ask(&mut self) -> Option<String> {
        within(self.answer()).await
    }

    async fn answer(&mut self) -> Option<String> {
        self.0.write_all(b"GET /a.txt HTTP/1.1\r\nhost: localhost\r\n\r\n").await.ok()?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\na") {
            let mut byte = [0];
            if !matches!(self.0.read(&mut byte).await, Ok(1)) {
                return None;
            }
            answer.push(byte[0]);
        }
        Some(String::from_utf8(answer).unwrap())
    }

    /// Waits until the server closes the connection, and gives the bytes before that.
    async fn closed(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = within(self.0.read_to_end(&mut rest)).await;
        rest
    }
}

async fn with(max_connections: usize) -> (TestSite, Serving) {
    let site = TestSite::new(&[("a.txt", b"a")]).await;
    let serving = Serving::start(&site, patient().max_connections(max_connections)).await;
    (site, serving)
}

#[tokio::test]
async fn an_idle_connection_lasts_as_long_as_it_may() {
    let site = TestSite::new(&[("a.txt", b"a")]).await;
    let short = Duration::from_millis(50);
    // The limit for the head of a request differs from the limit between two requests.
    let serving = Serving::start(&site, patient().header_timeout(short)).await;
    let mut silent = Connection::new(serving.addr).await;
    let mut idle = Connection::new(serving.addr).await;
    assert!(idle.ask().await.is_some());
    assert!(silent.closed().await.is_empty(), "nothing came in time");
    let mut silent = Connection::new(serving.addr).await;
    assert!(silent.closed().await.is_empty(), "as long once more");
    assert!(idle.ask().await.is_some(), "it was idle for longer than a head may take");
    let brief = Serving::start(&site, patient().keep_alive(short)).await;
    let mut idle = Connection::new(brief.addr).await;
    assert!(idle.ask().await.is_some());
    assert!(idle.closed().await.is_empty());
}

#[tokio::test]
async fn a_head_that_drips_is_not_waited_for() {
    let site = TestSite::new(&[("a.txt", b"a")]).await;
    let options = patient().header_timeout(Duration::from_millis(300));
    let serving = Serving::start(&site, options).await;
    let mut connection = Connection::new(serving.addr).await;
    assert!(connection.ask().await.is_some());
    // Each byte is in time, but the whole head is not. The loop ends when the server closes the connection.
    let ended = async {
        while connection.0.write_all(b"G").await.is_ok() {
            let read = tokio::time::timeout(Duration::from_millis(20), connection.0.read(&mut [0])).await;
            if let Ok(Ok(0) | Err(_)) = read {
                return;
            }
        }
    };
    within(ended).await;
}

#[tokio::test]
async fn idle_connections_give_way_the_longest_idle_first() {
    let (_site, serving) = with(4).await;
    let mut kept = Vec::new();
    for _ in 0..4 {
        let mut connection = Connection::new(serving.addr).await;
        assert!(connection.ask().await.is_some());
        kept.push(connection);
    }
    // The first connection is now the one that was used last.
    assert!(kept[0].ask().await.is_some());
    let mut newest = Connection::new(serving.addr).await;
    assert!(newest.ask().await.is_some());
    assert!(kept[1].closed().await.is_empty());
    for still in [0, 2, 3] {
        assert!(kept[still].ask().await.is_some(), "{still}");
    }
    assert!(newest.ask().await.is_some());
}

#[tokio::test]
async fn silent_and_half_asked_connections_give_way_too() {
    let (_site, serving) = with(2).await;
    let mut halves = Vec::new();
    for _ in 0..2 {
        let mut half = Connection::new(serving.addr).await;
        half.0.write_all(b"GET /a.txt HTTP/1.1\r\nhost: loc").await.unwrap();
        halves.push(half);
    }
    assert_eq!(get("/a.txt").send(serving.addr).await.text(), "a");
    halves.remove(0).closed().await;
    let mut silent = Connection::new(serving.addr).await;
    // The silent connection stays open while its request may be on its way.
    let mut others = Vec::new();
    let closed = tokio::spawn(async move { silent.closed().await });
    eventually(async || {
        let mut other = Connection::new(serving.addr).await;
        assert!(other.ask().await.is_some());
        others.push(other);
        closed.is_finished()
    })
    .await;
}

#[tokio::test]
async fn running_answers_do_not_give_way() {
    let bytes = random_bytes(1, 64 << 20);
    let site = TestSite::new(&[("a.txt", b"a"), ("big.bin", &bytes)]).await;
    let serving = Serving::start(&site, patient().max_connections(2)).await;
    let one = Slow::start(get("/big.bin"), serving.addr).await;
    let two = Slow::start(get("/big.bin"), serving.addr).await;
    // The request waits in the queue until one of them is done.
    let addr = serving.addr;
    let third = tokio::spawn(async move { get("/a.txt").send(addr).await });
    assert!(one.whole_answer().await.body == bytes);
    assert_eq!(within(third).await.unwrap().text(), "a");
    assert!(two.whole_answer().await.body == bytes);
}

#[tokio::test]
async fn a_stop_lets_answers_finish_and_closes_the_rest() {
    let bytes = random_bytes(1, 64 << 20);
    let site = TestSite::new(&[("a.txt", b"a"), ("big.bin", &bytes)]).await;
    let serving = Serving::start(&site, patient()).await;
    let addr = serving.addr;
    let reader = Slow::start(get("/big.bin"), addr).await;
    let (mut silent, mut idle) = (Connection::new(addr).await, Connection::new(addr).await);
    assert!(idle.ask().await.is_some());
    serving.stop.send(()).unwrap();
    assert!(idle.closed().await.is_empty() && silent.closed().await.is_empty());
    assert!(TcpStream::connect(addr).await.is_err(), "no new connections");
    assert!(reader.whole_answer().await.body == bytes);
    assert_eq!(within(serving.task).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_it_may() {
    let bytes = random_bytes(1, 64 << 20);
    let site = TestSite::new(&[("big.bin", &bytes)]).await;
    let serving = Serving::start(&site, patient().grace(Duration::from_millis(50))).await;
    let reader = Slow::start(get("/big.bin"), serving.addr).await;
    assert_eq!(serving.stopped().await, 1);
    assert!(reader.whole_answer().await.body.len() < bytes.len());
}

#[tokio::test]
async fn what_was_sent_before_the_stop_is_answered() {
    let (_site, serving) = with(1024).await;
    let addr = serving.addr;
    let mut idle = Connection::new(addr).await;
    assert!(idle.ask().await.is_some());
    // On one thread, the server has not seen these connections when it is told to stop.
    let request = b"GET /a.txt HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let new = std::net::TcpStream::connect(addr).unwrap();
    std::io::Write::write_all(&mut &new, request).unwrap();
    idle.0.try_write(request).unwrap();
    assert_eq!(serving.stopped().await, 0);
    let answer = idle.closed().await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    assert!(String::from_utf8_lossy(&answer).contains("connection: close"));
    new.set_nonblocking(true).unwrap();
    let answer = Connection(TcpStream::from_std(new).unwrap()).closed().await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_poll_does_not_hold_up_a_stop() {
    let site = TestSite::new(&[("a.txt", b"a")]).await;
    let serving = Serving::start(&site, patient()).await;
    let head = get("/a.txt.driblet/head").send(serving.addr).await.json();
    let addr = serving.addr;
    let mut poll = TcpStream::connect(addr).await.unwrap();
    let path = format!("/a.txt.driblet/head?since={}&wait=60", head["counter"]);
    poll.write_all(&get(&path).bytes(addr)).await.unwrap();
    // Requests are answered in order, so the poll waits already when this request is answered.
    assert_eq!(get("/a.txt").send(addr).await.text(), "a");
    assert_eq!(serving.stopped().await, 0);
    let mut answer = Vec::new();
    let _ = within(poll.read_to_end(&mut answer)).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_dropped_server_closes_everything() {
    let bytes = random_bytes(1, 64 << 20);
    let site = TestSite::new(&[("a.txt", b"a"), ("big.bin", &bytes)]).await;
    let serving = Serving::start(&site, patient()).await;
    let reader = Slow::start(get("/big.bin"), serving.addr).await;
    let mut idle = Connection::new(serving.addr).await;
    assert!(idle.ask().await.is_some());
    serving.task.abort();
    assert!(within(serving.task).await.unwrap_err().is_cancelled());
    idle.closed().await;
    assert!(reader.whole_answer().await.body.len() < bytes.len());
}
