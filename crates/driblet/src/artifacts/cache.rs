//! Finds artifacts that are made, and makes those that are not.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use driblet_core::{ChunkSizes, Codec, Cuts, Matches, Version};
use tokio::time::timeout;

use super::ahead::AheadRule;
use super::background::Background;
use super::coding::{self, Coding, Effort};
use super::deltas::DeltaEncoder;
use super::dictionary::{self, DictionaryCoding, DictionaryHash};
use super::directory_plan::DirectoryPlans;
use super::error::ArtifactError;
use super::key::Key;
use super::made::Made;
use super::permits::EncoderPermits;
use super::requested::Requested;
use super::scratch_space::ScratchSpace;
use super::spool::{Artifact, Content, Spool, WaitFor};
use super::store::ArtifactStore;
use crate::history::{History, StoredVersion};
use crate::recent::recent;
use crate::task::blocking;

/// Bytes of chunk lists that are kept in memory.
const CHUNK_LISTS: u64 = 64 << 20;
/// Deltas and encodings of files up to this length are finished before they are sent, so that the answer states its
/// length.
const SHORT: u64 = 256 << 10;
/// How long a plain request waits for the first encoded bytes before it gets the file unencoded.
const ENCODED_TIMEOUT: Duration = Duration::from_secs(1);
/// How many versions' SHA-256 hashes are remembered.
const HASHES: u64 = 16 << 10;
/// How many deltas from matched chunks are remembered that a receiver asked for.
const ASKED_MATCHED: u64 = 4 << 10;
/// How many versions are remembered that do not shrink when they are encoded.
const INCOMPRESSIBLE: u64 = 16 << 10;

/// Limits and defaults of the artifact cache.
pub(crate) struct ArtifactOptions {
    /// How many previous versions get a delta to a new head before any request asks for one.
    pub(crate) ahead: usize,
    /// The codec of deltas that are made in the background.
    pub(crate) codec: Codec,
    /// Bytes of artifacts that are kept on the disk.
    pub(crate) disk: u64,
    /// Bytes of working memory of each encoder.
    pub(crate) memory: usize,
    /// How many artifacts are made at the same time for requests.
    pub(crate) encoders: usize,
    /// The longest that a request waits for an encoder.
    pub(crate) queue_timeout: Duration,
}

/// The artifacts of a server.
pub(crate) struct Artifacts {
    pub(super) made: Made,
    store: Arc<ArtifactStore>,
    cuts: moka::future::Cache<Version, Arc<Cuts>>,
    dictionary_hashes: moka::future::Cache<Version, DictionaryHash>,
    encoder_permits: Arc<EncoderPermits>,
    queue_timeout: Duration,
    /// The deltas from matched chunks that a receiver asked for.
    pub(super) asked_matched: moka::sync::Cache<Key, ()>,
    pub(super) encoder: DeltaEncoder,
    pub(super) directories: DirectoryPlans,
    pub(super) requested: Arc<Requested>,
    pub(super) incompressible: moka::sync::Cache<Version, ()>,
    pub(super) ahead: AheadRule,
    pub(super) background: Arc<Background>,
}

impl Artifacts {
    /// A cache over a history, which it does not keep open.
    pub(crate) fn new(history: &Arc<dyn History>, options: ArtifactOptions) -> Artifacts {
        // Half of the budget is for the store, half for the artifacts that end with the server.
        let made = Made::new(options.disk.div_ceil(2));
        let cuts = moka::future::Cache::builder()
            .max_capacity(CHUNK_LISTS)
            .weigher(|_, cuts: &Arc<Cuts>| u32::try_from(cuts.memory()).unwrap_or(u32::MAX))
            .build();
        let space = Arc::new(ScratchSpace::new(history));
        let encoder_permits = Arc::new(EncoderPermits::new(options.encoders, options.queue_timeout));
        let requested = Requested::new(made.clone(), space.clone(), encoder_permits.clone());
        let store = Arc::new(ArtifactStore::open(history, options.disk / 2));
        let encoder = DeltaEncoder::new(options.memory);
        let background = Arc::new(Background {
            history: Arc::downgrade(history),
            made: made.clone(),
            requested: requested.clone(),
            store: store.clone(),
            space: space.clone(),
            encoder: encoder.clone(),
            encoder_permits: encoder_permits.clone(),
            state: Default::default(),
        });
        Artifacts {
            made,
            store,
            cuts,
            dictionary_hashes: moka::future::Cache::new(HASHES),
            encoder_permits,
            queue_timeout: options.queue_timeout,
            asked_matched: recent(ASKED_MATCHED).build(),
            encoder,
            directories: DirectoryPlans::new(),
            requested,
            incompressible: recent(INCOMPRESSIBLE).build(),
            ahead: AheadRule::new(options.ahead, options.codec, options.disk),
            background,
        }
    }

    /// How many deltas were begun.
    pub(crate) fn encodes(&self) -> u64 {
        self.encoder.encodes()
    }

    /// How many deltas were made before any request asked for them.
    pub(crate) fn made_ahead(&self) -> u64 {
        self.background.made_ahead()
    }

    /// How many artifacts wait to be made in the background.
    pub(crate) fn waiting(&self) -> usize {
        self.background.waiting()
    }

    /// Queues the deltas to a path's new head; `versions` and their lengths are the newest first. Deltas to the path's
    /// former heads leave the queue.
    pub(crate) fn new_head(&self, path: &str, versions: &[(Version, u64)]) {
        let jobs = self.ahead.jobs(path, versions);
        self.background.change(|queue| queue.replace(path, jobs));
        self.store.retain(path, versions);
    }

    /// Drops all artifacts that may have bytes of these versions. Others in memory are dropped too, and made again.
    pub(crate) fn forget(&self, versions: &HashSet<Version>) {
        self.store.forget(versions);
        self.made.remove_all();
        self.directories.plans.invalidate_all();
        self.directories.names.invalidate_all();
    }

    /// Waits until nothing is being made in the background and nothing is queued.
    pub(crate) async fn prepared(&self) {
        self.background.idle().await;
    }

    /// The longest that a request waits for an encoder.
    pub(crate) fn queue_timeout(&self) -> Duration {
        self.queue_timeout
    }

    /// The sections and chunks of a version. Each version is cut once.
    pub(crate) async fn cuts(&self, stored: Arc<StoredVersion>) -> Result<Arc<Cuts>, ArtifactError> {
        let (version, len) = (stored.version, stored.len);
        let cut = move || Ok(Arc::new(Cuts::of(stored.bytes(), ChunkSizes::of(stored.bytes()))));
        self.cuts.try_get_with(version, self.with_permit(len, cut)).await.map_err(ArtifactError::shared)
    }

    /// Runs work on this many bytes as soon as an encoder is free.
    pub(crate) async fn with_permit<T: Send + 'static>(
        &self,
        bytes: u64,
        work: impl FnOnce() -> Result<T, ArtifactError> + Send + 'static,
    ) -> Result<T, ArtifactError> {
        let permit = self.encoder_permits.acquire(bytes).await?;
        blocking(move || {
            let _permit = permit;
            work()
        })
        .await
    }

    /// The ETag of the interactive delta.
    pub(super) fn delta_etag(&self, from: Option<Version>, to: Version) -> Arc<str> {
        self.encoder.etag(from, to)
    }

    /// The interactive delta if it is made or being made; otherwise its ETag without content.
    pub(super) fn delta_if_made(&self, from: Option<Version>, to: Version) -> Artifact {
        let unmade = || Artifact { content: Content::Unmade, etag: self.delta_etag(from, to), verified: None };
        self.requested.get(&Key::Delta { from, to, codec: None }).unwrap_or_else(unmade)
    }

    /// The interactive delta from a version, or from nothing, as soon as there is something to send.
    pub(super) async fn interactive_delta(
        &self,
        from: Option<Arc<StoredVersion>>,
        to: Arc<StoredVersion>,
    ) -> Result<Artifact, ArtifactError> {
        let basis = from.as_ref().map(|from| from.version);
        let key = Key::Delta { from: basis, to: to.version, codec: None };
        let (encoder, target) = (self.encoder.clone(), to.len);
        let bytes = target + from.as_ref().map_or(0, |from| from.len);
        let etag = self.delta_etag(basis, to.version);
        let spool = move |spool: Spool| spool.named(etag).up_to(target);
        let work = move |spool: &mut Spool| encoder.interactive(from.as_deref(), &to, spool);
        let artifact = self.requested.begin(key, bytes, spool, work);
        let first = match basis {
            _ if target <= SHORT => WaitFor::Everything,
            None => WaitFor::Disk,
            // The encoder may find a few bytes late.
            Some(_) => WaitFor::Anything,
        };
        artifact.content.begun(first).await?;
        Ok(artifact)
    }

    /// The interactive delta from the chunks that a signature matched.
    pub(super) async fn interactive_matched(
        &self,
        matches: Arc<Matches>,
        to: Arc<StoredVersion>,
    ) -> Result<Artifact, ArtifactError> {
        let (encoder, len) = (self.encoder.clone(), to.len);
        let key = Key::Matched { basis: matches.basis_id(), to: to.version, effort: Effort::Interactive };
        let work = move |spool: &mut Spool| encoder.matched(&matches, &to, Effort::Interactive, spool);
        let artifact = self.requested.begin(key, len, |spool| spool.up_to(len), work);
        artifact.content.begun(if len <= SHORT { WaitFor::Everything } else { WaitFor::Anything }).await?;
        Ok(artifact)
    }

    /// The interactive encoding of a version, as soon as there is something to send. `None` if the version does not
    /// shrink, or if the encoding cannot be made now: the file itself is sent then. With `only_look` nothing is begun.
    pub(super) async fn interactive_encoding(
        &self,
        stored: Arc<StoredVersion>,
        coding: Coding,
        etag: &str,
        only_look: bool,
    ) -> Result<Option<Artifact>, ArtifactError> {
        let (len, version) = (stored.len, stored.version);
        let key = Key::Encoded(version, coding, Effort::Interactive);
        // An encoding that does not fit the budget would be made again for each request.
        if !self.made.fits(&key, len) || self.incompressible.contains_key(&version) {
            return Ok(None);
        }
        let artifact = match self.requested.get(&key) {
            Some(artifact) => artifact,
            None => {
                let sampled = stored.clone();
                if !blocking(move || Ok::<_, ArtifactError>(coding::sample_shrinks(sampled.bytes()))).await? {
                    self.incompressible.insert(version, ());
                    return Ok(None);
                }
                if only_look {
                    return Ok(Some(Artifact { content: Content::Unmade, etag: etag.into(), verified: None }));
                }
                let spool = |spool: Spool| spool.named(etag.into()).whole_or_none(len);
                let metrics = self.encoder.metrics().clone();
                self.requested.begin(key, len, spool, move |spool| {
                    coding.compress(Effort::Interactive, stored.bytes(), &metrics, |bytes| spool.write(bytes))
                })
            }
        };
        let Some(artifact) = self.begun_in_time(artifact, len).await? else { return Ok(None) };
        let shrinks = artifact.content.len().is_none_or(|encoded| coding::is_worth_it(encoded, len));
        Ok(shrinks.then_some(artifact))
    }

    /// The hash by which clients name a version as a dictionary. Each version is hashed once.
    pub(super) async fn dictionary_hash(&self, stored: Arc<StoredVersion>) -> Result<DictionaryHash, ArtifactError> {
        let (version, len) = (stored.version, stored.len);
        let hash = move || Ok(dictionary::hash_of(stored.bytes()));
        self.dictionary_hashes.try_get_with(version, self.with_permit(len, hash)).await.map_err(ArtifactError::shared)
    }

    /// A version that is encoded against a dictionary while a request waits, as soon as there is something to send.
    /// `None` if it cannot be made now.
    pub(super) async fn interactive_with_dictionary(
        &self,
        (dictionary, hash): (Arc<StoredVersion>, DictionaryHash),
        stored: Arc<StoredVersion>,
        coding: DictionaryCoding,
        etag: &str,
    ) -> Result<Option<Artifact>, ArtifactError> {
        let (from, to, len, effort) = (dictionary.version, stored.version, stored.len, Effort::Interactive);
        let key = Key::WithDictionary { from, to, coding, effort };
        let spool = |spool: Spool| spool.named(etag.into()).whole_or_none(len);
        let metrics = self.encoder.metrics().clone();
        let artifact = self.requested.begin(key, len + dictionary.len, spool, move |spool| {
            coding.compress(effort, (dictionary.bytes(), &hash), stored.bytes(), &metrics, |bytes| spool.write(bytes))
        });
        self.begun_in_time(artifact, len).await
    }

    /// An artifact of a file of this length, when its first bytes can be sent. `None` if that takes too long, or fails.
    async fn begun_in_time(&self, artifact: Artifact, len: u64) -> Result<Option<Artifact>, ArtifactError> {
        let first = if len <= SHORT { WaitFor::Everything } else { WaitFor::Disk };
        match timeout(ENCODED_TIMEOUT, artifact.content.begun(first)).await {
            Ok(Ok(())) => Ok(Some(artifact)),
            Ok(Err(failed @ ArtifactError::Task(_))) => Err(failed),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// An artifact that was made in the background, in this run of the server or an earlier one. An artifact that
    /// another program changed is removed, and counts as not made.
    pub(super) async fn ready(&self, key: Key) -> Result<Option<Artifact>, ArtifactError> {
        if let Some(artifact) = self.made.get(&key) {
            if artifact.is_intact() {
                return Ok(Some(artifact));
            }
            self.made.remove(&key);
            self.store.remove(&key);
        }
        if !self.store.has(&key) {
            return Ok(None);
        }
        let (store, wanted) = (self.store.clone(), key.clone());
        let read = blocking(move || Ok::<_, ArtifactError>(store.open_or_remove(&wanted))).await?;
        if let Some(artifact) = &read {
            self.made.insert(key, artifact.clone());
        }
        Ok(read)
    }
}
