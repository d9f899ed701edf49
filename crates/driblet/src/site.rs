//! What every request works with, and the opening of heads and versions.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use driblet_core::Version;
use driblet_core::directory::{Manifest, ManifestLimits};
use tokio::sync::Semaphore;
use tracing::warn;

use crate::artifacts::{Artifacts, DirectoryVersion};
#[cfg(feature = "browser-sync-stream")]
use crate::browser_sync_stream::ChunkLists;
use crate::causes::with_causes;
use crate::fingerprint::Fingerprint;
use crate::history::{Head, History, HistoryError, Observation, StoredVersion};
use crate::http::{AdmittedPath, Grants, SiteRules};
use crate::live::LiveStreams;
use crate::publisher::{PathState, PlainContent, PublishError, Publisher};
use crate::recent::recent;
use crate::sidecars::Sidecars;
use crate::task::blocking;

/// What every request works with.
pub(crate) struct Site {
    pub(crate) publisher: Publisher,
    pub(crate) artifacts: Arc<Artifacts>,
    pub(crate) history: Arc<dyn History>,
    /// What lets a receiver use a version of one path as the basis of another.
    pub(crate) grants: Grants,
    /// The manifests of directory versions.
    pub(crate) manifests: Manifests,
    /// Whether shared caches must keep no answer.
    pub(crate) private: bool,
    /// Whether service workers are told to unregister.
    pub(crate) unregister: bool,
    /// What is done for the site as a whole.
    pub(crate) rules: SiteRules,
    pub(crate) sidecars: Sidecars,
    /// Versions that were sent a moment ago.
    pub(crate) recent: RecentVersions,
    pub(crate) live: LiveStreams,
    /// How long a request waits for a client's bytes.
    pub(crate) deadline: Duration,
    /// The most tags that a signature may have.
    pub(crate) max_tags: u64,
    /// Permits to send a signature, which takes as much memory as its tags.
    pub(crate) signature_permits: Semaphore,
    /// What the sessions of browser-sync-stream share; `None` if the server does not answer them.
    #[cfg(feature = "browser-sync-stream")]
    pub(crate) chunk_lists: Option<Arc<ChunkLists>>,
}

/// Bytes of the manifests that are kept in memory.
const MANIFESTS: u64 = 128 << 20;
/// How long the manifest of what a receiver holds is kept after its last use.
const HELD: Duration = Duration::from_secs(600);

/// Parsed manifests.
pub(crate) struct Manifests {
    /// Those of published versions.
    published: moka::sync::Cache<Version, Arc<Manifest>>,
    /// Those that receivers say they hold, by the directory's path and the version.
    held: moka::sync::Cache<(String, Version), Arc<Manifest>>,
}

impl Manifests {
    pub(crate) fn new() -> Manifests {
        // Paths, and 50 bytes for each file.
        let weight = |manifest: &Manifest| u32::try_from(100 * manifest.len() + 100).unwrap_or(u32::MAX);
        Manifests {
            published: moka::sync::Cache::builder()
                .max_capacity(MANIFESTS)
                .weigher(move |_, manifest: &Arc<Manifest>| weight(manifest))
                .build(),
            held: recent(MANIFESTS)
                .weigher(move |_, manifest: &Arc<Manifest>| weight(manifest))
                .time_to_idle(HELD)
                .build(),
        }
    }

    /// Drops all parsed manifests.
    pub(crate) fn clear(&self) {
        self.published.invalidate_all();
        self.held.invalidate_all();
    }

    /// Keeps the manifest of what a receiver holds.
    pub(crate) fn hold(&self, path: &str, held: &DirectoryVersion) {
        self.held.insert((path.to_owned(), held.version), held.manifest.clone());
    }
}

/// The most versions that stay open because they were sent a moment ago, and for how long. `ServeOptions` counts their
/// files.
const RECENT: u64 = 128;
const RECENTLY: Duration = Duration::from_secs(10);

/// Short versions that stay open for a while, since the next request is likely to be for one of them.
pub(crate) struct RecentVersions(moka::sync::Cache<Version, Arc<StoredVersion>>);

impl RecentVersions {
    pub(crate) fn new() -> RecentVersions {
        RecentVersions(moka::sync::Cache::builder().max_capacity(RECENT).time_to_idle(RECENTLY).build())
    }

    /// Closes all versions, unless answers still need them.
    pub(crate) fn clear(&self) {
        self.0.invalidate_all();
    }
}

/// The published content of a path, opened.
pub(crate) enum OpenPath {
    File(Head, Arc<StoredVersion>),
    Folder,
    Nothing,
}

/// The content of a path, published or not, opened.
pub(crate) enum OpenPlain {
    /// Bytes with a version, and what the file looked like when they were read.
    File(Observation, Arc<StoredVersion>),
    /// The file itself, because the history cannot give a version.
    Direct(Arc<File>, Fingerprint),
    Folder,
    Nothing,
}

/// How much work a server has done since it was built.
///
/// ```no_run
/// # async fn run() -> Result<(), driblet::BuildError> {
/// let server = driblet::Server::builder("dist").build().await?;
/// server.prepared().await;
/// let stats = server.stats();
/// println!("{} deltas were made ahead, {} jobs wait", stats.ahead, stats.waiting);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// How many times a file was read to be published.
    pub readings: u64,
    /// Deltas that were begun. Equal requests share one.
    pub encodes: u64,
    /// Deltas that were made before any request asked for them.
    pub ahead: u64,
    /// Deltas and encoded files that wait to be made in the background.
    pub waiting: usize,
}

/// How often a head is opened again that was replaced before it was open.
const TRIES: u32 = 4;

impl Site {
    /// How much work has been done.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            readings: self.publisher.readings(),
            encodes: self.artifacts.encodes(),
            ahead: self.artifacts.made_ahead(),
            waiting: self.artifacts.waiting(),
        }
    }

    /// Opens what is published at a path.
    pub(crate) async fn open(&self, path: &str) -> Result<OpenPath, PublishError> {
        for _ in 0..TRIES {
            match self.publisher.refresh(path).await? {
                PathState::File(head) => {
                    // If another program changed the stored bytes, the history drops the version and the file is read
                    // again.
                    if let Some(stored) = self.version(path, head.version).await? {
                        return Ok(OpenPath::File(head, stored));
                    }
                }
                PathState::Folder => return Ok(OpenPath::Folder),
                PathState::Nothing => return Ok(OpenPath::Nothing),
            }
        }
        Err(PublishError::Unstable { path: path.to_owned() })
    }

    /// Opens the content at a path, published or not. A failing history is no error here.
    pub(crate) async fn open_plain(&self, path: AdmittedPath<'_>) -> Result<OpenPlain, PublishError> {
        let path = path.as_str();
        if let Some(head) = self.publisher.known(path)
            && let Some(stored) = self.opened(&head.version)
        {
            return Ok(OpenPlain::File(head.observation, stored));
        }
        let mut plain = self.publisher.plain_content(path).await?;
        for _ in 0..TRIES {
            plain = match plain {
                PlainContent::Head(head) => match self.version(path, head.version).await {
                    Ok(Some(stored)) => {
                        if stored.in_memory().is_some() {
                            self.recent.0.insert(head.version, stored.clone());
                        }
                        return Ok(OpenPlain::File(head.observation, stored));
                    }
                    // As above: the file is read again.
                    Ok(None) => self.publisher.plain_content(path).await?,
                    Err(HistoryError::Task(failed)) => return Err(failed.into()),
                    Err(error) => {
                        let error = with_causes(&error);
                        warn!(path, error, "a version cannot be opened; the server sends the file itself");
                        self.publisher.direct(path, None).await?
                    }
                },
                PlainContent::UnpublishedCopy(copy) => {
                    return Ok(OpenPlain::File(copy.observation, copy.stored));
                }
                PlainContent::Direct(file, fingerprint) => return Ok(OpenPlain::Direct(Arc::new(file), fingerprint)),
                PlainContent::Folder => return Ok(OpenPlain::Folder),
                PlainContent::Nothing => return Ok(OpenPlain::Nothing),
            };
        }
        Err(PublishError::Unstable { path: path.to_owned() })
    }

    /// A version that was sent a moment ago, and that no other program has changed since. Never waits for a disk.
    fn opened(&self, version: &Version) -> Option<Arc<StoredVersion>> {
        self.recent.0.get(version)?;
        self.history.opened(version)
    }

    /// A version of a directory that was published, or that a receiver said it holds; `None` if it is not known.
    pub(crate) async fn directory_version(
        &self,
        path: &str,
        version: Version,
    ) -> Result<Option<DirectoryVersion>, HistoryError> {
        self.history.requested(&version);
        let key = Publisher::directory_key(path);
        if self.history.versions(&key).iter().any(|(known, _)| *known == version) {
            if let Some(manifest) = self.manifests.published.get(&version) {
                return Ok(Some(DirectoryVersion { version, manifest }));
            }
            let Some(stored) = self.version(&key, version).await? else { return Ok(None) };
            let holds_guarded = self.publisher.holds_guarded(path);
            let parse = move || {
                let manifest = Manifest::parse(stored.bytes(), ManifestLimits::default()).ok();
                Ok::<_, HistoryError>(manifest.filter(|manifest| !holds_guarded(manifest)))
            };
            let manifest = blocking(parse).await?.map(Arc::new);
            return Ok(manifest.map(|manifest| {
                self.manifests.published.insert(version, manifest.clone());
                DirectoryVersion { version, manifest }
            }));
        }
        let held = self.manifests.held.get(&(path.to_owned(), version));
        Ok(held.map(|manifest| DirectoryVersion { version, manifest }))
    }

    /// Opens a version of a path; `None` if it is not stored. The first opening reads the whole version to verify it.
    pub(crate) async fn version(
        &self,
        path: &str,
        version: Version,
    ) -> Result<Option<Arc<StoredVersion>>, HistoryError> {
        let (history, path) = (self.history.clone(), path.to_owned());
        blocking(move || history.open_or_drop(&path, &version)).await
    }
}
