//! What is made of versions once and sent many times: deltas and encoded files, under a budget of bytes.

mod ahead;
mod background;
mod coding;
mod deltas;
mod queue;
mod spool;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use driblet_core::{Codec, Cuts, EncodeError, Matches, Rungs, Version};
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use ahead::Ahead;
use background::Background;
pub(crate) use coding::Coding;
use deltas::Deltas;
use queue::Job;
pub(crate) use spool::{Artifact, Content};

use crate::history::{History, Kept};
use crate::server::Stats;

/// What one artifact counts for at least, so that the budget bounds the open files too.
const LEAST_WEIGHT: u32 = 1 << 20;
/// Bytes of chunk lists that are kept.
const CHUNK_LISTS: u64 = 64 << 20;

/// What is made, and what it may cost.
pub(crate) struct Options {
    /// From how many of a path's last heads deltas are made before anybody asks for them.
    pub(crate) ahead: usize,
    /// What deltas are made of, for receivers that read everything.
    pub(crate) codec: Codec,
    /// Bytes of artifacts that are kept.
    pub(crate) disk: u64,
    /// Bytes of working memory of each encoder.
    pub(crate) memory: usize,
    /// How many are made at once.
    pub(crate) makers: usize,
    /// How long one waits for its turn.
    pub(crate) patience: Duration,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Delta(Option<Version>, Version, Care),
    Encoded(Version, Coding),
}

/// What goes into a delta.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Care {
    /// What a request can wait for, in what every receiver reads.
    AtOnce,
    /// All that helps, in a codec.
    AtLeisure(Codec),
}

pub(crate) struct Artifacts {
    made: Cache<Key, Artifact>,
    cuts: Cache<Version, Arc<Cuts>>,
    makers: Arc<Semaphore>,
    patience: Duration,
    deltas: Deltas,
    ahead: Ahead,
    background: Arc<Background>,
}

impl Artifacts {
    /// An empty cache over a history, which it does not keep open.
    pub(crate) fn new(history: &Arc<dyn History>, options: Options) -> Artifacts {
        let weight = |_: &Key, artifact: &Artifact| {
            let len = u32::try_from(artifact.content.len()).unwrap_or(u32::MAX);
            if matches!(artifact.content, Content::Memory(_)) { len.max(1) } else { len.max(LEAST_WEIGHT) }
        };
        let made =
            Cache::builder().max_capacity(options.disk).weigher(weight).eviction_policy(EvictionPolicy::lru()).build();
        let cuts = Cache::builder()
            .max_capacity(CHUNK_LISTS)
            .weigher(|_, cuts: &Arc<Cuts>| u32::try_from(cuts.memory()).unwrap_or(u32::MAX))
            .build();
        let makers = Arc::new(Semaphore::new(options.makers));
        let deltas = Deltas::new(history, options.memory);
        let background = Background::new(history, made.clone(), deltas.clone(), makers.clone());
        Artifacts {
            deltas,
            made,
            cuts,
            makers,
            patience: options.patience,
            ahead: Ahead::new(options.ahead, options.codec, options.disk),
            background,
        }
    }

    /// How much has been done.
    pub(crate) fn stats(&self) -> Stats {
        let background = &self.background;
        Stats { readings: 0, encodes: self.deltas.encodes(), ahead: background.ahead(), waiting: background.waiting() }
    }

    /// The delta from a version, or from the empty basis, to another, in a codec that every receiver reads. Equal calls share one
    /// computation.
    pub(crate) async fn delta(
        self: &Arc<Self>,
        from: Option<Arc<Kept>>,
        to: Arc<Kept>,
    ) -> Result<Artifact, ArtifactError> {
        let key = Key::Delta(from.as_ref().map(|kept| kept.version), to.version, Care::AtOnce);
        let deltas = self.deltas.clone();
        self.shared(key, move || deltas.at_once(from.as_deref(), &to)).await
    }

    /// The better deltas that are made already and that the receiver reads, the best first. If the best of all is not among them it waits
    /// to be made: no request waits for it, and who asks next may have it.
    pub(crate) async fn better(&self, path: &str, from: &Kept, to: &Kept, reads_dense: bool) -> Vec<Artifact> {
        let mut made = Vec::new();
        for (place, codec) in self.ahead.codecs(from.len, to.len, reads_dense).enumerate() {
            let job = Job { path: path.into(), from: from.version, to: to.version, codec };
            match self.made.get(&job.key()).await {
                Some(artifact) => made.push(artifact),
                None if place == 0 => self.background.change(|queue| queue.ask(job)),
                None => {}
            }
        }
        made
    }

    /// Makes the deltas to a path's new head ahead; `versions` and their lengths are the newest first. What waits for its former heads is
    /// not made.
    pub(crate) fn new_head(&self, path: &str, versions: &[(Version, u64)]) {
        let jobs = self.ahead.jobs(path, versions);
        self.background.change(|queue| queue.replace(path, jobs));
    }

    /// Waits until nothing is being made in the background, nor waits for it.
    pub(crate) async fn prepared(&self) {
        self.background.rested().await;
    }

    /// A version as `Content-Encoding` has it.
    pub(crate) async fn encoded(self: &Arc<Self>, kept: Arc<Kept>, coding: Coding) -> Result<Artifact, ArtifactError> {
        let mut spool = self.deltas.spool();
        self.shared(Key::Encoded(kept.version, coding), move || {
            coding::compress(coding, kept.bytes(), |bytes| spool.write(bytes))?;
            Ok(spool.finish()?)
        })
        .await
    }

    /// The head's sections and chunks, cut once.
    pub(crate) async fn cuts(&self, kept: Arc<Kept>) -> Result<Arc<Cuts>, ArtifactError> {
        let version = kept.version;
        let make = self.alone(move || Ok(Arc::new(Cuts::of(kept.bytes(), Rungs::of(kept.bytes())))));
        self.cuts.try_get_with(version, make).await.map_err(ArtifactError::shared)
    }

    /// The answer to a signature: the runs, and the delta from what matched. Not kept: hardly any two are alike.
    pub(crate) async fn matched(&self, matches: Arc<Matches>, to: Arc<Kept>) -> Result<Artifact, ArtifactError> {
        let deltas = self.deltas.clone();
        self.alone(move || deltas.matched(&matches, &to)).await
    }

    /// Runs work that takes a core for a while, when it is its turn.
    pub(crate) async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ArtifactError> + Send + 'static,
    ) -> Result<T, ArtifactError> {
        let turn =
            timeout(self.patience, self.makers.clone().acquire_owned()).await.map_err(|_| ArtifactError::Busy)?;
        let turn = turn.map_err(|_| ArtifactError::Interrupted)?;
        blocking(move || {
            let _turn = turn;
            work()
        })
        .await
    }

    async fn shared(
        self: &Arc<Self>,
        key: Key,
        make: impl FnOnce() -> Result<Artifact, ArtifactError> + Send + 'static,
    ) -> Result<Artifact, ArtifactError> {
        // A task of its own: a request that gives up does not undo the work that others wait for, or will ask for next.
        let artifacts = self.clone();
        let work = tokio::spawn(async move {
            artifacts.made.try_get_with(key, artifacts.alone(make)).await.map_err(ArtifactError::shared)
        });
        work.await.unwrap_or(Err(ArtifactError::Interrupted))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ArtifactError> + Send + 'static,
) -> Result<T, ArtifactError> {
    spawn_blocking(work).await.unwrap_or(Err(ArtifactError::Interrupted))
}

/// Why an artifact could not be made.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ArtifactError {
    #[error("others are being made; try again")]
    Busy,
    #[error("the server is stopping")]
    Interrupted,
    #[error("no room to make it: {0}")]
    Io(Arc<io::Error>),
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

impl ArtifactError {
    fn shared(error: Arc<ArtifactError>) -> ArtifactError {
        ArtifactError::clone(&error)
    }
}

impl From<io::Error> for ArtifactError {
    fn from(error: io::Error) -> ArtifactError {
        ArtifactError::Io(Arc::new(error))
    }
}
