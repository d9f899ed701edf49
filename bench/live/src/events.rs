//! Finds in the bytes of a stream what a receiver must know.

/// No line that matters is longer.
const LONGEST: usize = 80;

/// Reads a stream of events line by line. The lines of HTTP's chunks are no fields of events.
#[derive(Default)]
pub(crate) struct Events {
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    is_head: bool,
    is_alive: bool,
    /// The last `retry`, in milliseconds.
    pub(crate) retry: Option<u64>,
    /// The last `id`.
    pub(crate) id: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Head,
    Alive,
}

impl Events {
    /// Takes bytes of the stream. Calls `tell` with each event that is whole.
    pub(crate) fn take(&mut self, bytes: &[u8], mut tell: impl FnMut(Event)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, is_whole) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let most = text.len().min(LONGEST - self.line.len());
            self.line.extend_from_slice(&text[..most]);
            if is_whole {
                self.end_line().into_iter().for_each(&mut tell);
                self.line.clear();
            }
        }
    }

    fn end_line(&mut self) -> Option<Event> {
        match self.line.as_slice() {
            b"event: head" => self.is_head = true,
            b"event: alive" => self.is_alive = true,
            b"" if self.is_head || self.is_alive => {
                let event = if self.is_head { Event::Head } else { Event::Alive };
                (self.is_head, self.is_alive) = (false, false);
                return Some(event);
            }
            line => match std::str::from_utf8(line).unwrap_or_default().split_once(": ") {
                Some(("retry", number)) => self.retry = number.parse().ok().or(self.retry),
                Some(("id", id)) => id.clone_into(&mut self.id),
                _ => {}
            },
        }
        None
    }
}
