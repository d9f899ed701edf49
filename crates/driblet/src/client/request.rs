use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use driblet_core::{Runs, Signature, Version};
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap, IF_RANGE, RANGE};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use url::Url;

use super::error::PullError;
use super::partial::Partial;

const DELTA: &str = "application/vnd.driblet.delta";
/// A delta in any codec.
const ACCEPTED: &str = "application/vnd.driblet.delta;codec=dense, */*;q=0.5";
const SIGNATURE: &str = "application/vnd.driblet.signature";
const MATCHED: &str = "application/vnd.driblet.matched";
/// What a plain file host calls a delta.
const OCTETS: &str = "application/octet-stream";
/// The longest problem document that is read.
const MAX_PROBLEM: usize = 64 << 10;

/// An asset on a server, and what talking about it has cost.
pub(super) struct Asset {
    url: Url,
    client: Client,
    cost: Cost,
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
    pub(super) rungs: [u8; 2],
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
    pub(super) fn new(url: &Url, timeout: Duration) -> Result<Asset, PullError> {
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            let scheme = format!("{} is neither http nor https", url.scheme());
            return Err(PullError::protocol(format!("cannot pull from {url}"), scheme));
        }
        // reqwest takes the process' provider; another part of the program may have chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .connect_timeout(timeout)
            .read_timeout(timeout)
            .user_agent(concat!("driblet/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| PullError::network("cannot set up HTTP", error))?;
        Ok(Asset { url: url.clone(), client, cost: Cost::default() })
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn cost(&mut self) -> &mut Cost {
        &mut self.cost
    }

    /// Asks for the delta from a version to the head.
    pub(super) async fn delta_from(&mut self, version: Version) -> Result<Answer, PullError> {
        let request = self.get(&version.to_string());
        let response = self.send(request).await?;
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
        let request = self.get("none");
        let response = self.send(request).await?;
        self.delta(response).await
    }

    /// Asks for what is missing of a delta; `None` when the server does not have it any more.
    pub(super) async fn rest_of(&mut self, partial: &Partial) -> Result<Option<Body>, PullError> {
        let request = self.get(&partial.pair());
        let range = format!("bytes={}-", partial.len());
        let response = self.send(request.header(RANGE, range).header(IF_RANGE, partial.etag())).await?;
        match response.status() {
            StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE => Ok(None),
            _ => self.delta(response).await.map(Some),
        }
    }

    /// Sends a signature; `None` when it is more than the server takes.
    pub(super) async fn matched(&mut self, signature: &Signature) -> Result<Option<(Runs, Body)>, PullError> {
        let body = signature.encode();
        self.cost.sent += body.len() as u64;
        let request = self.client.post(self.resource("signature")).header(CONTENT_TYPE, SIGNATURE).body(body);
        let response = self.send(request).await?;
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

    fn get(&mut self, name: &str) -> RequestBuilder {
        self.cost.sent += name.len() as u64;
        self.client.get(self.resource(name)).header(reqwest::header::ACCEPT, ACCEPTED)
    }

    fn resource(&self, name: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}.driblet/{name}", self.url.path()));
        url
    }

    async fn send(&mut self, request: RequestBuilder) -> Result<Response, PullError> {
        self.cost.requests += 1;
        request
            .send()
            .await
            .map_err(|error| PullError::network(format!("cannot reach {}", self.url), error.without_url()))
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
        Ok(Body { response, etag, continues, unread: Bytes::new() })
    }

    async fn problem(&mut self, mut response: Response) -> Result<Problem, PullError> {
        let mut body = Vec::new();
        while let Some(bytes) =
            response.chunk().await.map_err(|error| PullError::network("the server's refusal", error))?
        {
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
        let bytes = self.response.chunk().await.map_err(|error| PullError::network("the delta was cut off", error))?;
        cost.received += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        Ok(bytes)
    }
}

fn header(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
