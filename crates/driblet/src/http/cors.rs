//! CORS: what pages of allowed, foreign origins may send and read.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

/// What such a page may read besides the body.
const EXPOSED: &str =
    "etag, content-location, content-range, accept-ranges, content-length, last-modified, retry-after";
/// The methods that some path answers.
const METHODS: &str = "GET, HEAD, POST, OPTIONS";
/// Seconds for which a browser need not ask again.
const MAX_AGE: &str = "600";

const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// A page of an allowed, foreign origin.
pub(crate) struct Visitor(HeaderValue);

impl Visitor {
    pub(super) fn new(origin: HeaderValue) -> Visitor {
        Visitor(origin)
    }

    /// Lets the visitor's page read the answer.
    pub(crate) fn welcome(&self, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.0.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }

    /// Answers a preflight: an allowed origin may send the method and the headers that it asks for. Applications have headers of their
    /// own, and an answer with credentials cannot allow them by `*`.
    pub(crate) fn preflight(&self, request: &HeaderMap, headers: &mut HeaderMap) {
        self.welcome(headers);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        let method = request.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        let is_other = |method: &&HeaderValue| !METHODS.split(", ").any(|known| known.as_bytes() == method.as_bytes());
        if let Some(method) = method.filter(is_other) {
            headers.append(header::ACCESS_CONTROL_ALLOW_METHODS, method.clone());
        }
        for names in request.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.append(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        if request.get(REQUEST_PRIVATE_NETWORK).is_some_and(|value| value == "true") {
            headers.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
        }
        for name in
            [header::ACCESS_CONTROL_REQUEST_METHOD, header::ACCESS_CONTROL_REQUEST_HEADERS, REQUEST_PRIVATE_NETWORK]
        {
            headers.append(header::VARY, name.into());
        }
    }
}
