//! Responses that carry bytes: conditions, ranges, HEAD, and bodies that hold one piece at a time.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use headers::{AcceptRanges, ContentLength, ContentRange, ETag, HeaderMapExt, IfNoneMatch};
use http_range_header::parse_range_header;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};

use super::conditions::{self, Modified, Outcome};
use super::problem::Problem;
use crate::artifacts::{Content, Growing};
use crate::history::StoredVersion;
use crate::publisher::PublishError;
use crate::task::blocking;

/// Bytes of a file that one connection holds in memory.
const PIECE: u64 = 128 << 10;
/// The first piece; each further one is twice as long. A client that takes nothing, of a hundred answers on one
/// connection, makes each hold only this.
const FIRST_PIECE: u64 = 16 << 10;

/// A representation of a resource (RFC 9110, section 3.2).
pub(super) struct Representation {
    pub(super) content: Content,
    /// Without its quotes.
    pub(super) etag: String,
    pub(super) media_type: String,
    pub(super) caching: &'static str,
    pub(super) coding: Option<&'static str>,
    /// When the file was last modified, for a file.
    pub(super) modified: Option<Modified>,
}

impl Representation {
    /// The response that a request's method and headers ask for: the whole, a part, the head only, or "not modified".
    pub(super) fn response(self, method: &Method, request: &HeaderMap) -> Result<Response, Problem> {
        let etag: ETag = format!("\"{}\"", self.etag).parse().map_err(|_| failed())?;
        let mut headers = HeaderMap::new();
        headers.typed_insert(etag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.caching));
        match conditions::evaluate(request, &etag, self.modified) {
            Outcome::Answer => {}
            // A stream, so that axum states no length: a cache might take a length of 0 for the file's.
            Outcome::NotModified => {
                let nothing = Body::from_stream(stream::empty::<io::Result<Bytes>>());
                return Ok((StatusCode::NOT_MODIFIED, headers, nothing).into_response());
            }
            Outcome::Failed(condition) => return Err(Problem::precondition(condition, &self.etag)),
        }
        if let Some(modified) = self.modified {
            headers.typed_insert(modified.header());
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::try_from(&self.media_type).map_err(|_| failed())?);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        match self.coding {
            Some(coding) => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
            }
            None => headers.typed_insert(AcceptRanges::bytes()),
        }
        let len = self.content.len();
        // Only a GET has ranges (RFC 9110, section 14.2).
        let has_parts = self.coding.is_none() && method == Method::GET;
        let part = match len.filter(|_| has_parts) {
            Some(len) => wanted_part(request, &etag, self.modified, len)?,
            None => None,
        };
        let mut status = StatusCode::OK;
        if let (Some(part), Some(len)) = (&part, len) {
            headers.typed_insert(ContentRange::bytes(part.clone(), len).map_err(|_| failed())?);
            status = StatusCode::PARTIAL_CONTENT;
        }
        let part = part.unwrap_or(0..len.unwrap_or(u64::MAX));
        // Content that is still being made is sent without a length.
        if len.is_some() {
            headers.typed_insert(ContentLength(part.end - part.start));
        }
        let body = match (method == Method::HEAD, len) {
            (true, Some(_)) => Body::empty(),
            // A stream, so that axum does not state a length of 0.
            (true, None) => Body::from_stream(stream::empty::<io::Result<Bytes>>()),
            (false, _) => body(self.content, part),
        };
        Ok((status, headers, body).into_response())
    }
}

/// Whether the client says that it holds the bytes of this ETag, so that the response has no body.
pub(super) fn is_held(request: &HeaderMap, etag: &str) -> bool {
    let Ok(etag) = format!("\"{etag}\"").parse() else { return false };
    request.typed_get::<IfNoneMatch>().is_some_and(|condition| !condition.precondition_passes(&etag))
}

/// The range that a request asks for, if it gets a partial response. A request for several ranges, or with a malformed
/// one, gets the whole, as RFC 9110 allows.
fn wanted_part(
    request: &HeaderMap,
    etag: &ETag,
    modified: Option<Modified>,
    len: u64,
) -> Result<Option<Range<u64>>, Problem> {
    let asked = request.get(header::RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let ranges = parse_range_header(asked).ok().filter(|ranges| ranges.len() == 1);
    let Some(ranges) = ranges.filter(|_| conditions::range_applies(request, etag, modified)) else { return Ok(None) };
    let satisfied = ranges.validate(len).map_err(|_| {
        let detail = format!("The range {asked:?} lies outside the {len} bytes.");
        let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "bad-range", detail);
        problem.with_header(header::CONTENT_RANGE, format!("bytes */{len}"))
    })?;
    // The end of an empty file has no bytes.
    Ok(satisfied.first().map(|part| *part.start()..part.end() + 1))
}

fn body(content: Content, part: Range<u64>) -> Body {
    match content {
        Content::Memory(bytes) => Body::from(bytes.slice(part.start as usize..part.end as usize)),
        Content::File(file, _) => {
            let pieces = stream::unfold((part, FIRST_PIECE), move |(left, most)| next_piece(file.clone(), left, most));
            Body::from_stream(pieces)
        }
        Content::Growing(growing) => {
            let pieces = stream::unfold(part, move |left| next_grown(growing.clone(), left));
            Body::from_stream(pieces)
        }
        // It is only used for responses without a body. A body breaks off, so that no client takes it for an empty
        // file.
        Content::Unmade => {
            Body::from_stream(stream::iter([Err::<Bytes, _>(io::Error::other("the content is not made"))]))
        }
    }
}

/// The next piece of content that may still be being made; `None` at the end.
async fn next_grown(growing: Growing, left: Range<u64>) -> Option<(io::Result<Bytes>, Range<u64>)> {
    let most = PIECE.min(left.end - left.start) as usize;
    if most == 0 {
        return None;
    }
    match growing.piece(left.start, most).await {
        Ok(piece) if piece.is_empty() => None,
        Ok(piece) => {
            let after = left.start + piece.len() as u64..left.end;
            Some((Ok(piece), after))
        }
        // The response breaks off, so that no client takes it for complete.
        Err(error) => Some((Err(io::Error::other(error)), left.end..left.end)),
    }
}

async fn next_piece(file: Arc<File>, left: Range<u64>, most: u64) -> Option<(io::Result<Bytes>, (Range<u64>, u64))> {
    if left.is_empty() {
        return None;
    }
    let len = most.min(left.end - left.start) as usize;
    let piece = match read_from_memory(&file, left.start, len) {
        Some(piece) => Ok(piece),
        None => {
            let read = move || {
                let mut piece = vec![0; len];
                file.read_exact_at(&mut piece, left.start).map(|()| Bytes::from(piece))
            };
            blocking(read).await
        }
    };
    let after = piece.as_ref().map_or(left.end, |piece| left.start + piece.len() as u64)..left.end;
    Some((piece, (after, PIECE.min(2 * most))))
}

/// Reads what the system has in memory, which takes less time than another thread needs to begin. `None` if it must read
/// the disk, or cannot tell.
#[cfg(target_os = "linux")]
fn read_from_memory(file: &File, at: u64, len: usize) -> Option<Bytes> {
    let mut piece = vec![0; len];
    let bufs = &mut [io::IoSliceMut::new(&mut piece)];
    let read = rustix::io::preadv2(file, bufs, at, rustix::io::ReadWriteFlags::NOWAIT).ok().filter(|read| 0 < *read)?;
    piece.truncate(read);
    Some(piece.into())
}

#[cfg(not(target_os = "linux"))]
fn read_from_memory(_: &File, _: u64, _: usize) -> Option<Bytes> {
    None
}

fn failed() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "The server cannot write the headers of this response.")
}

/// The bytes of a version.
pub(super) fn of_version(stored: &Arc<StoredVersion>) -> Result<Content, Problem> {
    Ok(match stored.in_memory() {
        Some(bytes) => Content::Memory(bytes),
        None => Content::File(stored.file().map_err(PublishError::from)?, stored.len),
    })
}

/// All bytes of content whose length is known, without headers for caches.
pub(super) fn whole(content: Content, method: &Method) -> Response {
    let len = content.len().unwrap_or_default();
    let body = if method == Method::HEAD { Body::empty() } else { body(content, 0..len) };
    let mut response = body.into_response();
    response.headers_mut().typed_insert(ContentLength(len));
    response
}

/// Bytes in memory, followed by content.
pub(super) fn joined(start: Vec<u8>, rest: Content, media_type: &'static str, caching: &'static str) -> Response {
    let len = rest.len().map(|len| start.len() as u64 + len);
    let part = 0..rest.len().unwrap_or(u64::MAX);
    let start = stream::iter((!start.is_empty()).then(|| Ok::<_, axum::Error>(Bytes::from(start))));
    let stream = futures_util::StreamExt::chain(start, body(rest, part).into_data_stream());
    let headers = [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, caching)];
    let mut response = (headers, Body::from_stream(stream)).into_response();
    if let Some(len) = len {
        response.headers_mut().typed_insert(ContentLength(len));
    }
    response
}
