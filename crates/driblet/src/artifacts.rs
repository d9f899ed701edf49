//! What is made of versions once and sent many times: deltas and encoded files, under a budget of bytes.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use driblet_core::{Codec, Cuts, EncodeError, EncodeOptions, Encoder, Matches, Rungs, Version};
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use tokio::sync::{Notify, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::history::{History, Kept};

/// What is longer goes to an unnamed file of the history.
const IN_MEMORY: usize = 64 << 10;
/// What one artifact counts for at least, so that the budget bounds the open files too.
const LEAST_WEIGHT: u32 = 1 << 20;
/// Better deltas that wait at most; what comes then is asked for again by the next receiver.
const MAX_IMPROVING: usize = 16;
/// Bytes of chunk lists that are kept.
const CHUNK_LISTS: u64 = 64 << 20;

/// What making artifacts may cost.
pub(crate) struct Limits {
    /// Bytes of artifacts that are kept.
    pub(crate) disk: u64,
    /// Bytes of working memory of each encoder.
    pub(crate) memory: usize,
    /// How many are made at once.
    pub(crate) makers: usize,
    /// How long one waits for its turn.
    pub(crate) patience: Duration,
}

/// Bytes that were made once.
#[derive(Clone)]
pub(crate) struct Artifact {
    pub(crate) content: Content,
    /// The first 16 hex digits of the BLAKE3 of the bytes.
    pub(crate) etag: Arc<str>,
}

#[derive(Clone)]
pub(crate) enum Content {
    Memory(Bytes),
    File(Arc<File>, u64),
}

impl Content {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Content::Memory(bytes) => bytes.len() as u64,
            Content::File(_, len) => *len,
        }
    }
}

/// How a file is encoded for browsers that fetch it plainly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Coding {
    Brotli,
    Zstd,
}

impl Coding {
    /// Its name in `Content-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Delta(Option<Version>, Version, Codec),
    Encoded(Version, Coding),
}

pub(crate) struct Artifacts {
    history: Arc<dyn History>,
    made: Cache<Key, Artifact>,
    cuts: Cache<Version, Arc<Cuts>>,
    makers: Arc<Semaphore>,
    patience: Duration,
    options: EncodeOptions,
    encodes: AtomicU64,
    /// Better deltas that wait or are made, and the turns to make them: one, since nobody waits for it.
    improving: Mutex<HashSet<Key>>,
    improvers: Semaphore,
    improved: Notify,
}

impl Artifacts {
    /// An empty cache over a history.
    pub(crate) fn new(history: Arc<dyn History>, limits: Limits) -> Artifacts {
        let weight = |_: &Key, artifact: &Artifact| {
            let len = u32::try_from(artifact.content.len()).unwrap_or(u32::MAX);
            if matches!(artifact.content, Content::Memory(_)) { len.max(1) } else { len.max(LEAST_WEIGHT) }
        };
        let made =
            Cache::builder().max_capacity(limits.disk).weigher(weight).eviction_policy(EvictionPolicy::lru()).build();
        let cuts = Cache::builder()
            .max_capacity(CHUNK_LISTS)
            .weigher(|_, cuts: &Arc<Cuts>| u32::try_from(cuts.memory()).unwrap_or(u32::MAX))
            .build();
        let makers = Arc::new(Semaphore::new(limits.makers));
        Artifacts {
            history,
            made,
            cuts,
            makers,
            patience: limits.patience,
            options: EncodeOptions { budget: limits.memory, ..EncodeOptions::default() },
            encodes: AtomicU64::new(0),
            improving: Mutex::default(),
            improvers: Semaphore::new(1),
            improved: Notify::new(),
        }
    }

    /// How many deltas have been computed.
    pub(crate) fn encodes(&self) -> u64 {
        self.encodes.load(Ordering::Relaxed)
    }

    /// The delta from a version, or from the empty basis, to another, in a codec that every receiver reads. Equal calls share one
    /// computation.
    pub(crate) async fn delta(
        self: &Arc<Self>,
        from: Option<Arc<Kept>>,
        to: Arc<Kept>,
    ) -> Result<Artifact, ArtifactError> {
        let key = Key::Delta(from.as_ref().map(|kept| kept.version), to.version, Codec::Fast);
        self.shared(key, move |artifacts| {
            let basis = from.as_ref().map_or(&[][..], |kept| kept.bytes());
            artifacts.make_delta(Codec::Fast, basis, to.bytes())
        })
        .await
    }

    /// A better delta, if it is made already. If not, it is begun: nobody waits for it, and who asks next may have it.
    pub(crate) async fn better(self: &Arc<Self>, codec: Codec, from: &Arc<Kept>, to: &Arc<Kept>) -> Option<Artifact> {
        let key = Key::Delta(Some(from.version), to.version, codec);
        let made = self.made.get(&key).await;
        if made.is_none() && codec != Codec::Fast {
            self.improve(key, codec, from.clone(), to.clone());
        }
        made
    }

    /// Makes a better delta in the background, unless it is being made or many are waiting.
    fn improve(self: &Arc<Self>, key: Key, codec: Codec, from: Arc<Kept>, to: Arc<Kept>) {
        {
            let mut improving = self.improving.lock().unwrap_or_else(PoisonError::into_inner);
            if MAX_IMPROVING <= improving.len() || !improving.insert(key.clone()) {
                return;
            }
        }
        let artifacts = self.clone();
        tokio::spawn(async move {
            // Turns of its own: those that requests wait for stay free.
            let turn = artifacts.improvers.acquire().await;
            let making = artifacts.clone();
            let make = blocking(move || making.make_delta(codec, from.bytes(), to.bytes()));
            if let Err(error) = artifacts.made.try_get_with(key.clone(), make).await {
                tracing::warn!("a better delta could not be made: {error}");
            }
            drop(turn);
            artifacts.improving.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            artifacts.improved.notify_waiters();
        });
    }

    /// Waits until no better delta is being made.
    pub(crate) async fn improved(&self) {
        loop {
            let notified = self.improved.notified();
            if self.improving.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
                return;
            }
            notified.await;
        }
    }

    fn make_delta(&self, codec: Codec, basis: &[u8], target: &[u8]) -> Result<Artifact, ArtifactError> {
        self.encodes.fetch_add(1, Ordering::Relaxed);
        self.encode(Encoder::new(basis, target, EncodeOptions { codec, ..self.options }), &[])
    }

    /// A version as `Content-Encoding` has it.
    pub(crate) async fn encoded(self: &Arc<Self>, kept: Arc<Kept>, coding: Coding) -> Result<Artifact, ArtifactError> {
        self.shared(Key::Encoded(kept.version, coding), move |artifacts| {
            let mut spool = Spool::new();
            match coding {
                Coding::Brotli => compress_brotli(kept.bytes(), |bytes| spool.write(bytes, &*artifacts.history))?,
                Coding::Zstd => compress_zstd(kept.bytes(), |bytes| spool.write(bytes, &*artifacts.history))?,
            }
            spool.finish()
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
    pub(crate) async fn matched(
        self: &Arc<Self>,
        matches: Arc<Matches>,
        to: Arc<Kept>,
    ) -> Result<Artifact, ArtifactError> {
        let artifacts = self.clone();
        self.alone(move || {
            let runs = matches.encode_runs();
            artifacts.encode(Encoder::matched(&matches, to.bytes(), artifacts.options), &runs)
        })
        .await
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
        make: impl FnOnce(&Artifacts) -> Result<Artifact, ArtifactError> + Send + 'static,
    ) -> Result<Artifact, ArtifactError> {
        // A task of its own: a request that gives up does not undo the work that others wait for, or will ask for next.
        let artifacts = self.clone();
        let work = tokio::spawn(async move {
            let made = artifacts.made.try_get_with(
                key,
                artifacts.alone({
                    let artifacts = artifacts.clone();
                    move || make(&artifacts)
                }),
            );
            made.await.map_err(ArtifactError::shared)
        });
        work.await.unwrap_or(Err(ArtifactError::Interrupted))
    }

    fn encode(&self, mut encoder: Encoder<'_>, start: &[u8]) -> Result<Artifact, ArtifactError> {
        let mut spool = Spool::new();
        spool.write(start, &*self.history)?;
        while let Some(bytes) = encoder.poll_output()? {
            spool.write(&bytes, &*self.history)?;
        }
        spool.finish()
    }
}

/// Bytes that move from memory to a file when they become many.
struct Spool {
    memory: Vec<u8>,
    file: Option<File>,
    len: u64,
    hasher: blake3::Hasher,
}

impl Spool {
    fn new() -> Spool {
        Spool { memory: Vec::new(), file: None, len: 0, hasher: blake3::Hasher::new() }
    }

    fn write(&mut self, bytes: &[u8], history: &dyn History) -> io::Result<()> {
        self.hasher.update(bytes);
        self.len += bytes.len() as u64;
        if self.file.is_none() && self.memory.len() + bytes.len() <= IN_MEMORY {
            self.memory.extend_from_slice(bytes);
            return Ok(());
        }
        if self.file.is_none() {
            let mut file = history.scratch()?;
            file.write_all(&std::mem::take(&mut self.memory))?;
            self.file = Some(file);
        }
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }

    fn finish(self) -> Result<Artifact, ArtifactError> {
        let etag: Arc<str> = self.hasher.finalize().to_hex()[..16].into();
        let content = match self.file {
            None => Content::Memory(self.memory.into()),
            Some(mut file) => {
                file.rewind()?;
                Content::File(Arc::new(file), self.len)
            }
        };
        Ok(Artifact { content, etag })
    }
}

/// Level 5, fast enough for a first request to wait for, with a window that sees most of a bundle.
fn compress_brotli(bytes: &[u8], mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut reader = brotli::CompressorReader::new(bytes, 64 << 10, 5, 22);
    let mut piece = vec![0; 64 << 10];
    loop {
        match reader.read(&mut piece)? {
            0 => return Ok(()),
            read => write(&piece[..read])?,
        }
    }
}

/// Level 6, with the 8 MiB window that RFC 8878 asks every browser to have.
fn compress_zstd(bytes: &[u8], mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, zstd_sys::ZSTD_EndDirective};
    let failed = |code| io::Error::other(zstd_safe::get_error_name(code));
    let mut context = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
    context.set_parameter(CParameter::CompressionLevel(6)).map_err(failed)?;
    let mut input = InBuffer::around(bytes);
    let mut piece = vec![0; 64 << 10];
    loop {
        let mut output = OutBuffer::around(&mut piece[..]);
        let end = ZSTD_EndDirective::ZSTD_e_end;
        let left = context.compress_stream2(&mut output, &mut input, end).map_err(failed)?;
        write(output.as_slice())?;
        if left == 0 {
            return Ok(());
        }
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
