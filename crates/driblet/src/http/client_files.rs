//! The browser client, carried inside the server.

use axum::response::Response;
use bytes::Bytes;
use hyper::header::HeaderMap;
use hyper::{Method, StatusCode};

use super::content::Answer;
use super::guard::is_safe;
use super::problem::Problem;
use crate::artifacts::Content;

/// Names and bytes of `client/`, by build.rs.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/client_files.rs"));

/// The file that pages import; what it imports carries a hash in its name.
const ENTRY: &str = "client.js";

/// Answers a request for one of the client's files.
pub(crate) fn answer(name: &str, method: &Method, headers: &HeaderMap) -> Result<Response, Problem> {
    let Some((_, bytes)) = FILES.iter().find(|(file, _)| *file == name) else {
        let detail = if name == ENTRY {
            "This server was built without the browser client; run `make client` and build it again.".to_owned()
        } else {
            format!("{name:?} is neither a file of the browser client nor a sync resource.")
        };
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-such-file", detail));
    };
    if !is_safe(method) {
        return Err(Problem::method("GET, HEAD"));
    }
    // A page that comes back within minutes does not wait for the client; it is revalidated behind the page's back for a day.
    let caching =
        if name == ENTRY { "max-age=600, stale-while-revalidate=86400" } else { "max-age=31536000, immutable" };
    let answer = Answer {
        content: Content::Memory(Bytes::from_static(bytes)),
        etag: blake3::hash(bytes).to_hex()[..16].to_owned(),
        media_type: mime_guess::from_path(name).first_or_octet_stream().to_string(),
        caching,
        coding: None,
    };
    answer.response(method, headers)
}
