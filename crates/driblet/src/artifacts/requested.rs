//! Artifacts that requests wait for: equal ones are made once, and read while they are made.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moka::sync::Cache;
use tokio::task::spawn_blocking;

use super::error::ArtifactError;
use super::key::Key;
use super::permits::Turns;
use super::spool::{Artifact, Content, Room, Spool};

/// What is made already, and what is being made.
pub(super) struct Making {
    made: Cache<Key, Artifact>,
    room: Arc<Room>,
    turns: Arc<Turns>,
    growing: Mutex<HashMap<Key, Artifact>>,
}

impl Making {
    pub(super) fn new(made: Cache<Key, Artifact>, room: Arc<Room>, turns: Arc<Turns>) -> Arc<Making> {
        Arc::new(Making { made, room, turns, growing: Mutex::default() })
    }

    /// What is made or being made.
    pub(super) fn get(&self, key: &Key) -> Option<Artifact> {
        // Under the lock, for what was made is kept before it is no more among those that are being made.
        let growing = self.growing();
        self.made.get(key).or_else(|| growing.get(key).cloned())
    }

    /// An artifact of so many bytes' work into a spool, which is begun if nobody has: a task of its own, so that a request that gives up does not undo
    /// what others wait for, or will ask for next.
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
        let spool = spool(Spool::new(self.room.clone()));
        let artifact = spool.artifact();
        growing.insert(key.clone(), artifact.clone());
        drop(growing);
        let making = self.clone();
        tokio::spawn(async move {
            let result = match making.turns.take(bytes).await {
                Err(error) => {
                    spool.fail(error);
                    None
                }
                Ok(turn) => {
                    let run = move || {
                        let made = fill(spool, work);
                        drop(turn);
                        made
                    };
                    spawn_blocking(run).await.ok().flatten()
                }
            };
            // What is partly in memory is for those who read it now.
            if let Some(made) = result.filter(|made| !matches!(made.content, Content::Growing(_))) {
                making.made.insert(key.clone(), made);
            }
            making.growing().remove(&key);
        });
        artifact
    }

    /// Waits until an artifact is not being made any more.
    pub(super) async fn ended(&self, key: &Key) {
        let artifact = self.growing().get(key).cloned();
        if let Some(artifact) = artifact {
            // However it ends.
            let _ = artifact.content.finished().await;
        }
    }

    fn growing(&self) -> MutexGuard<'_, HashMap<Key, Artifact>> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does the work; what failed is told to the readers.
pub(super) fn fill(mut spool: Spool, work: impl FnOnce(&mut Spool) -> Result<(), ArtifactError>) -> Option<Artifact> {
    match work(&mut spool) {
        Ok(()) => Some(spool.finish()),
        Err(error) => {
            spool.fail(error);
            None
        }
    }
}
