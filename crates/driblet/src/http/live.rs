//! Live streams: Server-Sent Events about the heads of an asset.
//!
//! Nothing depends on any single event: a stream tells the newest head when it begins, and its receiver asks again after
//! its end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use driblet_core::Version;
use futures_util::stream;
use hyper::header::{self, HeaderName};
use hyper::{Method, StatusCode};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

use super::problem::Problem;
use super::resources::ResourceRequest;
use crate::artifacts::{ArtifactError, DeltaRequest};
use crate::history::Epoch;
use crate::live::{LiveEvent, LiveStream, Newest};
use crate::publisher::{PathState, PublishError, Publisher};
use crate::serve::Stopping;
use crate::site::Site;

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// The pause between two looks at an asset that nobody watches.
const LOOK: Duration = Duration::from_millis(500);
/// The pause after which a stream says that it is alive.
const ALIVE: Duration = Duration::from_secs(15);
/// How long a stream runs, on average: so that the guard of the path is asked again. Each one ends up to a fifth sooner
/// or later, so that not all end at once.
const LIFE: Duration = Duration::from_secs(900);
/// The longest delta that is part of an event, in bytes.
const INLINE: u64 = 32 << 10;
/// How long an event waits for its delta.
const INLINE_TIMEOUT: Duration = Duration::from_millis(50);
/// Without a delta in the event, receivers spread their requests: so many milliseconds for each, at most so many.
const SPREAD: u64 = 1;
const MOST_SPREAD: u64 = 30_000;
/// The longest pause, in milliseconds, before a receiver comes back after the server stopped.
const COME_BACK: u64 = 5_000;

/// An asset whose heads a stream tells.
#[derive(Clone)]
pub(super) enum Asset {
    File(String),
    Directory(String),
}

/// A head, of a file or a directory.
#[derive(Clone, Copy)]
struct AnyHead {
    version: Version,
    len: u64,
    counter: u64,
}

impl Asset {
    /// The path under which the history has it.
    fn key(&self) -> String {
        match self {
            Asset::File(path) => path.clone(),
            Asset::Directory(path) => Publisher::directory_key(path),
        }
    }

    /// Its head now; `None` if there is nothing.
    async fn head(&self, site: &Site) -> Result<Option<AnyHead>, PublishError> {
        Ok(match self {
            Asset::File(path) => match site.publisher.refresh(path).await? {
                PathState::File(head) => Some(AnyHead { version: head.version, len: head.len, counter: head.counter }),
                PathState::Folder | PathState::Nothing => None,
            },
            Asset::Directory(path) => site.publisher.refresh_directory(path).await?.map(|head| AnyHead {
                version: head.version,
                len: head.len,
                counter: head.counter,
            }),
        })
    }

    /// The delta between two of its versions, in a codec that every receiver decodes, if it is short.
    async fn short_delta(&self, site: &Site, from: Version, to: Version) -> Result<Option<Bytes>, ArtifactError> {
        let missing = |_| ArtifactError::Missing;
        let bytes = match self {
            Asset::File(path) => {
                let (basis, target) = (site.version(path, from).await, site.version(path, to).await);
                let (Some(basis), Some(target)) = (basis.map_err(missing)?, target.map_err(missing)?) else {
                    return Ok(None);
                };
                let request = DeltaRequest {
                    path,
                    basis: Some(basis),
                    target,
                    accepts_dense: false,
                    is_head: false,
                    wants_range: true,
                    is_held: &|_| false,
                    continues: &|_| true,
                };
                let content = site.artifacts.choose_delta(request).await?.content;
                if content.len().is_none_or(|len| INLINE < len) {
                    return Ok(None);
                }
                content.bytes().await?
            }
            Asset::Directory(path) => {
                let (basis, target) =
                    (site.directory_version(path, from).await, site.directory_version(path, to).await);
                let (Some(basis), Some(target)) = (basis.map_err(missing)?, target.map_err(missing)?) else {
                    return Ok(None);
                };
                let plan = site.artifacts.directory_plan(&site.history, path, Some(basis), target).await?;
                let first = match plan.parts.first() {
                    None => Bytes::new(),
                    Some(part) => {
                        let made = site.artifacts.part(&site.history, part.clone()).await?;
                        let content = made.content.finished().await?;
                        if content.len().is_none_or(|len| INLINE < len) {
                            return Ok(None);
                        }
                        content.bytes().await?
                    }
                };
                [&plan.head[..], &first].concat().into()
            }
        };
        Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= INLINE))
    }
}

impl ResourceRequest<'_> {
    /// Answers with a stream of the asset's heads.
    pub(super) async fn live(&self, asset: Asset) -> Result<Response, Problem> {
        let key = asset.key();
        if asset.head(self.site).await?.is_none() {
            return Err(Problem::no_such_file(&format!("/{key}")));
        }
        let headers = [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-store, no-transform"),
            (X_ACCEL_BUFFERING, "no"),
        ];
        if *self.method == Method::HEAD {
            return Ok((headers, Body::empty()).into_response());
        }
        let Some((stream, new)) = self.site.live.add(&key) else {
            let detail = "There are too many live streams; poll head?since=…&wait=… meanwhile.";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail);
            return Err(problem.with_header(header::RETRY_AFTER, (5 + random(25)).to_string()));
        };
        if let Some(newest) = new {
            tokio::spawn(follow(self.site.clone(), asset, newest));
        }
        let (epoch, now) = (self.site.history.epoch(), Instant::now());
        let receiver = Receiver {
            stream,
            epoch,
            told: self.since(epoch),
            is_new: true,
            alive: now + ALIVE,
            end: now + LIFE * 4 / 5 + Duration::from_millis(random(LIFE.as_millis() as u64 * 2 / 5)),
            stopping: self.stopping.cloned(),
        };
        Ok((headers, Body::from_stream(stream::unfold(Some(receiver), next))).into_response())
    }

    /// The counter that the receiver knows, if it is of this epoch.
    fn since(&self, epoch: Epoch) -> Option<u64> {
        let query = url::form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes());
        let since = query.into_iter().find(|(name, _)| name == "since")?.1;
        let (known, counter) = since.split_once('.')?;
        (known.parse() == Ok(epoch)).then(|| counter.parse().ok()).flatten()
    }
}

/// Sends the events of an asset, as long as it has a stream.
async fn follow(site: Arc<Site>, asset: Asset, newest: Arc<watch::Sender<Newest>>) {
    let (key, epoch) = (asset.key(), site.history.epoch());
    let mut before: Option<AnyHead> = None;
    loop {
        let changed = site.publisher.published().notified();
        match asset.head(&site).await {
            Ok(Some(head)) if before.is_none_or(|before| before.counter != head.counter) => {
                let event = event(&site, &asset, epoch, (before, head), newest.receiver_count()).await;
                newest.send_replace(Some(Arc::new(event)));
                before = Some(head);
            }
            Ok(_) => {}
            // The next look may succeed. Whoever asks for the asset learns of the error.
            Err(error) => debug!(key, %error, "an asset with live streams cannot be looked at"),
        }
        tokio::select! {
            () = changed => {}
            () = sleep(LOOK) => {}
            () = newest.closed() => {
                if site.live.end(&key, &newest) {
                    return;
                }
            }
        }
    }
}

async fn event(
    site: &Site,
    asset: &Asset,
    epoch: Epoch,
    (before, head): (Option<AnyHead>, AnyHead),
    streams: usize,
) -> LiveEvent {
    let AnyHead { version, len, counter } = head;
    let mut data = json!({
        "version": version.to_string(), "length": len, "counter": counter, "epoch": epoch.to_string()
    });
    if let Some(before) = before {
        // If it takes longer, receivers ask for the delta, and share it.
        let delta = timeout(INLINE_TIMEOUT, asset.short_delta(site, before.version, version)).await;
        match delta {
            Ok(Ok(Some(delta))) => {
                data["from"] = before.version.to_string().into();
                data["delta"] = STANDARD.encode(delta).into();
            }
            _ => data["spread"] = (SPREAD * streams as u64).min(MOST_SPREAD).into(),
        }
    }
    let text = format!("id: {epoch}.{counter}\nevent: head\ndata: {data}\n\n");
    LiveEvent { counter, text: text.into() }
}

/// What one receiver gets.
struct Receiver {
    stream: LiveStream,
    epoch: Epoch,
    /// The counter of the head that it knows.
    told: Option<u64>,
    /// Whether nothing was sent yet.
    is_new: bool,
    /// When it must hear something.
    alive: Instant,
    end: Instant,
    stopping: Option<Stopping>,
}

impl Receiver {
    fn alive(&mut self) -> Bytes {
        self.alive = Instant::now() + ALIVE;
        let id = self.told.map_or_else(String::new, |counter| format!("id: {}.{counter}\n", self.epoch));
        format!("{id}event: alive\ndata: {{}}\n\n").into()
    }
}

/// The next bytes of a stream, and the receiver; no receiver after the last bytes.
async fn next(receiver: Option<Receiver>) -> Option<(io::Result<Bytes>, Option<Receiver>)> {
    let mut receiver = receiver?;
    loop {
        let newest = receiver.stream.events.borrow_and_update().clone();
        if let Some(event) = newest.filter(|event| receiver.told != Some(event.counter)) {
            (receiver.told, receiver.is_new, receiver.alive) = (Some(event.counter), false, Instant::now() + ALIVE);
            return Some((Ok(event.text.clone()), Some(receiver)));
        }
        if receiver.is_new {
            receiver.is_new = false;
            return Some((Ok(receiver.alive()), Some(receiver)));
        }
        let stopping = receiver.stopping.clone();
        let stops = async {
            match stopping {
                Some(stopping) => stopping.begins().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = receiver.stream.events.changed() => changed.ok()?,
            () = sleep_until(receiver.alive) => return Some((Ok(receiver.alive()), Some(receiver))),
            () = sleep_until(receiver.end) => return None,
            // Not all receivers come back at once.
            () = stops => return Some((Ok(format!("retry: {}\n\n", random(COME_BACK)).into()), None)),
        }
    }
}

/// A random number below a bound.
fn random(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    // Without random numbers, all receivers get the same pause.
    let _ = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes) % bound.max(1)
}
