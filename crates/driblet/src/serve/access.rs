//! A record of each answer.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Instant;

use axum::extract::Request;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Uri, Version};
use tracing::{Level, enabled, info};

/// The target of the events that [`serve`](crate::serve) emits for each answer, at the level `INFO`, once its last byte
/// is sent, or once the client is gone. Their fields: `client`, which is the address that a trusted proxy states, or else
/// the peer's, `method`, `path` with its query, `protocol`, `status` (0 if the client left before an answer), `bytes` of
/// the body that were sent, `ms` since the request's head was read, `agent` and `referer`.
pub const ACCESS_LOG: &str = "driblet::access_log";

/// A request and its answer, which are logged when this is dropped. Nothing is kept of them unless somebody listens.
pub(super) struct AccessRecord {
    pub(super) client: IpAddr,
    method: Method,
    uri: Uri,
    version: Version,
    agent: Option<HeaderValue>,
    referer: Option<HeaderValue>,
    begin: Instant,
    pub(super) status: u16,
    pub(super) bytes: u64,
}

impl AccessRecord {
    pub(super) fn begin<B>(request: &Request<B>, client: IpAddr) -> Option<AccessRecord> {
        if !enabled!(target: ACCESS_LOG, Level::INFO) {
            return None;
        }
        // These share the bytes of the request.
        let header = |name| request.headers().get(name).cloned();
        Some(AccessRecord {
            client,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            agent: header(header::USER_AGENT),
            referer: header(header::REFERER),
            begin: Instant::now(),
            status: 0,
            bytes: 0,
        })
    }
}

impl Drop for AccessRecord {
    fn drop(&mut self) {
        fn text(value: &Option<HeaderValue>) -> Cow<'_, str> {
            value.as_ref().map_or(Cow::Borrowed(""), |value| String::from_utf8_lossy(value.as_bytes()))
        }

        let (client, ms) = (self.client.to_canonical(), self.begin.elapsed().as_millis() as u64);
        let (status, bytes) = (self.status, self.bytes);
        let path = self.uri.path_and_query().map_or("", |path| path.as_str());
        let (agent, referer) = (&*text(&self.agent), &*text(&self.referer));
        let (method, protocol) = (self.method.as_str(), name(self.version));
        info!(target: ACCESS_LOG, %client, method, path, protocol, status, bytes, ms, agent, referer);
    }
}

fn name(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP",
    }
}
