//! CORS: what pages of other, allowed origins may send and read.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

/// The response headers that a page of an allowed, foreign origin may read.
const EXPOSED: &str =
    "etag, content-location, content-range, accept-ranges, content-length, last-modified, retry-after";
/// The methods that the server answers on some path.
const METHODS: &str = "GET, HEAD, POST, OPTIONS";
/// How many seconds a browser may remember the answer to a preflight.
const MAX_AGE: &str = "600";

const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// The origin of a page that is not the server's own and that may use the server.
pub(super) enum CorsOrigin {
    /// It was named, and may send cookies.
    One(HeaderValue),
    /// All may use the server, without cookies.
    Any,
}

impl CorsOrigin {
    /// Adds the headers that let the page read a response.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        let origin = match self {
            CorsOrigin::One(origin) => {
                headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
                origin.clone()
            }
            CorsOrigin::Any => HeaderValue::from_static("*"),
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }

    /// Adds the headers that answer a preflight. The page may send every method and header that it asks for:
    /// applications have headers of their own, and a response with credentials cannot allow them by `*`.
    pub(super) fn apply_preflight(&self, request: &HeaderMap, headers: &mut HeaderMap) {
        self.apply(headers);
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
