//! Artifacts that requests wait for. Requests for the same artifact share one computation and read its output while it
//! is made.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::ArtifactError;
use super::key::Key;
use super::made::Made;
use super::permits::EncoderPermits;
use super::scratch_space::ScratchSpace;
use super::spool::{Artifact, Content, Spool};
use crate::task::blocking;

/// Starts artifacts, and remembers which are being made.
pub(super) struct Requested {
    made: Made,
    space: Arc<ScratchSpace>,
    encoder_permits: Arc<EncoderPermits>,
    growing: Mutex<HashMap<Key, Artifact>>,
}

impl Requested {
    pub(super) fn new(made: Made, space: Arc<ScratchSpace>, encoder_permits: Arc<EncoderPermits>) -> Arc<Requested> {
        Arc::new(Requested { made, space, encoder_permits, growing: Mutex::default() })
    }

    /// An artifact that is made or being made.
    pub(super) fn get(&self, key: &Key) -> Option<Artifact> {
        // Under the lock: an artifact enters `made` before it leaves `growing`.
        let growing = self.growing();
        self.made.get(key).or_else(|| growing.get(key).cloned())
    }

    /// Gives an artifact, and starts to make it if that has not begun. `bytes` is the amount of work, `spool` prepares
    /// the output, and `work` writes it.
    pub(super) fn begin(
        self: &Arc<Self>,
        key: Key,
        bytes: u64,
        spool: impl FnOnce(Spool) -> Spool,
        work: impl FnOnce(&mut Spool) -> Result<(), ArtifactError> + Send + 'static,
    ) -> Artifact {
        let mut growing = self.growing();
        if let Some(artifact) = self.made.get(&key).or_else(|| growing.get(&key).cloned()) {
            return artifact;
        }
        let spool = spool(Spool::new(self.space.clone()));
        let artifact = spool.artifact();
        growing.insert(key.clone(), artifact.clone());
        drop(growing);
        let requested = self.clone();
        // A task of its own: a request that gives up does not stop work that others wait for, or will ask for next.
        tokio::spawn(async move {
            let made = match requested.encoder_permits.acquire(bytes).await {
                Err(error) => {
                    spool.fail(error);
                    None
                }
                Ok(permit) => {
                    let run = move || {
                        let made = fill(spool, work);
                        drop(permit);
                        Ok::<_, ArtifactError>(made)
                    };
                    // After a panic, which is logged, the spool has told its readers.
                    blocking(run).await.ok().flatten()
                }
            };
            // An artifact that is partly in memory is only for those who read it now.
            if let Some(made) = made.filter(|made| !matches!(made.content, Content::Growing(_))) {
                requested.made.insert(key.clone(), made);
            }
            requested.growing().remove(&key);
        });
        artifact
    }

    /// Waits until an artifact is not being made any more, whatever the result.
    pub(super) async fn ended(&self, key: &Key) {
        let artifact = self.growing().get(key).cloned();
        if let Some(artifact) = artifact {
            let _ = artifact.content.finished().await;
        }
    }

    fn growing(&self) -> MutexGuard<'_, HashMap<Key, Artifact>> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does the work. Readers of the spool learn of a failure.
pub(super) fn fill(mut spool: Spool, work: impl FnOnce(&mut Spool) -> Result<(), ArtifactError>) -> Option<Artifact> {
    match work(&mut spool) {
        Ok(()) => Some(spool.finish()),
        Err(error) => {
            spool.fail(error);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use driblet_core::Version;
    use tokio::time::timeout;

    use super::*;
    use crate::history::{DirectoryHistory, History, HistoryLimits};
    use crate::task::TaskFailed;

    /// The longest wait for an event.
    const LIMIT: Duration = Duration::from_secs(120);

    #[tokio::test]
    async fn readers_learn_of_work_that_panics_and_the_next_request_tries_again() {
        let folder = tempfile::tempdir().unwrap();
        let history = DirectoryHistory::open(folder.path(), Path::new("/nowhere"), HistoryLimits::default()).unwrap();
        let history: Arc<dyn History> = Arc::new(history);
        let (space, permits) = (Arc::new(ScratchSpace::new(&history)), Arc::new(EncoderPermits::new(1, LIMIT)));
        let requested = Requested::new(Made::new(1 << 20), space, permits);
        let key = Key::Delta { from: None, to: Version::EMPTY, codec: None };
        let run = async {
            let artifact = requested.begin(key.clone(), 1, |spool| spool, |_| panic!("a bug"));
            let finished = artifact.content.finished().await;
            assert!(matches!(finished, Err(ArtifactError::Task(TaskFailed::Panicked))));
            while requested.get(&key).is_some() {
                tokio::task::yield_now().await;
            }
            let artifact = requested.begin(key.clone(), 1, |spool| spool, |spool| spool.write(b"bytes"));
            assert_eq!(artifact.content.finished().await.unwrap().len(), Some(5));
        };
        timeout(LIMIT, run).await.unwrap();
    }
}
