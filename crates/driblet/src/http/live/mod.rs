//! Live streams: Server-Sent Events about the heads of an asset.
//!
//! Nothing depends on any single event: a stream tells the newest head when it begins, and its receiver comes back after
//! its end.

mod asset;
mod follow;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use hyper::header::{self, HeaderName};
use hyper::{Method, StatusCode};
use tokio::time::{Instant, Sleep, sleep_until};

pub(super) use asset::Asset;
use follow::follow;

use super::problem::Problem;
use super::resources::ResourceRequest;
use crate::history::Epoch;
use crate::live::LiveStream;
use crate::serve::LiveAnswer;
use crate::site::Site;

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// The pause after which a stream says that it is alive, and so tells the head again.
const ALIVE: Duration = Duration::from_secs(15);
/// The pause after a new head: if that event was lost, the next one tells of it soon.
const ALIVE_AFTER_HEAD: Duration = Duration::from_secs(5);
/// How long a stream runs, on average: so that the guard of the path is asked again. Each one ends up to a fifth sooner
/// or later, so that not all end at once.
const LIFE: Duration = Duration::from_secs(900);

impl ResourceRequest<'_> {
    /// Answers with a stream of the asset's heads.
    pub(super) async fn live(&self, asset: Asset) -> Result<Response, Problem> {
        if !asset.exists(self.site).await? {
            return Err(Problem::no_such_file(&format!("/{}", asset.key())));
        }
        let headers = [
            (header::CONTENT_TYPE, "text/event-stream"),
            (header::CACHE_CONTROL, "no-store, no-transform"),
            (X_ACCEL_BUFFERING, "no"),
        ];
        if *self.method == Method::HEAD {
            return Ok((headers, Body::empty()).into_response());
        }
        let Some((stream, new)) = self.site.live.open(&asset.key()) else {
            let detail = "There are too many live streams; poll head?since=…&wait=… meanwhile.";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail);
            return Err(problem.with_header(header::RETRY_AFTER, (5 + random(25)).to_string()));
        };
        if let Some(newest) = new {
            tokio::spawn(follow(self.site.clone(), asset, newest));
        }
        let (epoch, now) = (self.site.history.epoch(), Instant::now());
        let wait = random(LIFE.as_millis() as u64 * 2 / 5);
        let receiver = Receiver {
            site: self.site.clone(),
            stream,
            epoch,
            told: self.since(epoch),
            is_new: true,
            alive: Box::pin(sleep_until(now + ALIVE)),
            end: now + LIFE * 4 / 5 + Duration::from_millis(wait),
            stops: Box::pin(self.stops()),
        };
        let body = Body::from_stream(stream::unfold(Some(receiver), next));
        Ok((headers, axum::Extension(LiveAnswer), body).into_response())
    }

    /// The counter that the receiver knows, if it is of this epoch.
    fn since(&self, epoch: Epoch) -> Option<u64> {
        let query = url::form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes());
        let since = query.into_iter().find(|(name, _)| name == "since")?.1;
        let (known, counter) = since.split_once('.')?;
        (known.parse() == Ok(epoch)).then(|| counter.parse().ok()).flatten()
    }
}

/// What one receiver gets.
struct Receiver {
    site: Arc<Site>,
    stream: LiveStream,
    epoch: Epoch,
    /// The counter of the head that it knows.
    told: Option<u64>,
    /// Whether nothing was sent yet.
    is_new: bool,
    /// Until it must hear something.
    alive: Pin<Box<Sleep>>,
    end: Instant,
    stops: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Receiver {
    /// Says that the stream is alive, which head the receiver knows, and when to come back after the end.
    fn alive(&self) -> Bytes {
        let id = self.told.map_or_else(String::new, |counter| format!("id: {}.{counter}\n", self.epoch));
        format!("retry: {}\n{id}event: alive\ndata: {{}}\n\n", self.site.live.retry()).into()
    }

    /// The last line of a stream whose server stops: when to come back.
    fn last(&self) -> Bytes {
        format!("retry: {}\n\n", self.site.live.retry_after_stop()).into()
    }

    fn rest(&mut self, pause: Duration) {
        self.is_new = false;
        // Up to a fifth sooner: after a head, not all streams speak at the same time.
        let sooner = Duration::from_millis(random(pause.as_millis() as u64 / 5));
        let at = Instant::now() + pause - sooner;
        // Many timers of one moment cost a fraction of as many that each wake a thread.
        self.alive.as_mut().reset(at - self.site.live.since_tick(at.into_std()));
    }
}

/// The next bytes of a stream, and the receiver; no receiver after the last bytes.
async fn next(receiver: Option<Receiver>) -> Option<(io::Result<Bytes>, Option<Receiver>)> {
    let mut receiver = receiver?;
    loop {
        let newest = receiver.stream.events.borrow_and_update().clone();
        if let Some(event) = newest {
            let is_known = receiver.told.replace(event.counter) == Some(event.counter);
            if !is_known || receiver.is_new {
                receiver.rest(if is_known { ALIVE } else { ALIVE_AFTER_HEAD });
                let bytes = if is_known { receiver.alive() } else { event.text.clone() };
                return Some((Ok(bytes), Some(receiver)));
            }
        }
        tokio::select! {
            changed = receiver.stream.events.changed() => changed.ok()?,
            () = &mut receiver.alive => {
                if receiver.end <= Instant::now() {
                    return None;
                }
                receiver.rest(ALIVE);
                return Some((Ok(receiver.alive()), Some(receiver)));
            }
            // Not all receivers come back at once.
            () = &mut receiver.stops => return Some((Ok(receiver.last()), None)),
        }
    }
}

/// A random number below a bound.
fn random(bound: u64) -> u64 {
    let mut bytes = [0; 8];
    // Without random numbers, all receivers get the same.
    let _ = getrandom::fill(&mut bytes);
    u64::from_le_bytes(bytes) % bound.max(1)
}
