use std::sync::Arc;

use driblet_core::Version;
use driblet_core::browser_sync_stream::{BadOptions, Cutter, RabinOptions};
use moka::future::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::list::{ChunkList, CutError};
use crate::artifacts::{ArtifactError, Artifacts};
use crate::history::StoredVersion;

/// Bytes of lists that are kept in memory.
const LISTS: u64 = 64 << 20;
/// The most receivers that are served at the same time. Each takes less than 2 MiB, for pieces of a file and up to
/// 16,384 hashes.
const SESSIONS: usize = 256;

/// What the sessions of a server share: the options for cutting, and one list of chunks for each version.
pub(crate) struct ChunkLists {
    options: RabinOptions,
    lists: Cache<Version, Arc<ChunkList>>,
    sessions: Arc<Semaphore>,
}

impl ChunkLists {
    pub(crate) fn new(options: RabinOptions) -> Result<ChunkLists, BadOptions> {
        options.check()?;
        let lists = Cache::builder()
            .max_capacity(LISTS)
            .weigher(|_, list: &Arc<ChunkList>| u32::try_from(list.memory()).unwrap_or(u32::MAX).max(1 << 10))
            .build();
        Ok(ChunkLists { options, lists, sessions: Arc::new(Semaphore::new(SESSIONS)) })
    }

    /// A permit for one more receiver, if there is one.
    pub(crate) fn permit(&self) -> Option<OwnedSemaphorePermit> {
        self.sessions.clone().try_acquire_owned().ok()
    }

    /// The chunks of a version. The first call starts the cutting.
    pub(crate) async fn of(
        &self,
        stored: &Arc<StoredVersion>,
        artifacts: &Arc<Artifacts>,
    ) -> Result<Arc<ChunkList>, BadOptions> {
        let cutter = Cutter::new(self.options)?;
        let begin = async {
            let list = ChunkList::new();
            // A task of its own: a receiver that leaves does not stop work that others wait for, or will ask for next.
            tokio::spawn(cut(list.clone(), self.lists.clone(), stored.clone(), artifacts.clone(), cutter));
            list
        };
        Ok(self.lists.get_with(stored.version, begin).await)
    }
}

async fn cut(
    list: Arc<ChunkList>,
    lists: Cache<Version, Arc<ChunkList>>,
    stored: Arc<StoredVersion>,
    artifacts: Arc<Artifacts>,
    cutter: Cutter,
) {
    let (growing, version) = (list.clone(), stored.version);
    let work = move || {
        growing.cut(&*stored.file()?, stored.len, cutter);
        Ok(())
    };
    match artifacts.with_permit(u64::MAX, work).await {
        Ok(()) => {}
        Err(ArtifactError::Busy) => list.fail(CutError::Busy),
        Err(ArtifactError::Task(failed)) => list.fail(failed.into()),
        Err(_) => list.fail(CutError::Interrupted),
    }
    if list.is_complete() {
        // Inserted again, so that the cache counts the memory of the whole list.
        lists.insert(version, list).await;
    } else {
        lists.invalidate(&version).await;
    }
}
