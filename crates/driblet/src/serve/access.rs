//! A record of each answer.

use std::net::IpAddr;
use std::time::Instant;

use axum::extract::Request;
use hyper::header::{self, HeaderName};
use tracing::{Level, enabled, info};

/// The target of the events that [`serve`](crate::serve) emits for each answer, at the level `INFO`, once its last byte
/// is sent, or once the client is gone. Their fields: `client`, which is the address that a trusted proxy states, or else
/// the peer's, `method`, `path` with its query, `protocol`, `status` (0 if the client left before an answer), `bytes` of
/// the body that were sent, `ms` since the request's head was read, `agent` and `referer`.
pub const ACCESS_LOG: &str = "driblet::access";

/// A request and its answer, which are logged when this is dropped. Nothing is kept of them unless somebody listens.
pub(super) struct AccessRecord {
    pub(super) client: IpAddr,
    method: String,
    path: String,
    protocol: String,
    agent: String,
    referer: String,
    begin: Instant,
    pub(super) status: u16,
    pub(super) bytes: u64,
}

impl AccessRecord {
    pub(super) fn begin<B>(request: &Request<B>, client: IpAddr) -> Option<AccessRecord> {
        if !enabled!(target: ACCESS_LOG, Level::INFO) {
            return None;
        }
        let text = |name: HeaderName| {
            request.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Some(AccessRecord {
            client,
            method: request.method().to_string(),
            path: request.uri().path_and_query().map_or_else(String::new, ToString::to_string),
            protocol: format!("{:?}", request.version()),
            agent: text(header::USER_AGENT).unwrap_or_default(),
            referer: text(header::REFERER).unwrap_or_default(),
            begin: Instant::now(),
            status: 0,
            bytes: 0,
        })
    }
}

impl Drop for AccessRecord {
    fn drop(&mut self) {
        let AccessRecord { client, method, path, protocol, agent, referer, begin, status, bytes } = self;
        let (client, ms) = (client.to_canonical(), begin.elapsed().as_millis() as u64);
        info!(target: ACCESS_LOG, %client, method, path, protocol, status, bytes, ms, agent, referer);
    }
}
