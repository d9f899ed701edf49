use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use driblet_core::{Runs, Signature, Version};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, IF_RANGE, RANGE};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use tokio::time::{sleep, timeout};
use url::Url;

use super::partial::Partial;
use crate::transfer::{
    Life, Patience, Phase, Progress, PullError, PullOptions, Report, State, credentials, is_tls, retry_after, silent,
};

const DELTA: &str = "application/vnd.driblet.delta";
/// A delta in any codec.
const ACCEPTED: &str = "application/vnd.driblet.delta;codec=dense, */*;q=0.5";
const SIGNATURE: &str = "application/vnd.driblet.signature";
const MATCHED: &str = "application/vnd.driblet.matched";
/// What a plain file host calls a delta.
const OCTETS: &str = "application/octet-stream";
/// The longest problem document that is read.
const MAX_PROBLEM: usize = 64 << 10;
/// After this long a connection is not used again: the server may just be closing it.
const IDLE: Duration = Duration::from_secs(10);
/// Bytes of a request that get a second more each, so that a slow line is not taken for a server that is silent.
const SLOWEST_UPLOAD: u64 = 16 << 10;

/// An asset on a server, and what talking about it has cost.
pub(super) struct Asset {
    url: Url,
    client: Client,
    cost: Cost,
    options: PullOptions,
    report: Report,
    life: Life,
}

/// Bytes and requests, as [`Pulled`](super::Pulled) counts them.
#[derive(Clone, Copy, Default)]
pub(super) struct Cost {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) requests: u32,
}

/// What the server says to a version.
pub(super) enum Answer {
    Delta(Body),
    Unknown(Unknown),
}

/// How to describe bytes whose version the server does not know.
#[derive(Deserialize)]
pub(super) struct Unknown {
    #[serde(rename = "rungs")]
    pub(super) chunk_sizes: [u8; 2],
    sections: String,
}

impl Unknown {
    /// The list of the head's sections.
    pub(super) fn list(&self) -> Result<Vec<u8>, PullError> {
        STANDARD.decode(&self.sections).map_err(|error| PullError::protocol("the server's list of sections", error))
    }
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    detail: String,
    #[serde(flatten)]
    unknown: Option<Unknown>,
}

impl Asset {
    pub(super) fn new(url: &Url, options: &PullOptions, report: Report) -> Result<Asset, PullError> {
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(PullError::scheme(url, "http"));
        }
        let (url, authorization) = credentials::part(url);
        // reqwest takes the process' provider; another part of the program may have chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let life = Life::new();
        // reqwest sends the authorisation to no other host than this one, wherever it is redirected.
        let headers = HeaderMap::from_iter(authorization.map(|value| (AUTHORIZATION, value)));
        let client = Client::builder()
            .connect_timeout(options.timeout)
            .connector_layer(life.clone())
            .default_headers(headers)
            .pool_idle_timeout(IDLE)
            .user_agent(concat!("driblet/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| PullError::during(Phase::Connecting, "cannot set up HTTP", error))?;
        Ok(Asset { url, client, cost: Cost::default(), options: options.clone(), report, life })
    }

    /// The asset, without a user's name and password.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn cost(&mut self) -> &mut Cost {
        &mut self.cost
    }

    /// Asks for the delta from a version to the head.
    pub(super) async fn delta_from(&mut self, version: Version) -> Result<Answer, PullError> {
        let (request, name_len) = self.get(&version.to_string());
        let response = self.send(request, name_len).await?;
        if response.status() != StatusCode::NOT_FOUND {
            return self.delta(response).await.map(Answer::Delta);
        }
        let problem = self.problem(response).await?;
        match problem {
            Problem { code, unknown: Some(unknown), .. } if code == "unknown-version" => Ok(Answer::Unknown(unknown)),
            problem => Err(self.refused(StatusCode::NOT_FOUND, problem.detail)),
        }
    }

    /// Asks for the delta from the empty basis.
    pub(super) async fn delta_from_nothing(&mut self) -> Result<Body, PullError> {
        let (request, name_len) = self.get("none");
        let response = self.send(request, name_len).await?;
        self.delta(response).await
    }

    /// Asks for what is missing of a delta; `None` when the server does not have it any more.
    pub(super) async fn rest_of(&mut self, partial: &Partial) -> Result<Option<Body>, PullError> {
        let (request, name_len) = self.get(&partial.pair());
        let range = format!("bytes={}-", partial.len());
        let request = request.header(RANGE, range).header(IF_RANGE, partial.etag());
        let response = self.send(request, name_len).await?;
        match response.status() {
            StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE => Ok(None),
            _ => self.delta(response).await.map(Some),
        }
    }

    /// Sends a signature; `None` when it is more than the server takes.
    pub(super) async fn matched(&mut self, signature: &Signature) -> Result<Option<(Runs, Body)>, PullError> {
        let body = signature.encode();
        let len = body.len() as u64;
        let request = self.client.post(self.resource("signature")).header(CONTENT_TYPE, SIGNATURE).body(body);
        let response = self.send(request, len).await?;
        if response.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Ok(None);
        }
        let mut body = self.body(response, &[MATCHED, OCTETS]).await?;
        let mut start = BytesMut::new();
        loop {
            let decoded = Runs::decode(&start, signature.count());
            if let Some((runs, consumed)) = decoded.map_err(|error| PullError::protocol("the matched answer", error))? {
                body.unread = start.split_off(consumed).freeze();
                return Ok(Some((runs, body)));
            }
            match body.next(&mut self.cost).await? {
                Some(bytes) => start.extend_from_slice(&bytes),
                None => return Err(PullError::network("the matched answer", "it ends before its runs do")),
            }
        }
    }

    /// With how many bytes it counts as.
    fn get(&self, name: &str) -> (RequestBuilder, u64) {
        (self.client.get(self.resource(name)).header(reqwest::header::ACCEPT, ACCEPTED), name.len() as u64)
    }

    fn resource(&self, name: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}.driblet/{name}", self.url.path()));
        url
    }

    /// The answer, once the server has one: as long as it says that it is busy it is asked again.
    async fn send(&mut self, request: RequestBuilder, len: u64) -> Result<Response, PullError> {
        let mut patience = Patience::new(self.options.busy_timeout);
        loop {
            let again =
                request.try_clone().ok_or_else(|| PullError::protocol("the request", "it cannot be repeated"))?;
            self.cost.requests += 1;
            self.cost.sent += len;
            self.report(State::Waiting);
            let response = self.answer(again, len).await?;
            let is_busy = matches!(response.status(), StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
            let Some(told) = retry_after(response.headers()).filter(|_| is_busy) else { return Ok(response) };
            let (status, problem) = (response.status(), self.problem(response).await?);
            let Some(wait) = patience.next(told) else {
                let busy = format!("{} answers {status} for {:?}", self.url, self.options.busy_timeout);
                return Err(PullError::during(Phase::Waiting, busy, problem.detail));
            };
            self.report(State::Busy(wait));
            sleep(wait).await;
        }
    }

    async fn answer(&self, request: RequestBuilder, len: u64) -> Result<Response, PullError> {
        self.life.sign();
        let silence = self.options.timeout + Duration::from_secs(len / SLOWEST_UPLOAD);
        tokio::select! {
            answer = request.send() => answer.map_err(|error| self.unanswered(error.without_url())),
            () = self.life.silence(silence) => {
                let doing = format!("{} was reached, but does not answer", self.url);
                Err(PullError::during(Phase::Waiting, doing, silent(silence)))
            }
        }
    }

    /// What failed before there was an answer.
    fn unanswered(&self, error: reqwest::Error) -> PullError {
        let url = &self.url;
        if error.is_redirect() {
            return PullError::protocol(format!("{url} redirects without an end"), error);
        }
        if !error.is_connect() {
            let doing = format!("{url} was reached, but broke off before it answered");
            return PullError::during(Phase::Waiting, doing, error);
        }
        if is_tls(&error) {
            return PullError::during(Phase::Connecting, format!("cannot set up TLS with {url}"), error);
        }
        if error.is_timeout() {
            let limit = self.options.timeout;
            let (doing, what) = match url.scheme() {
                // Whether it was TCP or TLS that hung is not told.
                "https" => (format!("cannot connect to {url}"), format!("no TLS session within {limit:?}")),
                _ => (format!("cannot reach {url}"), format!("no connection within {limit:?}")),
            };
            return PullError::during(Phase::Connecting, doing, what);
        }
        PullError::during(Phase::Connecting, format!("cannot reach {url}"), error)
    }

    fn report(&self, state: State) {
        (self.report)(Progress { done: 0, total: 0, received: self.cost.received, state });
    }

    async fn delta(&mut self, response: Response) -> Result<Body, PullError> {
        self.body(response, &[DELTA, OCTETS]).await
    }

    /// The body of a good answer; anything else is an error with the server's own words.
    async fn body(&mut self, response: Response, types: &[&str]) -> Result<Body, PullError> {
        let status = response.status();
        if !status.is_success() {
            let problem = self.problem(response).await?;
            return Err(self.refused(status, problem.detail));
        }
        let media_type = header(response.headers(), CONTENT_TYPE).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !types.contains(&media_type.as_str()) {
            let what =
                format!("it answers with {media_type:?}, not {}; is there a driblet server behind it?", types[0]);
            return Err(PullError::protocol(self.url.to_string(), what));
        }
        let continues = status == StatusCode::PARTIAL_CONTENT;
        let etag = header(response.headers(), ETAG).filter(|etag| !etag.starts_with("W/")).map(str::to_owned);
        let asset = Arc::new(self.url.clone());
        Ok(Body { response, etag, continues, unread: Bytes::new(), asset, timeout: self.options.timeout })
    }

    async fn problem(&mut self, mut response: Response) -> Result<Problem, PullError> {
        let mut body = Vec::new();
        let doing = || format!("reading why {} refuses", self.url);
        while let Some(bytes) = chunk(&mut response, self.options.timeout, doing).await? {
            self.cost.received += bytes.len() as u64;
            body.extend_from_slice(&bytes);
            if MAX_PROBLEM < body.len() {
                break;
            }
        }
        let plain = || Problem { code: String::new(), detail: "no reason given".into(), unknown: None };
        Ok(serde_json::from_slice(&body).unwrap_or_else(|_| plain()))
    }

    fn refused(&self, status: StatusCode, detail: String) -> PullError {
        PullError::protocol(format!("{} answers {status}", self.url), detail)
    }
}

/// A delta on its way in.
pub(super) struct Body {
    response: Response,
    etag: Option<String>,
    continues: bool,
    unread: Bytes,
    asset: Arc<Url>,
    timeout: Duration,
}

impl Body {
    /// The strong ETag, without which nothing can be continued.
    pub(super) fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }

    /// Whether it goes on from the bytes kept, rather than starting over.
    pub(super) fn continues(&self) -> bool {
        self.continues
    }

    /// The next bytes; `None` at the end that the server announced.
    pub(super) async fn next(&mut self, cost: &mut Cost) -> Result<Option<Bytes>, PullError> {
        if !self.unread.is_empty() {
            return Ok(Some(std::mem::take(&mut self.unread)));
        }
        let doing = || format!("reading the delta from {}", self.asset);
        let bytes = chunk(&mut self.response, self.timeout, doing).await?;
        cost.received += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        Ok(bytes)
    }
}

/// The next bytes of an answer.
async fn chunk(
    response: &mut Response,
    limit: Duration,
    doing: impl Fn() -> String,
) -> Result<Option<Bytes>, PullError> {
    match timeout(limit, response.chunk()).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(PullError::network(format!("{}: it was cut off", doing()), error.without_url())),
        Err(_) => Err(PullError::network(doing(), silent(limit))),
    }
}

fn header(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
