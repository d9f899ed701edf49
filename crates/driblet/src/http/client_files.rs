//! The browser client, which is embedded in the server.

use axum::response::Response;
use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};

use super::accept_encoding::AcceptedCodings;
use super::caching::IMMUTABLE;
use super::content::Representation;
use super::problem::{Problem, is_safe};
use crate::artifacts::{Coding, Content};

const EMBEDDER_POLICY: HeaderName = HeaderName::from_static("cross-origin-embedder-policy");
const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The names and bytes of `client/`, embedded by build.rs. A name with `.br` is the brotli form of another file.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/client_files.rs"));

/// The files that pages and service workers import. These files import others, whose names contain a hash.
const ENTRIES: [&str; 6] = ["client.js", "directories.js", "inline.js", "live.js", "service-worker.js", "store.js"];
/// The script of a service worker, which may serve pages at every path of the origin.
const SERVICE_WORKER: &str = "service-worker.js";

/// Answers a request for one of the client's files.
pub(super) fn answer(name: &str, method: &Method, headers: &HeaderMap) -> Result<Response, Problem> {
    let Some((_, bytes)) = FILES.iter().find(|(file, _)| *file == name) else {
        let detail = if ENTRIES.contains(&name) {
            "This server was built without the browser client; run `make client` in driblet's repository and build it again.".to_owned()
        } else {
            format!("{name:?} is neither a file of the browser client nor a sync resource.")
        };
        return Err(Problem::new(StatusCode::NOT_FOUND, "no-such-file", detail));
    };
    if !is_safe(method) {
        return Err(Problem::method("GET, HEAD"));
    }
    // A page that is loaded again within minutes does not wait for the client. For a day the browser revalidates it in
    // the background.
    let caching = if ENTRIES.contains(&name) { "max-age=600, stale-while-revalidate=86400" } else { IMMUTABLE };
    let packed = FILES.iter().find(|(file, _)| file.strip_suffix(".br") == Some(name));
    let packed = packed.filter(|_| AcceptedCodings::of(headers).best() == Some(Coding::Brotli));
    let (bytes, coding) = packed.map_or((*bytes, None), |(_, packed)| (*packed, Some(Coding::Brotli.name())));
    let answer = Representation {
        content: Content::Memory(Bytes::from_static(bytes)),
        etag: blake3::hash(bytes).to_hex()[..16].to_owned(),
        media_type: super::media_type::media_type(name),
        caching,
        coding,
        modified: None,
    };
    let mut response = answer.response(method, headers)?;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    // A page with Cross-Origin-Embedder-Policy starts a worker only if the worker's response has that policy too, and
    // loads a file of another origin only if the response allows that. Other pages ignore both headers.
    headers.insert(EMBEDDER_POLICY, HeaderValue::from_static("require-corp"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    if name == SERVICE_WORKER {
        headers.insert(SERVICE_WORKER_ALLOWED, HeaderValue::from_static("/"));
    }
    Ok(response)
}
