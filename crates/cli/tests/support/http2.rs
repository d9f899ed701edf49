use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::frames::{ACK, Frame, GOAWAY, PING, SETTINGS, WINDOW_UPDATE, frame, head_of, opening};
use super::wait::LIMIT;

/// A connection that speaks HTTP/2 frame by frame.
pub(crate) struct Http2 {
    pub(crate) stream: TcpStream,
}

impl Http2 {
    pub(crate) fn begin(mut stream: TcpStream, settings: &[(u16, u32)]) -> Http2 {
        stream.write_all(&opening(settings)).unwrap();
        Http2 { stream }
    }

    /// Waits for the settings and the window of the server, and agrees to them.
    pub(crate) fn agree(&mut self) {
        while self.next().expect("the connection stays open").kind != SETTINGS {}
        self.stream.write_all(&frame(SETTINGS, ACK, 0, &[])).unwrap();
        while self.next().expect("the connection stays open").kind != WINDOW_UPDATE {}
    }

    /// The next frame; `None` if the server has closed the connection.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).ok()?;
        let (mut frame, len) = head_of(head);
        frame.payload = vec![0; len];
        self.stream.read_exact(&mut frame.payload).ok()?;
        Some(frame)
    }

    /// Reads until the server closes the connection. Gives the reason that it states.
    pub(crate) fn closed(&mut self) -> Option<u32> {
        let mut reason = None;
        while let Some(Frame { kind, payload, .. }) = self.next() {
            if kind == GOAWAY {
                reason = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
        reason
    }

    /// Waits until the server has read all that was sent, by a ping. Gives the frames before its answer; `None` if the
    /// server has closed the connection.
    pub(crate) fn settled(&mut self) -> Option<Vec<Frame>> {
        let mark = *b"settled?";
        self.stream.write_all(&frame(PING, 0, 0, &mark)).ok()?;
        let mut before = Vec::new();
        loop {
            let frame = self.next()?;
            if frame.kind == PING && frame.flags & ACK != 0 && frame.payload == mark {
                return Some(before);
            }
            before.push(frame);
        }
    }

    /// Sends these bytes again and again, and reads nothing. An error if the server closes the connection, or takes
    /// nothing more for a second.
    pub(crate) fn flood(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.set_write_timeout(Some(Duration::from_secs(1)))?;
        let begin = Instant::now();
        while begin.elapsed() < LIMIT {
            self.stream.write_all(bytes)?;
        }
        Ok(())
    }
}
