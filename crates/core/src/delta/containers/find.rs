//! Finds the streams of a file.

use std::ops::Range;

use base64::Engine;

use super::packing::{Deflater, base64, inflate};
use super::stream::{Form, Zlib};
use super::symbols;
use super::text::Text;

/// The fewest characters of base64 that are looked through. Shorter runs are often other words.
const LEAST_BASE64: usize = 512;
/// The fewest bytes of a deflate stream that is looked through.
const LEAST_DEFLATED: usize = 64;
/// How many bytes are inflated in vain at most for each byte of a file. Each byte of a hostile one could begin a stream
/// that fails at the file's end.
const WORK: usize = 8;
/// What each vain try counts for, besides the bytes that it makes.
const TRY: usize = 256;
/// How much of a stream's content shows whether zlib may have made it with some level.
const SAMPLE: usize = 128 << 10;
/// The levels that are tried, the most frequent first.
const LEVELS: [u32; 9] = [6, 9, 8, 7, 5, 4, 3, 1, 2];
/// log2 of the window's length, where the stream does not say it.
const WINDOW_BITS: u8 = 15;

/// A stream, and what it encodes.
pub(super) struct Found {
    pub(super) range: Range<usize>,
    pub(super) form: Form,
    pub(super) content: Vec<u8>,
    /// log2 of the window with which zlib may have made it.
    pub(super) window_bits: u8,
}

/// The streams of a file, in their order, with at most `limit` bytes of content.
pub(super) fn streams(file: &[u8], limit: usize) -> Vec<Found> {
    let (mut found, mut at, mut left) = (Vec::new(), 0, limit);
    let (mut run_end, mut work) = (0, WORK * file.len());
    while at < file.len() {
        let deflated = deflate_at(file, at).filter(|_| 0 < work);
        let tried = deflated.map(|(start, window_bits)| inflated(file, start, left, window_bits, &mut work));
        let stream = match tried.flatten() {
            Some(stream) => Some(stream),
            None if 0 < work && Text::is_module_at(file, at) => module(file, at, &mut work),
            // A run was looked at at its begin.
            None if run_end <= at && alphabet_of(file[at]).is_some() => {
                let (run, url) = base64_run(file, at);
                run_end = run.end;
                decoded(file, run, url)
            }
            None => None,
        };
        let Some(stream) = stream.filter(|stream| stream.content.len() <= left) else {
            at += 1;
            continue;
        };
        left -= stream.content.len();
        at = stream.range.end;
        found.push(stream);
    }
    found
}

/// Where a deflate stream begins whose container begins at `at`, and the window's length that the container names.
fn deflate_at(file: &[u8], at: usize) -> Option<(usize, u8)> {
    let head = &file[at..];
    match *head.first_chunk::<4>()? {
        // The local header of a zip file's member: 8 is deflate.
        [b'P', b'K', 3, 4] => {
            let header = head.first_chunk::<30>()?;
            let number = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
            (number(8) == 8).then(|| (at + 30 + number(26) + number(28), WINDOW_BITS))
        }
        // RFC 1952.
        [0x1f, 0x8b, 8, flags] => gzip_header(head, flags).map(|len| (at + len, WINDOW_BITS)),
        // RFC 1950, without a dictionary.
        [method, flags, ..] if method & 15 == 8 && method >> 4 < 8 && flags & 0x20 == 0 => {
            let is_header = (u16::from(method) << 8 | u16::from(flags)).is_multiple_of(31);
            is_header.then_some((at + 2, (8 + (method >> 4)).max(9)))
        }
        _ => None,
    }
}

fn gzip_header(head: &[u8], flags: u8) -> Option<usize> {
    const HAS_CHECKSUM: u8 = 2;
    const HAS_MORE: u8 = 4;
    let mut at = 10;
    if flags & HAS_MORE != 0 {
        let len = head.get(at..at + 2)?;
        at += 2 + usize::from(u16::from_le_bytes([len[0], len[1]]));
    }
    // The file's name, and a comment.
    for flag in [8, 16] {
        if flags & flag != 0 {
            at += head.get(at..)?.iter().position(|byte| *byte == 0)? + 1;
        }
    }
    if flags & HAS_CHECKSUM != 0 {
        at += 2;
    }
    Some(at)
}

fn inflated(file: &[u8], start: usize, limit: usize, window_bits: u8, work: &mut usize) -> Option<Found> {
    let mut content = Vec::new();
    let Some((read, _)) = inflate(file.get(start..)?, limit, &mut content) else {
        *work = work.saturating_sub(TRY + content.len());
        return None;
    };
    let found = Found { range: start..start + read, form: Form::Deflate { zlib: None }, content, window_bits };
    (LEAST_DEFLATED <= read && !found.content.is_empty()).then_some(found)
}

/// A module that is the text of a string.
fn module(file: &[u8], start: usize, work: &mut usize) -> Option<Found> {
    let Some((len, text, content)) = Text::string_at(file, start) else {
        // The string may have no end.
        *work = work.saturating_sub(file.len() - start);
        return None;
    };
    Some(Found { range: start..start + len, form: Form::Text(text), content, window_bits: WINDOW_BITS })
}

/// Whether a character is one of both alphabets (`Some(None)`), or only of the one or the other.
fn alphabet_of(byte: u8) -> Option<Option<bool>> {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => Some(None),
        b'+' | b'/' => Some(Some(false)),
        b'-' | b'_' => Some(Some(true)),
        _ => None,
    }
}

/// The longest run of characters of one alphabet, and whether that is the one for URLs.
fn base64_run(file: &[u8], start: usize) -> (Range<usize>, bool) {
    let (mut url, mut end) = (None, start);
    for byte in &file[start..] {
        match alphabet_of(*byte) {
            Some(None) => {}
            Some(Some(this)) if url.is_none_or(|url| url == this) => url = Some(this),
            _ => break,
        }
        end += 1;
    }
    (start..end, url.unwrap_or(false))
}

fn decoded(file: &[u8], run: Range<usize>, url: bool) -> Option<Found> {
    if run.len() < LEAST_BASE64 {
        return None;
    }
    let padding = file[run.end..].iter().take(2).take_while(|byte| **byte == b'=').count();
    // Without padding, the run may go on with a character or more of something else.
    let whole = run.end - run.len() % 4;
    [(true, run.end + padding), (false, run.end), (false, whole)].into_iter().find_map(|(padded, end)| {
        let content = base64(url, padded).decode(&file[run.start..end]).ok()?;
        Some(Found { range: run.start..end, form: Form::Base64 { url }, content, window_bits: WINDOW_BITS })
    })
}

/// A stream of deflate as its symbols; `None` if these do not say it all, or take more than `limit` bytes.
pub(super) fn symbols_of(file: &[u8], found: &Found, limit: usize) -> Option<Found> {
    let (packed, len) = (&file[found.range.clone()], found.content.len());
    let mut content = Vec::with_capacity(2 * len);
    let (read, plain) = symbols::read(packed, len, &mut content)?;
    let is_whole = read == packed.len() && plain == len && content.len() <= limit;
    let is_same = is_whole && symbols::write(&content, plain, packed.len()).is_some_and(|made| made == packed);
    is_same.then(|| Found { range: found.range.clone(), form: Form::Symbols { plain }, content, ..*found })
}

/// The parameters with which zlib makes just this stream.
pub(super) fn zlib_of(packed: &[u8], found: &Found, deflater: &mut Deflater) -> Option<Zlib> {
    let sample = &found.content[..found.content.len().min(SAMPLE)];
    let is_like = |zlib: &Zlib, deflater: &mut Deflater| {
        sample.len() == found.content.len()
            || deflater.begin(*zlib, sample).is_some_and(|made| packed.starts_with(&made))
    };
    let candidates = LEVELS.map(|level| Zlib { level, window_bits: found.window_bits });
    candidates.into_iter().find(|zlib| {
        is_like(zlib, deflater)
            && deflater.deflate(*zlib, &found.content, packed.len()).is_some_and(|made| made == packed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::random_bytes;

    /// Without a limit of work this takes hours.
    #[test]
    fn streams_that_all_fail_at_the_end_are_given_up() {
        // Stored blocks, each of which ends with a header whose stream goes on with the next block.
        let mut file = Vec::new();
        while file.len() < 4 << 20 {
            file.extend_from_slice(&[0, 62, 0, !62, !0]);
            file.extend_from_slice(&[b'x'; 60]);
            file.extend_from_slice(&[0x78, 0x01]);
        }
        assert!(streams(&file, 64 << 20).is_empty());
        // Each of these could be a string that does not end.
        assert!(streams(&b"\"\0asm\\".repeat(1 << 20), 64 << 20).is_empty());
        // What comes first is still found.
        let text = random_bytes(1, 5_000).iter().map(|byte| byte % 16).collect::<Vec<u8>>();
        let packed = miniz_oxide::deflate::compress_to_vec_zlib(&text, 6);
        let found = streams(&[packed, file].concat(), 64 << 20);
        assert!(found.len() == 1 && found[0].content == text);
    }
}
