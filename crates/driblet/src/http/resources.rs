//! The sync resources of an asset: what `spec/protocol.md`, section 8, names.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driblet_core::{MAX_TAGS, Matches, Signature, Version, encode_same};
use futures_util::StreamExt;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::client_files;
use super::content::{Answer, is_held};
use super::guard::is_safe;
use super::name::{Name, Resource};
use super::problem::Problem;
use crate::artifacts::{Artifact, ArtifactError, Content};
use crate::history::{Head, Kept};
use crate::publisher::Standing;
use crate::serve::Stopping;
use crate::site::{Open, Shared};

const DELTA: &str = "application/vnd.driblet.delta";
const MATCHED: &str = "application/vnd.driblet.matched";
const REVALIDATE: &str = "no-cache";
const IMMUTABLE: &str = "max-age=31536000, immutable";
const NOT_KEPT: &str = "no-store";

/// The longest that a poll waits.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// How often a file is looked at while someone waits for it to change.
const LOOK: Duration = Duration::from_millis(500);
/// Where less of the head matches, in percent, the shared delta from nothing is sent instead.
const WORTH_MATCHING: u64 = 3;
/// Where less matches, the shared delta may be the smaller one all the same, and is made to be compared.
const SURELY_SMALLER: u64 = 50;
/// Unmatched bytes up to which what is made for one receiver may be most of the head.
const MAX_UNSHARED: u64 = 16 << 20;

/// Whether a part of an Accept header names a delta with the dense codec. (A quality of 0 is not looked for: who would refuse it names it not.)
fn accepts_dense(part: &str) -> bool {
    let mut words = part.split(';').map(str::trim);
    words.next().is_some_and(|essence| essence.eq_ignore_ascii_case(DELTA))
        && words.any(|word| word.eq_ignore_ascii_case("codec=dense"))
}

/// A request below `.driblet/`.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    /// Tells that the server stops, where [`crate::serve`] runs it.
    pub(crate) stopping: Option<&'a Stopping>,
}

impl Call<'_> {
    /// Answers the request.
    pub(crate) async fn answer(&self, name: Name, resource: Resource, body: Body) -> Result<Response, Problem> {
        if let Resource::Other(file) = &resource {
            let is_root = name.folder && name.asset.is_empty();
            return if is_root { client_files::answer(file, self.method, self.headers) } else { Err(bad_name(file)) };
        }
        let allowed = if resource == Resource::Signature { "POST" } else { "GET, HEAD" };
        if (resource == Resource::Signature) != (self.method == Method::POST)
            || (allowed != "POST" && !is_safe(self.method))
        {
            return Err(Problem::method(allowed));
        }
        let path = self.path_of(&name)?;
        match resource {
            Resource::Head => self.head(&path).await,
            Resource::From(from) => self.delta_to_head(&path, from).await,
            Resource::Pair(from, to) => self.pair(&path, from, to).await,
            Resource::Signature => self.signature(&path, body).await,
            Resource::Live => Err(Problem::new(
                StatusCode::NOT_FOUND,
                "no-such-file",
                "Live subscriptions are reserved and not answered yet; poll head?since=…&wait=… instead.",
            )),
            Resource::Other(file) => Err(bad_name(&file)),
        }
    }

    /// The asset's path in the source; a folder has no snapshot of its own yet.
    fn path_of(&self, name: &Name) -> Result<String, Problem> {
        let only = self.shared.publisher.source().only();
        match (name.folder, only) {
            (false, _) => Ok(name.asset.clone()),
            (true, Some(only)) if name.asset.is_empty() => Ok(only.to_owned()),
            (true, _) => {
                let detail = "Folders cannot be synced yet; sync the files in it, each by its own path.";
                Err(Problem::new(StatusCode::NOT_FOUND, "no-such-file", detail))
            }
        }
    }

    async fn current(&self, path: &str) -> Result<Head, Problem> {
        match self.shared.publisher.standing(path).await? {
            Standing::File(head) => Ok(head),
            Standing::Folder | Standing::Nothing => Err(Problem::no_such_file(&format!("/{path}"))),
        }
    }

    async fn kept_head(&self, path: &str) -> Result<(Head, Arc<Kept>), Problem> {
        match self.shared.open(path).await? {
            Open::File(head, kept) => Ok((head, kept)),
            Open::Folder | Open::Nothing => Err(Problem::no_such_file(&format!("/{path}"))),
        }
    }

    async fn head(&self, path: &str) -> Result<Response, Problem> {
        let (since, wait) = self.poll()?;
        let end = Instant::now() + wait;
        let head = loop {
            let changed = self.shared.publisher.published().notified();
            let head = self.current(path).await?;
            let left = end.saturating_duration_since(Instant::now());
            if since != Some(head.counter) || left.is_zero() {
                break head;
            }
            let stops = async {
                match self.stopping.cloned() {
                    Some(stopping) => stopping.begins().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                () = sleep(LOOK.min(left)) => {}
                // Nobody else's stop should wait for this poll.
                () = stops => break head,
            }
        };
        let body = json!({ "version": head.version.to_string(), "length": head.len, "counter": head.counter });
        let answer = Answer {
            content: Content::Memory(body.to_string().into()),
            etag: head.version.to_string(),
            media_type: "application/json".into(),
            caching: NOT_KEPT,
            coding: None,
            modified: None,
        };
        answer.response(self.method, &HeaderMap::new())
    }

    /// `since` and `wait` of a poll.
    fn poll(&self) -> Result<(Option<u64>, Duration), Problem> {
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
        Ok((since, wait))
    }

    async fn delta_to_head(&self, path: &str, from: Option<Version>) -> Result<Response, Problem> {
        let (head, kept) = self.kept_head(path).await?;
        self.delta(path, from, (head, kept), REVALIDATE).await
    }

    async fn pair(&self, path: &str, from: Option<Version>, to: Version) -> Result<Response, Problem> {
        let (head, newest) = self.kept_head(path).await?;
        let kept = self.shared.kept(path, to).await?;
        let Some(kept) = kept else { return Err(self.unknown(head, newest).await?) };
        let target = Head { version: to, len: kept.len, ..head };
        self.delta(path, from, (target, kept), IMMUTABLE).await
    }

    async fn delta(
        &self,
        path: &str,
        from: Option<Version>,
        (head, kept): (Head, Arc<Kept>),
        caching: &'static str,
    ) -> Result<Response, Problem> {
        let is_same = from == Some(head.version);
        let (content, etag) = if is_same {
            let same = encode_same(head.version, head.len);
            (Content::Memory(same.into()), format!("{}-same", &head.version.to_string()[..16]))
        } else {
            let basis = match from {
                None => None,
                Some(version) => match self.shared.kept(path, version).await? {
                    Some(basis) => Some(basis),
                    None => return Err(self.unknown(head, kept).await?),
                },
            };
            let delta = self.best_delta(path, basis, kept).await?;
            // A part of what is being made is known when all of it is.
            let content = match self.headers.contains_key(header::RANGE) && self.method == Method::GET {
                true => timeout(self.shared.artifacts.patience(), delta.content.finished())
                    .await
                    .map_err(|_| ArtifactError::Busy)??,
                false => delta.content,
            };
            (content, delta.etag.to_string())
        };
        let answer = Answer { content, etag, media_type: DELTA.into(), caching, coding: None, modified: None };
        let mut response = answer.response(self.method, self.headers)?;
        response.headers_mut().append(header::VARY, HeaderValue::from_static("accept"));
        if !is_same {
            // Relative to the URL asked for, and so right wherever the router is nested.
            let from = from.map_or_else(|| "none".to_owned(), |version| version.to_string());
            let pair = HeaderValue::try_from(format!("{from}-{}", head.version)).map_err(|_| bad_name(&from))?;
            response.headers_mut().insert(header::CONTENT_LOCATION, pair);
        }
        Ok(response)
    }

    /// The best delta that is ready; one that was begun goes on as it was.
    async fn best_delta(&self, path: &str, basis: Option<Arc<Kept>>, kept: Arc<Kept>) -> Result<Artifact, Problem> {
        let artifacts = &self.shared.artifacts;
        let better = artifacts.better(path, basis.as_deref(), &kept, self.reads_dense()).await;
        let from = basis.as_ref().map(|basis| basis.version);
        let is_known = is_held(self.headers, &artifacts.delta_etag(from, kept.version));
        if let Some(better) = better.into_iter().find(|artifact| !is_known && self.goes_on_with(artifact)) {
            return Ok(better);
        }
        // Nothing is made for an answer without a body.
        if is_known || self.method == Method::HEAD {
            return Ok(artifacts.delta_if_made(from, kept.version));
        }
        Ok(artifacts.delta(basis, kept).await?)
    }

    /// Whether a request that goes on with what was begun means this.
    fn goes_on_with(&self, artifact: &Artifact) -> bool {
        self.headers
            .get(header::IF_RANGE)
            .is_none_or(|etag| etag.as_bytes() == format!("\"{}\"", artifact.etag).as_bytes())
    }

    /// Whether this receiver says that it reads the dense codec.
    fn reads_dense(&self) -> bool {
        let accepted = self.headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        accepted.flat_map(|value| value.split(',')).any(accepts_dense)
    }

    /// Says how to describe bytes of a version that is not kept here.
    async fn unknown(&self, head: Head, kept: Arc<Kept>) -> Result<Problem, Problem> {
        let cuts = self.shared.artifacts.cuts(kept).await?;
        let sizes = cuts.sizes();
        let detail = "That version is not in this file's history; send a signature, or sync from none.";
        Ok(Problem::new(StatusCode::NOT_FOUND, "unknown-version", detail).with(json!({
            "head": head.version.to_string(),
            "length": head.len,
            "counter": head.counter,
            "rungs": [sizes.sections.log2(), sizes.chunks.log2()],
            "sections": STANDARD.encode(cuts.list()),
        })))
    }

    async fn signature(&self, path: &str, body: Body) -> Result<Response, Problem> {
        let max_tags = self.shared.max_tags.min(MAX_TAGS);
        let limit = 32 + 8 * max_tags as usize;
        let too_large = |detail: String| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail);
        let stalled =
            || Problem::new(StatusCode::REQUEST_TIMEOUT, "bad-signature", "The signature did not come in time.");
        let artifacts = &self.shared.artifacts;
        let turn =
            timeout(artifacts.patience(), self.shared.signers.acquire()).await.map_err(|_| ArtifactError::Busy)?;
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "bad-signature", detail);
        let received = timeout(self.shared.deadline, received(body, limit)).await.map_err(|_| stalled())?;
        let received = received.map_err(|_| bad("The signature broke off on its way; send it again.".into()))?;
        let bytes = received.ok_or_else(|| {
            too_large(format!("A signature may have {limit} bytes and {max_tags} tags; sync from none instead."))
        })?;
        let signature = Signature::decode(&bytes, max_tags).map_err(|error| match error {
            driblet_core::SignatureError::TooManyTags { .. } => too_large(format!("{error}.")),
            error => bad(format!("{error}.")),
        })?;
        let (_, kept) = self.kept_head(path).await?;
        let cuts = artifacts.cuts(kept.clone()).await?;
        let matches = Arc::new(artifacts.in_turn(kept.len, move || Ok(signature.match_chunks(&cuts))).await?);
        drop(turn);
        let (start, rest) = self.matched(path, matches, kept).await?;
        Ok(super::content::joined(start, rest, MATCHED, NOT_KEPT))
    }

    /// The answer to a signature: the delta from what matched, or the shared one from nothing, whichever is smaller.
    async fn matched(&self, path: &str, matches: Arc<Matches>, kept: Arc<Kept>) -> Result<(Vec<u8>, Content), Problem> {
        let artifacts = &self.shared.artifacts;
        let (matched, len) = (matches.matched_bytes(), kept.len);
        if len * SURELY_SMALLER <= matched * 100 {
            return Ok((Vec::new(), artifacts.matched(matches, kept).await?.content));
        }
        let better = artifacts.better(path, None, &kept, false).await.into_iter().next();
        let cold = match better {
            Some(better) => better,
            None => artifacts.delta(None, kept.clone()).await?,
        };
        let from_nothing = |cold: Content| (matches.encode_no_runs(), cold);
        if matched * 100 < len * WORTH_MATCHING || MAX_UNSHARED < len - matched {
            return Ok(from_nothing(cold.content));
        }
        // Which one is smaller is known when both are made.
        let own = artifacts.matched(matches.clone(), kept).await?.content.finished().await?;
        let cold = cold.content.finished().await?;
        Ok(if cold.len() <= own.len() { from_nothing(cold) } else { (Vec::new(), own) })
    }
}

/// All of a body, or `None` if it is longer than `limit` bytes.
async fn received(body: Body, limit: usize) -> Result<Option<Vec<u8>>, axum::Error> {
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

fn bad_name(name: &str) -> Problem {
    let detail = format!(
        "{name:?} is no sync resource: a version is 64 lower-case hex digits, a pair two of them joined by '-'."
    );
    Problem::new(StatusCode::BAD_REQUEST, "bad-name", detail)
}
