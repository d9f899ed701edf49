//! Bytes as an HTTP answer: conditions, ranges, HEAD, and a body that holds one piece at a time.

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
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode};

use super::conditions::{self, Modified, Outcome};
use super::problem::Problem;
use crate::artifacts::{Content, Growing};

/// Bytes of a file that one connection holds at once.
const PIECE: u64 = 128 << 10;

/// What to answer with.
pub(crate) struct Answer {
    pub(crate) content: Content,
    /// Without its quotes.
    pub(crate) etag: String,
    pub(crate) media_type: String,
    pub(crate) caching: &'static str,
    pub(crate) coding: Option<&'static str>,
    /// When the file was last modified, for what is a file.
    pub(crate) modified: Option<Modified>,
}

impl Answer {
    /// The answer as these request headers want it: whole, a part, only the head, or "not modified".
    pub(crate) fn response(self, method: &Method, request: &HeaderMap) -> Result<Response, Problem> {
        let etag: ETag = format!("\"{}\"", self.etag).parse().map_err(|_| failed())?;
        let mut headers = HeaderMap::new();
        headers.typed_insert(etag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(self.caching));
        match conditions::evaluate(request, &etag, self.modified) {
            Outcome::Answer => {}
            // Of no length that axum could state: it would say 0, and a cache might take that for the file's.
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
        // Range means nothing but with GET (RFC 9110, section 14.2).
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
        // What is still being made flows without one.
        if len.is_some() {
            headers.typed_insert(ContentLength(part.end - part.start));
        }
        let body = match (method == Method::HEAD, len) {
            (true, Some(_)) => Body::empty(),
            // One whose length is not known, or it would be said to be 0.
            (true, None) => Body::from_stream(stream::empty::<io::Result<Bytes>>()),
            (false, _) => body(self.content, part),
        };
        Ok((status, headers, body).into_response())
    }
}

/// Whether the request says that it holds the bytes of this ETag, so that it is answered without a body.
pub(crate) fn is_held(request: &HeaderMap, etag: &str) -> bool {
    let Ok(etag) = format!("\"{etag}\"").parse() else { return false };
    request.typed_get::<IfNoneMatch>().is_some_and(|condition| !condition.precondition_passes(&etag))
}

/// The one range asked for, if it may be answered in part. Several ranges, or what is none, are answered with the whole, as RFC 9110 allows.
fn wanted_part(
    request: &HeaderMap,
    etag: &ETag,
    modified: Option<Modified>,
    len: u64,
) -> Result<Option<Range<u64>>, Problem> {
    let asked = request.get(header::RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some(range) = parse_range(asked) else { return Ok(None) };
    if !conditions::is_range_meant(request, etag, modified) {
        return Ok(None);
    }
    let part = match range {
        (Some(start), end) => start..end.map_or(len, |end| end.saturating_add(1).min(len)),
        (None, end) => len - end.unwrap_or(0).min(len)..len,
    };
    if part.start < part.end {
        return Ok(Some(part));
    }
    let detail = format!("The range {asked:?} lies outside the {len} bytes.");
    let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "bad-range", detail);
    Err(problem.with_header(header::CONTENT_RANGE, format!("bytes */{len}")))
}

/// One range of RFC 9110, section 14.1.2: first and last byte, or how many from the end.
fn parse_range(text: &str) -> Option<(Option<u64>, Option<u64>)> {
    let (unit, range) = text.split_once('=')?;
    let (first, last) = range.trim().split_once('-').filter(|_| unit.eq_ignore_ascii_case("bytes"))?;
    let number = |digits: &str| match digits {
        "" => Some(None),
        _ if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    };
    match (number(first)?, number(last)?) {
        (None, None) => None,
        (Some(first), Some(last)) if last < first => None,
        range => Some(range),
    }
}

fn body(content: Content, part: Range<u64>) -> Body {
    match content {
        Content::Memory(bytes) => Body::from(bytes.slice(part.start as usize..part.end as usize)),
        Content::File(file, _) => {
            let pieces = stream::unfold(part, move |left| next_piece(file.clone(), left));
            Body::from_stream(pieces)
        }
        Content::Growing(growing) => {
            let pieces = stream::unfold(part, move |left| next_grown(growing.clone(), left));
            Body::from_stream(pieces)
        }
        // Only for answers without a body; any other one breaks off rather than being taken for an empty file.
        Content::Unmade => Body::from_stream(stream::iter([Err::<Bytes, _>(io::Error::other("not made"))])),
    }
}

/// The next piece of what may still be made; none at its end.
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
        // The answer breaks off, so that nobody takes it for whole.
        Err(error) => Some((Err(io::Error::other(error)), left.end..left.end)),
    }
}

async fn next_piece(file: Arc<File>, left: Range<u64>) -> Option<(io::Result<Bytes>, Range<u64>)> {
    if left.is_empty() {
        return None;
    }
    let len = PIECE.min(left.end - left.start) as usize;
    let read = tokio::task::spawn_blocking(move || {
        let mut piece = vec![0; len];
        file.read_exact_at(&mut piece, left.start).map(|()| Bytes::from(piece))
    });
    let piece = read.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let after = if piece.is_ok() { left.start + len as u64..left.end } else { left.end..left.end };
    Some((piece, after))
}

fn failed() -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", "The server cannot write this answer's headers.")
}

/// All of the bytes, under no name.
pub(crate) fn whole(file: Arc<File>, len: u64, method: &Method) -> Response {
    let body = if method == Method::HEAD { Body::empty() } else { body(Content::File(file, len), 0..len) };
    let mut response = body.into_response();
    response.headers_mut().typed_insert(ContentLength(len));
    response
}

/// Bytes in memory and then others, whole and kept by nobody.
pub(crate) fn joined(start: Vec<u8>, rest: Content, media_type: &'static str, caching: &'static str) -> Response {
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
