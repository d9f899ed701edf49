//! Asks a server for the resources of one asset.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use driblet_core::{Runs, Signature, Version};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use url::Url;

use super::connector::WATCHDOG;
use super::credentials;
use super::partial::Partial;
use super::retry::{RetryBudget, is_tls, retry_after};
use crate::transfer::{
    NetworkCause, Phase, Progress, ProtocolCause, PullError, PullOptions, PullState, Report, Watchdog,
};

pub(super) const DIRECTORY: &str = "application/vnd.driblet.directory";
const DELTA: &str = "application/vnd.driblet.delta";
/// The receiver decodes every codec.
const ACCEPTED: &str = "application/vnd.driblet.delta;codec=dense, */*;q=0.5";
const SIGNATURE: &str = "application/vnd.driblet.signature";
const MATCHED: &str = "application/vnd.driblet.matched";
/// The media type of a delta on a host for plain files.
const OCTETS: &str = "application/octet-stream";
/// The most bytes that are read of a problem document or a grant.
const MAX_SHORT: usize = 64 << 10;
/// The timeout is a second longer for each this many bytes of a request, so that a slow upload does not look like a
/// silent server.
const SLOWEST_UPLOAD: u64 = 16 << 10;

/// An asset on a server, and the cost of the requests for it.
pub(super) struct Asset {
    url: Url,
    client: reqwest::Client,
    cost: PullCost,
    options: PullOptions,
    report: Report,
    watchdog: Watchdog,
    authorization: Option<HeaderValue>,
    /// Shown in requests for deltas: it lets the server take a version of another path as basis.
    grant: Option<String>,
}

/// The answer to a request for a grant.
#[derive(Deserialize)]
struct GrantAnswer {
    grant: String,
}

/// Bytes and requests, as `Pulled` counts them.
#[derive(Clone, Copy, Default)]
pub(super) struct PullCost {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) requests: u32,
}

/// The server's answer to a request for a delta from a version.
pub(super) enum Answer {
    Delta(DeltaBody),
    Unknown(UnknownVersion),
}

/// How to describe bytes whose version the server does not have.
#[derive(Deserialize)]
pub(super) struct UnknownVersion {
    #[serde(rename = "rungs")]
    pub(super) chunk_sizes: [u8; 2],
    sections: String,
}

impl UnknownVersion {
    /// The list of the head's sections.
    pub(super) fn list(&self) -> Result<Vec<u8>, PullError> {
        STANDARD.decode(&self.sections).map_err(|error| {
            PullError::protocol("the server's list of sections is invalid", ProtocolCause::Base64(error))
        })
    }
}

/// The server's reason for a refusal.
#[derive(Deserialize)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) detail: String,
    #[serde(flatten)]
    unknown: Option<UnknownVersion>,
}

impl Asset {
    pub(super) fn new(
        client: reqwest::Client,
        url: &Url,
        options: &PullOptions,
        report: Report,
    ) -> Result<Asset, PullError> {
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(PullError::scheme(url, "http"));
        }
        let (url, authorization) = credentials::split(url);
        let watchdog = Watchdog::new();
        Ok(Asset {
            url,
            client,
            cost: PullCost::default(),
            options: options.clone(),
            report,
            watchdog,
            authorization,
            grant: None,
        })
    }

    /// The URL of the asset, without user name and password.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn cost(&mut self) -> &mut PullCost {
        &mut self.cost
    }

    /// Asks at the basis's own URL for a grant, which later requests for deltas of this asset show. Without one, the
    /// server takes a signature of the basis.
    pub(super) async fn ask_grant(&mut self, mut basis: Asset, version: Version) -> Result<(), PullError> {
        let name = format!("grant-{version}");
        let response = basis.send(basis.request(Method::GET, &name), name.len() as u64).await?;
        if response.status().is_success() {
            let body = basis.short_body(response, "the grant").await?;
            self.grant = serde_json::from_slice::<GrantAnswer>(&body).ok().map(|answer| answer.grant);
        }
        self.cost = basis.cost;
        Ok(())
    }

    /// Asks for the delta from a version to the head.
    pub(super) async fn delta_from(&mut self, version: Version) -> Result<Answer, PullError> {
        let (request, name_len) = self.get(&version.to_string());
        let response = self.send(request, name_len).await?;
        if response.status() != StatusCode::NOT_FOUND {
            return self.delta(response).await.map(Answer::Delta);
        }
        let refusal = self.refusal(response).await?;
        match refusal {
            Refusal { code, unknown: Some(unknown), .. } if code == "unknown-version" => Ok(Answer::Unknown(unknown)),
            // Only a directory's version has no list of sections.
            Refusal { code, .. } if code == "unknown-version" => {
                Err(PullError::protocol(format!("{} has no file", self.url), ProtocolCause::IsDirectory))
            }
            refusal => Err(self.refused(StatusCode::NOT_FOUND, refusal.detail)),
        }
    }

    /// Asks for the delta from the empty basis.
    pub(super) async fn delta_from_nothing(&mut self) -> Result<DeltaBody, PullError> {
        let (request, name_len) = self.get("none");
        let response = self.send(request, name_len).await?;
        self.delta(response).await
    }

    /// Asks for the rest of a delta; `None` if the server no longer has it.
    pub(super) async fn rest_of(&mut self, partial: &Partial) -> Result<Option<DeltaBody>, PullError> {
        let (request, name_len) = self.get(&partial.pair());
        let range = format!("bytes={}-", partial.len());
        let request = request.header(RANGE, range).header(IF_RANGE, partial.etag());
        let response = self.send(request, name_len).await?;
        match response.status() {
            StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE => Ok(None),
            _ => self.delta(response).await.map(Some),
        }
    }

    /// Sends a signature; `None` if it is too long for the server.
    pub(super) async fn matched(&mut self, signature: &Signature) -> Result<Option<(Runs, DeltaBody)>, PullError> {
        let body = signature.encode();
        let len = body.len() as u64;
        let request = self.request(Method::POST, "signature").header(CONTENT_TYPE, SIGNATURE).body(body);
        let response = self.send(request, len).await?;
        if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Ok(None);
        }
        let mut body = self.body(response, &[MATCHED, OCTETS]).await?;
        let mut start = BytesMut::new();
        loop {
            let decoded = Runs::decode(&start, signature.count());
            if let Some((runs, consumed)) = decoded.map_err(|error| {
                PullError::protocol("the answer to the signature is invalid", ProtocolCause::Runs(error))
            })? {
                body.unread = start.split_off(consumed).freeze();
                return Ok(Some((runs, body)));
            }
            match body.next(&mut self.cost).await? {
                Some(bytes) => start.extend_from_slice(&bytes),
                None => return Err(PullError::network("reading the answer to the signature", NetworkCause::NoRuns)),
            }
        }
    }

    /// A GET, and the number of bytes that it counts as.
    fn get(&self, name: &str) -> (RequestBuilder, u64) {
        let (mut url, mut len) = (self.resource(name), name.len());
        if let Some(grant) = &self.grant {
            url.query_pairs_mut().append_pair("grant", grant);
            len += grant.len();
        }
        (self.request_at(Method::GET, url).header(reqwest::header::ACCEPT, ACCEPTED), len as u64)
    }

    pub(super) fn request(&self, method: Method, name: &str) -> RequestBuilder {
        self.request_at(method, self.resource(name))
    }

    pub(super) fn request_at(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.client.request(method, url);
        // reqwest sends it to no other host, even after a redirect.
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }

    /// The URL of a resource of the asset.
    pub(super) fn resource(&self, name: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}.driblet/{name}", self.url.path()));
        url
    }

    /// Sends a request, and sends it again as long as the server says that it is busy.
    pub(super) async fn send(&mut self, request: RequestBuilder, len: u64) -> Result<Response, PullError> {
        let mut budget = RetryBudget::new(self.options.busy_timeout);
        loop {
            let again = request
                .try_clone()
                .ok_or_else(|| PullError::protocol("cannot send the request", ProtocolCause::NotRepeatable))?;
            self.cost.requests += 1;
            self.cost.sent += len;
            self.report(PullState::Waiting);
            let response = self.answer(again, len).await?;
            let is_busy = matches!(response.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
            let Some(told) = retry_after(response.headers()).filter(|_| is_busy) else { return Ok(response) };
            let (status, refusal) = (response.status(), self.refusal(response).await?);
            let Some(wait) = budget.next_wait(told) else {
                let busy = format!("{} answers {status} for {:?}", self.url, self.options.busy_timeout);
                return Err(PullError::during(Phase::Waiting, busy, NetworkCause::Busy(refusal.detail)));
            };
            self.report(PullState::Busy(wait));
            sleep(wait).await;
        }
    }

    /// Sends a request once, and waits for the head of the response.
    pub(super) async fn answer(&self, request: RequestBuilder, len: u64) -> Result<Response, PullError> {
        self.watchdog.reset();
        let timeout = self.options.timeout + Duration::from_secs(len / SLOWEST_UPLOAD);
        tokio::select! {
            answer = WATCHDOG.scope(self.watchdog.clone(), request.send()) => answer.map_err(|error| self.unanswered(error.without_url())),
            () = self.watchdog.expired(timeout) => {
                let doing = format!("{} was reached, but does not answer", self.url);
                Err(PullError::during(Phase::Waiting, doing, NetworkCause::Silent(timeout)))
            }
        }
    }

    /// The error of a request that got no response.
    fn unanswered(&self, error: reqwest::Error) -> PullError {
        let url = &self.url;
        if error.is_redirect() {
            return PullError::protocol(format!("{url} redirects without an end"), ProtocolCause::Http(error));
        }
        if !error.is_connect() {
            let doing = format!("{url} was reached, but closed the connection before it answered");
            return PullError::during(Phase::Waiting, doing, error);
        }
        if is_tls(&error) {
            return PullError::during(Phase::Connecting, format!("cannot set up TLS with {url}"), error);
        }
        if error.is_timeout() {
            let limit = self.options.timeout;
            let (doing, what) = match url.scheme() {
                // The library does not tell whether TCP or TLS took too long.
                "https" => (format!("cannot connect to {url}"), NetworkCause::NoTls(limit)),
                _ => (format!("cannot reach {url}"), NetworkCause::NoConnection(limit)),
            };
            return PullError::during(Phase::Connecting, doing, what);
        }
        PullError::during(Phase::Connecting, format!("cannot reach {url}"), error)
    }

    fn report(&self, state: PullState) {
        (self.report)(Progress { done: 0, total: 0, received: self.cost.received, state });
    }

    async fn delta(&mut self, response: Response) -> Result<DeltaBody, PullError> {
        self.body(response, &[DELTA, OCTETS]).await
    }

    /// The body of a successful response. Any other response is an error with the server's own words.
    pub(super) async fn body(&mut self, response: Response, types: &[&'static str]) -> Result<DeltaBody, PullError> {
        let status = response.status();
        if !status.is_success() {
            let refusal = self.refusal(response).await?;
            return Err(self.refused(status, refusal.detail));
        }
        let media_type = header(response.headers(), CONTENT_TYPE).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !types.contains(&media_type.as_str()) {
            let cause = match (media_type.as_str(), types[0]) {
                (DIRECTORY, _) => ProtocolCause::IsDirectory,
                (DELTA, DIRECTORY) => ProtocolCause::IsFile,
                _ => ProtocolCause::MediaType { found: media_type, expected: types[0] },
            };
            return Err(PullError::protocol(format!("{} does not answer with a delta", self.url), cause));
        }
        let continues = status == StatusCode::PARTIAL_CONTENT;
        let etag = header(response.headers(), ETAG).filter(|etag| !etag.starts_with("W/")).map(str::to_owned);
        let asset = Arc::new(self.url.clone());
        let (response, unread) = (Some(response), Bytes::new());
        Ok(DeltaBody { response, etag, continues, unread, asset, timeout: self.options.timeout })
    }

    /// A delta that was received already.
    pub(super) fn received(&mut self, bytes: Bytes) -> DeltaBody {
        self.cost.received += bytes.len() as u64;
        let (asset, timeout) = (Arc::new(self.url.clone()), self.options.timeout);
        DeltaBody { response: None, etag: None, continues: false, unread: bytes, asset, timeout }
    }

    pub(super) async fn refusal(&mut self, response: Response) -> Result<Refusal, PullError> {
        let body = self.short_body(response, "the refusal").await?;
        let plain = || Refusal { code: String::new(), detail: "no reason given".into(), unknown: None };
        Ok(serde_json::from_slice(&body).unwrap_or_else(|_| plain()))
    }

    /// The first bytes of a body that is meant for this client, not for its file.
    pub(super) async fn short_body(&mut self, mut response: Response, what: &str) -> Result<Vec<u8>, PullError> {
        let mut body = Vec::new();
        let doing = || format!("reading {what} of {}", self.url);
        while let Some(bytes) = chunk(&mut response, self.options.timeout, doing).await? {
            self.cost.received += bytes.len() as u64;
            body.extend_from_slice(&bytes);
            if MAX_SHORT < body.len() {
                break;
            }
        }
        Ok(body)
    }

    pub(super) fn refused(&self, status: StatusCode, detail: String) -> PullError {
        PullError::protocol(
            format!("{} answers {status}", self.url),
            ProtocolCause::Refused { status: status.as_u16(), detail },
        )
    }
}

/// A delta that is being received.
pub(super) struct DeltaBody {
    /// What `unread` is the beginning of; `None` if it is everything.
    response: Option<Response>,
    etag: Option<String>,
    continues: bool,
    unread: Bytes,
    asset: Arc<Url>,
    timeout: Duration,
}

impl DeltaBody {
    /// The strong ETag. Without one the delta cannot be continued.
    pub(super) fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// Whether the response continues the bytes that are kept already.
    pub(super) fn continues(&self) -> bool {
        self.continues
    }

    /// Puts bytes back, which [`next`](DeltaBody::next) gives again.
    pub(super) fn with_unread(self, unread: Bytes) -> DeltaBody {
        DeltaBody { unread, ..self }
    }

    /// The next bytes; `None` at the end that the server announced.
    pub(super) async fn next(&mut self, cost: &mut PullCost) -> Result<Option<Bytes>, PullError> {
        if !self.unread.is_empty() {
            return Ok(Some(std::mem::take(&mut self.unread)));
        }
        let Some(response) = &mut self.response else { return Ok(None) };
        let doing = || format!("reading the delta from {}", self.asset);
        let bytes = chunk(response, self.timeout, doing).await?;
        cost.received += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        Ok(bytes)
    }
}

/// The next bytes of a response.
async fn chunk(
    response: &mut Response,
    limit: Duration,
    doing: impl Fn() -> String,
) -> Result<Option<Bytes>, PullError> {
    match timeout(limit, response.chunk()).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => {
            Err(PullError::network(format!("{}: the response was cut off", doing()), error.without_url()))
        }
        Err(_) => Err(PullError::network(doing(), NetworkCause::Silent(limit))),
    }
}

fn header(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
