//! Parses streams of Server-Sent Events, as the HTML standard says.

use std::collections::VecDeque;

/// The longest event that is taken, in bytes without line ends.
const MAX_EVENT: usize = 128 << 10;
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// An event with data.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Event {
    pub(super) name: String,
    /// The last id of the stream so far; empty if there was none.
    pub(super) id: String,
    pub(super) data: String,
}

/// An event is longer than this client takes.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct EventTooLong;

/// The state of one stream. **After each [`handle_input`](EventStream::handle_input), poll until `None`.**
#[derive(Default)]
pub(super) struct EventStream {
    /// The bytes of a line that has not ended.
    line: Vec<u8>,
    has_line: bool,
    /// Whether the last byte was a carriage return. A line feed after it belongs to the same line end.
    after_return: bool,
    name: Option<String>,
    data: Option<String>,
    /// The bytes of the event so far.
    len: usize,
    id: String,
    retry: Option<u64>,
    events: VecDeque<Event>,
}

impl EventStream {
    /// Takes bytes of the stream, cut anywhere.
    pub(super) fn handle_input(&mut self, mut bytes: &[u8]) -> Result<(), EventTooLong> {
        while let Some((&first, rest)) = bytes.split_first() {
            if std::mem::take(&mut self.after_return) && first == b'\n' {
                bytes = rest;
                continue;
            }
            let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            self.len += piece.len();
            if MAX_EVENT < self.len {
                return Err(EventTooLong);
            }
            self.line.extend_from_slice(piece);
            bytes = rest;
            if let Some((end, rest)) = rest.split_first() {
                self.after_return = *end == b'\r';
                bytes = rest;
                self.end_line();
            }
        }
        Ok(())
    }

    /// The next event that is complete.
    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The last `retry` of the stream, in milliseconds.
    pub(super) fn retry(&self) -> Option<u64> {
        self.retry
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let is_first = !std::mem::replace(&mut self.has_line, true);
        let text = if is_first { line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&line) } else { &line };
        if text.is_empty() {
            let (name, data) = (self.name.take(), self.data.take());
            self.len = 0;
            if let Some(data) = data {
                let name = name.unwrap_or_else(|| "message".to_owned());
                self.events.push_back(Event { name, id: self.id.clone(), data });
            }
            return;
        }
        self.handle_field(&String::from_utf8_lossy(text));
    }

    fn handle_field(&mut self, line: &str) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => self.name = Some(value.to_owned()),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.id = value.to_owned(),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry = Some(value.parse().unwrap_or(u64::MAX));
            }
            // A comment has no name.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::examples::{examples, text};
    use super::*;

    /// The bytes of a piece of an example.
    fn bytes(piece: &Value) -> Vec<u8> {
        match piece.as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => text(&piece["text"]).repeat(piece["times"].as_u64().unwrap() as usize).into_bytes(),
        }
    }

    /// The events of a stream, and the last `retry`.
    fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<Event>, Option<u64>), EventTooLong> {
        let (mut stream, mut events) = (EventStream::default(), Vec::new());
        for piece in pieces {
            stream.handle_input(piece)?;
            while let Some(event) = stream.poll_event() {
                events.push(event);
            }
        }
        Ok((events, stream.retry()))
    }

    #[test]
    fn the_examples_cut_as_they_are_and_everywhere() {
        for example in examples("streams") {
            let name = text(&example["name"]);
            let pieces: Vec<Vec<u8>> = example["pieces"].as_array().unwrap().iter().map(bytes).collect();
            let whole = pieces.concat();
            let event = |event: &Value| Event {
                name: text(&event["event"]).to_owned(),
                id: text(&event["id"]).to_owned(),
                data: text(&event["data"]).to_owned(),
            };
            let expected = match example.get("error") {
                Some(error) => {
                    assert_eq!(error, "too-long");
                    Err(EventTooLong)
                }
                None => {
                    let events = example["events"].as_array().unwrap().iter().map(event).collect();
                    Ok((events, example["retry"].as_u64()))
                }
            };
            assert_eq!(parse(pieces.iter().map(Vec::as_slice)), expected, "{name}");
            assert_eq!(parse([&whole[..]]), expected, "{name}, whole");
            assert_eq!(parse(whole.chunks(1)), expected, "{name}, byte by byte");
        }
    }

    #[test]
    fn bytes_that_are_no_text_and_numbers_without_an_end() {
        let (events, retry) = parse([&b"data: \xff\xfe\nretry: 99999999999999999999999\n\n"[..]]).unwrap();
        assert_eq!((events[0].data.as_str(), retry), ("\u{fffd}\u{fffd}", Some(u64::MAX)));
    }
}
