//! Streams over HTTP/1.1, each on a connection of its own, by receivers that follow spec/live.md, section 3.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use crate::board::Board;
use crate::events::{Event, Events};
use crate::{AT_A_TIME, Place, connect};

/// The longest wait before the second attempt, and before any later one, if the server named no longer one.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(8);
/// Longer than the events that are measured.
const PIECE: usize = 4 << 10;

/// Opens the streams. Each comes back after its end.
pub(crate) fn open(place: &Place, count: usize, board: &Arc<Board>) {
    let permits = Arc::new(Semaphore::new(AT_A_TIME));
    for number in 0..count {
        let (place, permits) = (place.clone(), permits.clone());
        let receiver =
            Receiver { place, board: board.clone(), keeps_bytes: number == 0, id: String::new(), retry: None };
        tokio::spawn(async move { receiver.run(permits.acquire_owned().await.ok()).await });
    }
}

struct Receiver {
    place: Place,
    board: Arc<Board>,
    /// Whether the board gets the bytes that it reads.
    keeps_bytes: bool,
    /// The head that it knows.
    id: String,
    /// The last `retry`.
    retry: Option<Duration>,
}

impl Receiver {
    async fn run(mut self, mut permit: Option<OwnedSemaphorePermit>) {
        let mut longest = None;
        loop {
            let has_begun = self.stream(permit.take()).await.is_ok_and(|has_begun| has_begun);
            let pause = if has_begun {
                longest = None;
                self.retry.unwrap_or_else(|| part_of(FIRST))
            } else {
                self.board.note(|seen| seen.failed += 1);
                let first = self.retry.map_or(FIRST, |retry| FIRST.max(2 * retry));
                let next = longest.map_or(first, |before: Duration| (2 * before).min(first.max(LONGEST)));
                longest = Some(next);
                part_of(next)
            };
            sleep(pause).await;
        }
    }

    /// Reads one stream to its end. Gives whether it began.
    async fn stream(&mut self, mut permit: Option<OwnedSemaphorePermit>) -> io::Result<bool> {
        let mut connection = connect(&self.place).await?;
        self.board.note(|seen| seen.connected.push(Instant::now()));
        let Place { address, path } = &self.place;
        let request = format!("GET {path}?since={} HTTP/1.1\r\nHost: {address}\r\n\r\n", self.id);
        connection.write_all(request.as_bytes()).await?;
        let (mut events, mut read) = (Events::default(), Vec::new());
        let (mut is_answered, mut has_begun) = (false, false);
        loop {
            connection.readable().await?;
            let mut piece = [0; PIECE];
            let len = match connection.try_read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                len => len?,
            };
            if len == 0 || (!is_answered && !piece.starts_with(b"HTTP/1.1 200 ")) {
                return Ok(has_begun);
            }
            is_answered = true;
            if self.keeps_bytes {
                read.extend_from_slice(&piece[..len]);
            }
            let now = Instant::now();
            events.take(&piece[..len], |event| {
                self.board.note(|seen| match event {
                    _ if !has_begun => seen.began.push(now),
                    Event::Head => {
                        seen.heads.push(now);
                        seen.bytes.extend_from_slice(&read);
                    }
                    Event::Alive => {}
                });
                has_begun = true;
                permit = None;
                read.clear();
            });
            self.retry = events.retry.map(Duration::from_millis).or(self.retry);
            self.id.clone_from(&events.id);
        }
    }
}

/// A random part of a time.
fn part_of(time: Duration) -> Duration {
    time.mul_f64(fastrand::f64())
}
