use std::sync::Arc;
use std::time::Duration;

use driblet_core::{ChunkSizes, Codec, Cuts, Matches, Version};
use moka::policy::EvictionPolicy;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::ahead::Ahead;
use super::background::Background;
use super::coding::{self, Coding, Effort};
use super::deltas::Deltas;
use super::error::{ArtifactError, blocking};
use super::key::Key;
use super::permits::Turns;
use super::queue::{Job, Work};
use super::requested::{Making, fill};
use super::spool::{Artifact, Content, First, Room, Spool};
use super::store::Store;
use crate::history::{History, Kept};

/// What one artifact counts for at least, so that the budget bounds the open files too.
const LEAST_WEIGHT: u32 = 1 << 20;
/// Bytes of chunk lists that are kept.
const CHUNK_LISTS: u64 = 64 << 20;
/// Targets up to this length are made to their end before they are sent, in a few milliseconds, so that the answer says how long it is.
const SHORT: u64 = 256 << 10;
/// How long a plain request waits for the first encoded bytes before it gets the file as it is.
const PLAIN_PATIENCE: Duration = Duration::from_secs(1);
/// Versions of which it is known that encoding them does not pay.
const STUBBORN: u64 = 16 << 10;

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

pub(crate) struct Artifacts {
    made: moka::sync::Cache<Key, Artifact>,
    making: Arc<Making>,
    store: Arc<Store>,
    room: Arc<Room>,
    cuts: moka::future::Cache<Version, Arc<Cuts>>,
    stubborn: moka::sync::Cache<Version, ()>,
    turns: Arc<Turns>,
    patience: Duration,
    disk: u64,
    deltas: Deltas,
    ahead: Ahead,
    background: Arc<Background>,
}

impl Artifacts {
    /// A cache over a history, which it does not keep open.
    pub(crate) fn new(history: &Arc<dyn History>, options: Options) -> Artifacts {
        let weight = |_: &Key, artifact: &Artifact| match (&artifact.content, &artifact.verified) {
            // The store counts its bytes; here only its handle is.
            (Content::File(..), Some(_)) => LEAST_WEIGHT,
            (Content::File(_, len), None) => u32::try_from(*len).unwrap_or(u32::MAX).max(LEAST_WEIGHT),
            (content, _) => content.len().and_then(|len| u32::try_from(len).ok()).unwrap_or(u32::MAX).max(1),
        };
        // Half for what outlives the server, half for the rest.
        let made = moka::sync::Cache::builder()
            .max_capacity(options.disk.div_ceil(2))
            .weigher(weight)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let cuts = moka::future::Cache::builder()
            .max_capacity(CHUNK_LISTS)
            .weigher(|_, cuts: &Arc<Cuts>| u32::try_from(cuts.memory()).unwrap_or(u32::MAX))
            .build();
        let room = Arc::new(Room::new(history));
        let turns = Arc::new(Turns::new(options.makers, options.patience));
        let making = Making::new(made.clone(), room.clone(), turns.clone());
        let store = Arc::new(Store::open(history, options.disk / 2));
        let deltas = Deltas::new(options.memory);
        let background = Arc::new(Background {
            history: Arc::downgrade(history),
            made: made.clone(),
            making: making.clone(),
            store: store.clone(),
            room: room.clone(),
            deltas: deltas.clone(),
            turns: turns.clone(),
            line: Default::default(),
        });
        Artifacts {
            made,
            making,
            store,
            room,
            cuts,
            stubborn: moka::sync::Cache::new(STUBBORN),
            turns,
            patience: options.patience,
            disk: options.disk,
            deltas,
            ahead: Ahead::new(options.ahead, options.codec, options.disk),
            background,
        }
    }

    /// How many deltas have been begun.
    pub(crate) fn encodes(&self) -> u64 {
        self.deltas.encodes()
    }

    /// How many deltas were made before anybody asked for them.
    pub(crate) fn made_ahead(&self) -> u64 {
        self.background.ahead()
    }

    /// How many artifacts wait to be made in the background.
    pub(crate) fn waiting(&self) -> usize {
        self.background.waiting()
    }

    /// The delta from a version, or from nothing, to another, in a codec that every receiver reads; as soon as it has begun. Equal calls
    /// share one computation.
    pub(crate) async fn delta(&self, from: Option<Arc<Kept>>, to: Arc<Kept>) -> Result<Artifact, ArtifactError> {
        let basis = from.as_ref().map(|from| from.version);
        let key = Key::Delta { from: basis, to: to.version, codec: None };
        let (deltas, target) = (self.deltas.clone(), to.len);
        let bytes = target + from.as_ref().map_or(0, |from| from.len);
        let etag = self.delta_etag(basis, to.version);
        let spool = move |spool: Spool| spool.named(etag).up_to(target);
        let work = move |spool: &mut Spool| deltas.at_once(from.as_deref(), &to, spool);
        let artifact = self.making.begin(key, bytes, spool, work);
        let first = match basis {
            _ if target <= SHORT => First::All,
            None => First::Placed,
            // Which may be a few bytes, found after a while.
            Some(_) => First::Anything,
        };
        artifact.content.begun(first).await?;
        Ok(artifact)
    }

    /// The delta that is made at once, if it is made already or being made; else only its ETag.
    pub(crate) fn delta_if_made(&self, from: Option<Version>, to: Version) -> Artifact {
        let unmade = || Artifact { content: Content::Unmade, etag: self.delta_etag(from, to), verified: None };
        self.making.get(&Key::Delta { from, to, codec: None }).unwrap_or_else(unmade)
    }

    /// The ETag of the delta that is made at once.
    pub(crate) fn delta_etag(&self, from: Option<Version>, to: Version) -> Arc<str> {
        self.deltas.etag(from, to)
    }

    /// The better deltas that are made already and that the receiver reads, the best first. If the best of all is not among them it waits
    /// to be made: no request waits for it, and who asks next may have it.
    pub(crate) async fn better(&self, path: &str, from: Option<&Kept>, to: &Kept, reads_dense: bool) -> Vec<Artifact> {
        let codecs: Vec<Codec> = match from {
            Some(from) => self.ahead.codecs(from.len, to.len, reads_dense).collect(),
            None => self.ahead.betters_nothing(to.len).then_some(Codec::Fast).into_iter().collect(),
        };
        let mut made = Vec::new();
        for (place, codec) in codecs.into_iter().enumerate() {
            let work = Work::Delta { from: from.map(|from| from.version), codec };
            let job = Job { path: path.into(), to: to.version, work };
            match self.ready(job.key()).await {
                Some(artifact) => made.push(artifact),
                None if place == 0 => self.background.change(|queue| queue.ask(job)),
                None => {}
            }
        }
        made
    }

    /// A version as `Content-Encoding` has it, at its best, if that is made. If not it waits to be made.
    pub(crate) async fn best_encoded(&self, path: &str, kept: &Kept, coding: Coding) -> Option<Artifact> {
        let job = Job { path: path.into(), to: kept.version, work: Work::Coding(coding) };
        let ready = self.ready(job.key()).await;
        if ready.is_none() && self.ahead.betters_encoded(kept.len) && !self.stubborn.contains_key(&kept.version) {
            self.background.change(|queue| queue.ask(job));
        }
        ready
    }

    /// A version as `Content-Encoding` has it, as soon as it has begun; `None` where that does not pay, or cannot be made now. If `only_look`,
    /// nothing is begun.
    pub(crate) async fn encoded(
        &self,
        kept: Arc<Kept>,
        coding: Coding,
        etag: &str,
        only_look: bool,
    ) -> Option<Artifact> {
        let (len, version) = (kept.len, kept.version);
        // What does not fit the budget would be made anew for each request.
        if self.disk / 2 < len || self.stubborn.contains_key(&version) {
            return None;
        }
        let key = Key::Encoded(version, coding, Effort::AtOnce);
        let artifact = match self.making.get(&key) {
            Some(artifact) => artifact,
            None => {
                let sampled = kept.clone();
                if !blocking(move || Ok(coding::pays(sampled.bytes()))).await.unwrap_or(false) {
                    self.stubborn.insert(version, ());
                    return None;
                }
                if only_look {
                    return Some(Artifact { content: Content::Unmade, etag: etag.into(), verified: None });
                }
                let spool = |spool: Spool| spool.named(etag.into()).whole_or_none(len);
                self.making.begin(key, len, spool, move |spool| {
                    coding.compress(Effort::AtOnce, kept.bytes(), |bytes| spool.write(bytes))
                })
            }
        };
        let first = if len <= SHORT { First::All } else { First::Placed };
        timeout(PLAIN_PATIENCE, artifact.content.begun(first)).await.ok()?.ok()?;
        match artifact.content.len() {
            Some(encoded) if !coding::is_worth_it(encoded, len) => None,
            _ => Some(artifact),
        }
    }

    /// Makes the deltas to a path's new head ahead; `versions` and their lengths are the newest first. What waits for its former heads is
    /// not made.
    pub(crate) fn new_head(&self, path: &str, versions: &[(Version, u64)]) {
        let jobs = self.ahead.jobs(path, versions);
        self.background.change(|queue| queue.replace(path, jobs));
        self.store.retain(path, versions);
    }

    /// Waits until nothing is being made in the background, nor waits for it.
    pub(crate) async fn prepared(&self) {
        self.background.rested().await;
    }

    /// How long a request waits for its turn.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// The head's sections and chunks, cut once.
    pub(crate) async fn cuts(&self, kept: Arc<Kept>) -> Result<Arc<Cuts>, ArtifactError> {
        let version = kept.version;
        let make = self.in_turn(kept.len, move || Ok(Arc::new(Cuts::of(kept.bytes(), ChunkSizes::of(kept.bytes())))));
        self.cuts.try_get_with(version, make).await.map_err(ArtifactError::shared)
    }

    /// The answer to a signature: the runs, and the delta from what matched. Not kept: hardly any two are alike.
    pub(crate) async fn matched(&self, matches: Arc<Matches>, to: Arc<Kept>) -> Result<Artifact, ArtifactError> {
        let (deltas, len) = (self.deltas.clone(), to.len);
        let turn = self.turns.take(len).await?;
        let spool = Spool::new(self.room.clone()).up_to(len).for_one();
        let artifact = spool.artifact();
        spawn_blocking(move || {
            fill(spool, |spool| deltas.matched(&matches, &to, spool));
            drop(turn);
        });
        artifact.content.begun(if len <= SHORT { First::All } else { First::Anything }).await?;
        Ok(artifact)
    }

    /// Runs work that takes a core for a while, when it is its turn.
    pub(crate) async fn alone<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ArtifactError> + Send + 'static,
    ) -> Result<T, ArtifactError> {
        self.in_turn(u64::MAX, work).await
    }

    /// Runs work on so many bytes, when it is its turn.
    pub(crate) async fn in_turn<T: Send + 'static>(
        &self,
        bytes: u64,
        work: impl FnOnce() -> Result<T, ArtifactError> + Send + 'static,
    ) -> Result<T, ArtifactError> {
        let turn = self.turns.take(bytes).await?;
        blocking(move || {
            let _turn = turn;
            work()
        })
        .await
    }

    /// What was made in the background, in this run or an earlier one.
    async fn ready(&self, key: Key) -> Option<Artifact> {
        if let Some(artifact) = self.made.get(&key) {
            if artifact.is_intact() {
                return Some(artifact);
            }
            self.made.invalidate(&key);
            self.store.remove(&key);
        }
        if !self.store.has(&key) {
            return None;
        }
        let (store, wanted) = (self.store.clone(), key.clone());
        let artifact = blocking(move || Ok(store.get(&wanted))).await.ok()??;
        self.made.insert(key, artifact.clone());
        Some(artifact)
    }
}
