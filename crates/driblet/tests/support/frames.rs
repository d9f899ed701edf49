//! The frames of HTTP/2, written by hand (RFC 9113, section 6).
#![allow(dead_code)]

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const ACK: u8 = 1;

/// Settings: how much of each stream the server may send unasked.
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

/// The error code of clients that do harm.
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// What a client sends first.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// The kind, the flags and the stream of a frame, and the length of its payload, from its first 9 bytes.
pub(crate) fn head_of(bytes: [u8; 9]) -> (Frame, usize) {
    let len = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
    let stream = u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]);
    (Frame { kind: bytes[3], flags: bytes[4], stream, payload: Vec::new() }, len)
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The first bytes of a connection with these settings.
pub(crate) fn opening(settings: &[(u16, u32)]) -> Vec<u8> {
    let one = |(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()[..]].concat();
    let payload: Vec<u8> = settings.iter().flat_map(one).collect();
    [PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat()
}

/// The head of a request (RFC 7541): entries of the static table, and two literals.
pub(crate) fn request(path: &str) -> Vec<u8> {
    request_by(0x82, path)
}

/// The head of a POST.
pub(crate) fn post(path: &str) -> Vec<u8> {
    request_by(0x83, path)
}

fn request_by(method: u8, path: &str) -> Vec<u8> {
    let literal = |index: u8, text: &str| [&[index], &integer(7, text.len())[..], text.as_bytes()].concat();
    // :method, :scheme http, :path, :authority
    [vec![method, 0x86], literal(0x04, path), literal(0x01, "localhost")].concat()
}

/// A header field as a literal: added to the table of the connection, or not.
pub(crate) fn field(name: &str, value: &[u8], is_indexed: bool) -> Vec<u8> {
    let first = if is_indexed { 0x40 } else { 0x00 };
    [&[first], &integer(7, name.len())[..], name.as_bytes(), &integer(7, value.len()), value].concat()
}

/// A number whose first byte has `bits` bits for it (RFC 7541, section 5.1).
fn integer(bits: u32, number: usize) -> Vec<u8> {
    let most = (1 << bits) - 1;
    if number < most {
        return vec![number as u8];
    }
    let (mut bytes, mut left) = (vec![most as u8], number - most);
    while 128 <= left {
        bytes.push((left % 128) as u8 | 128);
        left /= 128;
    }
    bytes.push(left as u8);
    bytes
}
