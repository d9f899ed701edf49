//! What the requests of one pull share: the URL, their cost, and the progress.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use driblet_core::Version;
use url::Url;

use super::pulled::DirectoryProgress;
use crate::client::live::LiveHead;
use crate::client::request::{Asset, PullCost};
use crate::client::{PullError, PullOptions, PullState};

/// What is done so far, for the progress.
#[derive(Default, Debug)]
pub(super) struct Counters {
    pub(super) files: AtomicU64,
    pub(super) total_files: AtomicU64,
    pub(super) done: AtomicU64,
    pub(super) total: AtomicU64,
    pub(super) received: AtomicU64,
}

#[derive(Clone)]
pub(super) struct Requests {
    http: reqwest::Client,
    url: Url,
    options: PullOptions,
    progress: Arc<dyn Fn(DirectoryProgress) + Send + Sync>,
    pub(super) counters: Arc<Counters>,
    cost: Arc<Mutex<PullCost>>,
    /// A head that was told already.
    told: Arc<Mutex<Option<LiveHead>>>,
}

impl Requests {
    pub(super) fn new(
        http: reqwest::Client,
        url: &Url,
        options: PullOptions,
        progress: Arc<dyn Fn(DirectoryProgress) + Send + Sync>,
    ) -> Requests {
        let (counters, cost, told) = Default::default();
        Requests { http, url: url.clone(), options, progress, counters, cost, told }
    }

    /// Uses the directory delta that came with a head, if it is one from the version of the last pull.
    pub(super) fn told(self, head: &LiveHead) -> Requests {
        Requests { told: Arc::new(Mutex::new(Some(head.clone()))), ..self }
    }

    /// Whether a head was told and not used yet.
    pub(super) fn has_told(&self) -> bool {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The directory delta that came with a head, the first time.
    pub(super) fn take_told(&self, from: Version) -> Option<Bytes> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner).take();
        told.and_then(|head| head.delta_from(from))
    }

    /// A way to send requests, one after the other.
    pub(super) fn asset(&self) -> Result<Asset, PullError> {
        let this = self.clone();
        let report = move |progress: crate::client::Progress| this.report_state(progress.state);
        Asset::new(self.http.clone(), &self.url, &self.options, Arc::new(report))
    }

    /// The URL of the directory, without user name and password.
    pub(super) fn url(&self) -> String {
        crate::client::credentials::split(&self.url).0.to_string()
    }

    /// Adds what the requests of an asset cost.
    pub(super) fn add(&self, cost: &PullCost) {
        let mut sum = self.cost.lock().unwrap_or_else(PoisonError::into_inner);
        sum.sent += cost.sent;
        sum.received += cost.received;
        sum.requests += cost.requests;
    }

    pub(super) fn cost(&self) -> PullCost {
        *self.cost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes bytes that arrived.
    pub(super) fn received(&self, len: usize) {
        self.counters.received.fetch_add(len as u64, Ordering::Relaxed);
        self.report_state(PullState::Receiving);
    }

    pub(super) fn report_state(&self, state: PullState) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { files, total_files, done, total, received } = &*self.counters;
        (self.progress)(DirectoryProgress {
            files: read(files),
            total_files: read(total_files),
            done: read(done),
            total: read(total),
            received: read(received),
            state,
        });
    }
}
