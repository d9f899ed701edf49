//! The sync resources of an asset, see `spec/protocol.md`, section 8.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driblet_core::{MAX_TAGS, Signature, Version};
use futures_util::StreamExt;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use serde_json::json;
use tokio::sync::futures::Notified;
use tokio::time::{Instant, sleep, timeout};

use super::caching::{IMMUTABLE, NO_STORE, REVALIDATE};
use super::client_files;
use super::content::{Representation, is_held};
use super::live::Asset;
use super::measured::Synced;
use super::path::{RequestPath, Resource};
use super::problem::{Problem, is_safe};
use crate::artifacts::{Accepted, ArtifactError, ChosenDelta, Content, DeltaRequest, Link};
use crate::history::{Head, HistoryError, StoredVersion};
use crate::metrics::Basis;
use crate::publisher::PathState;
use crate::serve::Stopping;
use crate::site::{OpenPath, Site};

pub(super) const DELTA: &str = "application/vnd.driblet.delta";
const MATCHED: &str = "application/vnd.driblet.matched";

/// The longest that a poll waits.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// How often a poll looks at the file.
const LOOK: Duration = Duration::from_millis(500);

/// What a poll waits for.
pub(super) struct Poll {
    /// The counter of the head that the client knows.
    since: Option<u64>,
    /// When the poll is answered at the latest.
    end: Instant,
}

/// A request for a path below `.driblet/`.
pub(super) struct ResourceRequest<'a> {
    pub(super) site: &'a Arc<Site>,
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    /// Tells that the server stops, if [`crate::serve`] runs it.
    pub(super) stopping: Option<&'a Stopping>,
}

impl ResourceRequest<'_> {
    /// Answers the request.
    pub(super) async fn answer(&self, path: RequestPath, resource: Resource, body: Body) -> Result<Response, Problem> {
        if let Resource::Other(file) = &resource {
            let is_root = path.folder && path.asset.is_empty();
            return if is_root { client_files::answer(file, self.method, self.headers) } else { Err(bad_name(file)) };
        }
        let is_posted = matches!(resource, Resource::Signature | Resource::Have);
        let allowed = if is_posted { "POST" } else { "GET, HEAD" };
        if is_posted != (self.method == Method::POST) || (allowed != "POST" && !is_safe(self.method)) {
            return Err(Problem::method(allowed));
        }
        let asset = match self.asset(&path) {
            Some(asset) => asset,
            None => return self.directory(&path.asset, resource, body).await,
        };
        match resource {
            Resource::Head => self.head(&asset).await,
            Resource::From(from) => self.delta_to_head(&asset, from).await,
            Resource::Pair(from, to) => self.delta_of_pair(&asset, from, to).await,
            Resource::Grant(version) => self.grant(&asset, version),
            Resource::Signature => self.signature(&asset, body).await,
            Resource::Live => self.live(Asset::File(asset)).await,
            Resource::Other(file) => Err(bad_name(&file)),
            _ => Err(bad_name("that")),
        }
    }

    /// The path of a file in the source; `None` for a directory.
    fn asset(&self, path: &RequestPath) -> Option<String> {
        let only = self.site.publisher.source().only();
        match (path.folder, only) {
            (false, _) => Some(path.asset.clone()),
            (true, Some(only)) if path.asset.is_empty() => Some(only.to_owned()),
            (true, _) => None,
        }
    }

    async fn current_head(&self, asset: &str) -> Result<Head, Problem> {
        match self.site.publisher.refresh(asset).await? {
            PathState::File(head) => Ok(head),
            PathState::Folder | PathState::Nothing => Err(Problem::no_such_file(&format!("/{asset}"))),
        }
    }

    async fn open_head(&self, asset: &str) -> Result<(Head, Arc<StoredVersion>), Problem> {
        match self.site.open(asset).await? {
            OpenPath::File(head, stored) => Ok((head, stored)),
            OpenPath::Folder | OpenPath::Nothing => Err(Problem::no_such_file(&format!("/{asset}"))),
        }
    }

    /// Answers with the head as JSON, or waits for another head than the one that the request names.
    async fn head(&self, asset: &str) -> Result<Response, Problem> {
        let poll = self.poll()?;
        let head = loop {
            let changed = self.site.publisher.published().notified();
            let head = self.current_head(asset).await?;
            if !self.waits_on(&poll, head.counter, changed).await {
                break head;
            }
        };
        let (version, epoch) = (head.version.to_string(), self.site.history.epoch().to_string());
        let body = json!({ "version": version, "length": head.len, "counter": head.counter, "epoch": epoch });
        self.json(head.version, &body)
    }

    /// Waits until a poll may look again. Gives false if it must answer with the head that it saw.
    pub(super) async fn waits_on(&self, poll: &Poll, counter: u64, changed: Notified<'_>) -> bool {
        let left = poll.end.saturating_duration_since(Instant::now());
        if poll.since != Some(counter) || left.is_zero() {
            return false;
        }
        tokio::select! {
            () = changed => true,
            () = sleep(LOOK.min(left)) => true,
            // A server that stops does not wait for polls.
            () = self.stops() => false,
        }
    }

    /// Completes when the server stops.
    pub(super) fn stops(&self) -> impl Future<Output = ()> + Send + use<> {
        let stopping = self.stopping.cloned();
        async move {
            match stopping {
                Some(stopping) => stopping.begins().await,
                None => std::future::pending().await,
            }
        }
    }

    /// A JSON value that is not cached.
    pub(super) fn json(&self, version: Version, body: &serde_json::Value) -> Result<Response, Problem> {
        let answer = Representation {
            content: Content::Memory(body.to_string().into()),
            etag: version.to_string(),
            media_type: "application/json".into(),
            caching: NO_STORE,
            coding: None,
            modified: None,
        };
        answer.response(self.method, &HeaderMap::new())
    }

    /// The parameters `since` and `wait` of a poll.
    pub(super) fn poll(&self) -> Result<Poll, Problem> {
        let (mut since, mut wait) = (None, Duration::ZERO);
        for (name, value) in url::form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes()) {
            let number = || {
                value.parse::<u64>().map_err(|_| {
                    let detail = format!("{name} must be a whole number, not {value:?}.");
                    Problem::new(StatusCode::BAD_REQUEST, "bad-name", detail)
                })
            };
            match &*name {
                "since" => since = Some(number()?),
                "wait" => wait = Duration::from_secs(number()?).min(MAX_WAIT),
                _ => {}
            }
        }
        Ok(Poll { since, end: Instant::now() + wait })
    }

    async fn delta_to_head(&self, asset: &str, from: Option<Version>) -> Result<Response, Problem> {
        let (head, stored) = self.open_head(asset).await?;
        self.delta(asset, from, (head, stored), REVALIDATE).await
    }

    async fn delta_of_pair(&self, asset: &str, from: Option<Version>, to: Version) -> Result<Response, Problem> {
        let (head, newest) = self.open_head(asset).await?;
        let stored = self.site.version(asset, to).await?;
        let Some(stored) = stored else { return Err(self.unknown_version(head, newest).await?) };
        let target = Head { version: to, len: stored.len, ..head };
        self.delta(asset, from, (target, stored), IMMUTABLE).await
    }

    async fn delta(
        &self,
        asset: &str,
        from: Option<Version>,
        (head, stored): (Head, Arc<StoredVersion>),
        caching: &'static str,
    ) -> Result<Response, Problem> {
        let (basis, kind) = match from {
            None => (None, Basis::None),
            // The target is open already.
            Some(version) if version == stored.version => (Some(stored.clone()), Basis::Same),
            Some(version) => match self.basis(asset, version).await? {
                Some((basis, kind)) => (Some(basis), kind),
                None => return Err(self.unknown_version(head, stored).await?),
            },
        };
        let ChosenDelta { content, etag, is_same } = self.chosen_delta(asset, basis, stored).await?;
        let answer = Representation { content, etag, media_type: DELTA.into(), caching, coding: None, modified: None };
        let mut response = answer.response(self.method, self.headers)?;
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
        response.extensions_mut().insert(Synced { basis: kind, len: head.len });
        if !is_same {
            // The location is relative, so it is right wherever the router is nested.
            let from = from.map_or_else(|| "none".to_owned(), |version| version.to_string());
            let query = self.grant_shown().map_or_else(String::new, |grant| format!("?grant={grant}"));
            let pair = format!("{from}-{}{query}", head.version);
            let pair = HeaderValue::try_from(pair).map_err(|_| bad_name(&from))?;
            response.headers_mut().insert(header::CONTENT_LOCATION, pair);
        }
        Ok(response)
    }

    /// A version of the asset, or of another path that the request shows a grant of; `None` if it is not stored.
    async fn basis(&self, asset: &str, version: Version) -> Result<Option<(Arc<StoredVersion>, Basis)>, HistoryError> {
        if let Some(stored) = self.site.version(asset, version).await? {
            return Ok(Some((stored, Basis::History)));
        }
        let Some(path) = self.grant_shown().and_then(|grant| self.site.grants.path(grant, &version)) else {
            return Ok(None);
        };
        Ok(self.site.version(&path, version).await?.map(|stored| (stored, Basis::Grant)))
    }

    /// The grant in the query, without the name.
    fn grant_shown(&self) -> Option<&str> {
        self.uri.query()?.split('&').find_map(|parameter| parameter.strip_prefix("grant="))
    }

    /// Answers with the grant of a version, also if the file is gone.
    fn grant(&self, asset: &str, version: Version) -> Result<Response, Problem> {
        let is_seen = self.site.publisher.source().may_see(asset);
        if !is_seen || !self.site.history.versions(asset).iter().any(|(known, _)| *known == version) {
            let detail = "That version is not in this file's history; send a signature of it to the other path.";
            return Err(Problem::new(StatusCode::NOT_FOUND, "unknown-version", detail));
        }
        let body = json!({ "grant": self.site.grants.of(asset, &version) });
        self.json(version, &body)
    }

    /// The delta that this receiver gets.
    async fn chosen_delta(
        &self,
        asset: &str,
        basis: Option<Arc<StoredVersion>>,
        target: Arc<StoredVersion>,
    ) -> Result<ChosenDelta, ArtifactError> {
        let if_range = self.headers.get(header::IF_RANGE);
        let request = DeltaRequest {
            path: asset,
            basis,
            target,
            accepted: self.accepted(),
            is_head: self.method == Method::HEAD,
            // Only a GET has ranges (RFC 9110, section 14.2).
            wants_range: self.method == Method::GET && self.headers.contains_key(header::RANGE),
            is_held: &|etag| is_held(self.headers, etag),
            continues: &|etag| if_range.is_none_or(|known| known.as_bytes() == format!("\"{etag}\"").as_bytes()),
        };
        self.site.artifacts.choose_delta(request).await
    }

    /// Waits until all bytes are made if the request asks for a range, which needs the length.
    pub(super) async fn finished_for_range(&self, content: Content) -> Result<Content, Problem> {
        let has_range = self.headers.contains_key(header::RANGE) && self.method == Method::GET;
        let limit = self.site.artifacts.queue_timeout();
        Ok(match has_range {
            true => timeout(limit, content.finished()).await.map_err(|_| ArtifactError::Busy)??,
            false => content,
        })
    }

    fn accepted(&self) -> Accepted {
        let values = self.headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).find_map(all_codecs).map_or(Accepted::Basic, Accepted::All)
    }

    /// Tells a receiver how to describe bytes whose version the server does not have.
    async fn unknown_version(&self, head: Head, stored: Arc<StoredVersion>) -> Result<Problem, Problem> {
        let cuts = self.site.artifacts.cuts(stored).await?;
        let sizes = cuts.sizes();
        let detail = "That version is not in this file's history; send a signature, or sync from none.";
        Ok(Problem::new(StatusCode::NOT_FOUND, "unknown-version", detail).with(json!({
            "head": head.version.to_string(),
            "length": head.len,
            "counter": head.counter,
            "epoch": self.site.history.epoch().to_string(),
            "rungs": [sizes.sections.log2(), sizes.chunks.log2()],
            "sections": STANDARD.encode(cuts.list()),
        })))
    }

    /// Answers a signature with the runs that match the head, and a delta from these.
    async fn signature(&self, asset: &str, body: Body) -> Result<Response, Problem> {
        let max_tags = self.site.max_tags.min(MAX_TAGS);
        let limit = 32 + 8 * max_tags as usize;
        let too_large = |detail: String| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail);
        let late = || Problem::new(StatusCode::REQUEST_TIMEOUT, "bad-signature", "The signature did not come in time.");
        let artifacts = &self.site.artifacts;
        let permit = timeout(artifacts.queue_timeout(), self.site.signature_permits.acquire())
            .await
            .map_err(|_| ArtifactError::Busy)?;
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "bad-signature", detail);
        let body = timeout(self.site.deadline, read_body(body, limit)).await.map_err(|_| late())?;
        let body = body.map_err(|_| bad("The signature is incomplete; send it again.".into()))?;
        let bytes = body.ok_or_else(|| {
            too_large(format!("A signature may have {limit} bytes and {max_tags} tags; sync from none instead."))
        })?;
        let signature = Signature::decode(&bytes, max_tags).map_err(|error| match error {
            driblet_core::SignatureError::TooManyTags { .. } => too_large(format!("{error}.")),
            error => bad(format!("{error}.")),
        })?;
        let (_, stored) = self.open_head(asset).await?;
        let cuts = artifacts.cuts(stored.clone()).await?;
        let matches = artifacts.with_permit(stored.len, move || Ok(signature.match_chunks(&cuts))).await?;
        drop(permit);
        let len = stored.len;
        let (start, rest) = artifacts.choose_matched(asset, Arc::new(matches), stored).await?;
        let mut response = super::content::joined(start, rest, MATCHED, NO_STORE);
        response.extensions_mut().insert(Synced { basis: Basis::Signature, len });
        Ok(response)
    }
}

/// The link of a receiver that decodes all codecs, if a part of an `Accept` header says that it does. Other receivers do
/// not name the dense codec, so a quality of 0 is not looked for.
fn all_codecs(part: &str) -> Option<Link> {
    let mut words = part.split(';').map(str::trim);
    words.next().filter(|essence| essence.eq_ignore_ascii_case(DELTA))?;
    let has = |name: &str| words.clone().any(|word| word.eq_ignore_ascii_case(name));
    let link = if has("link=slow") {
        Link::Slow
    } else if has("link=fast") {
        Link::Fast
    } else {
        Link::Usual
    };
    has("codec=dense").then_some(link)
}

/// All bytes of a body; `None` if there are more than `limit`.
pub(super) async fn read_body(body: Body, limit: usize) -> Result<Option<Vec<u8>>, axum::Error> {
    let (mut pieces, mut bytes) = (body.into_data_stream(), Vec::new());
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if limit - bytes.len() < piece.len() {
            return Ok(None);
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Some(bytes))
}

pub(super) fn bad_name(name: &str) -> Problem {
    let detail = format!(
        "{name:?} is no sync resource: a version is 64 lower-case hex digits, a pair is two versions joined by '-'."
    );
    Problem::new(StatusCode::BAD_REQUEST, "bad-name", detail)
}
