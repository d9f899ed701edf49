use std::sync::Arc;

use driblet_core::Version;
use driblet_core::browser_sync_stream::{BadOptions, Cutter, RabinOptions};
use moka::future::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::list::{ChunkList, CutError};
use crate::artifacts::{ArtifactError, Artifacts};
use crate::history::Kept;

/// Bytes of lists that are kept.
const LISTS: u64 = 64 << 20;
/// Receivers served at once. Each holds some pieces of a file and up to 16,384 hashes, less than 2 MiB together.
const SESSIONS: usize = 256;

/// What a server's sessions share: how files are cut, and the lists of chunks, one for each version.
pub(crate) struct Lists {
    options: RabinOptions,
    lists: Cache<Version, Arc<ChunkList>>,
    sessions: Arc<Semaphore>,
}

impl Lists {
    pub(crate) fn new(options: RabinOptions) -> Result<Lists, BadOptions> {
        options.check()?;
        let lists = Cache::builder()
            .max_capacity(LISTS)
            .weigher(|_, list: &Arc<ChunkList>| u32::try_from(list.memory()).unwrap_or(u32::MAX).max(1 << 10))
            .build();
        Ok(Lists { options, lists, sessions: Arc::new(Semaphore::new(SESSIONS)) })
    }

    /// A place for one more receiver, if there is one.
    pub(crate) fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.sessions.clone().try_acquire_owned().ok()
    }

    /// The chunks of a version; the first who asks has them cut.
    pub(crate) async fn of(&self, kept: &Arc<Kept>, artifacts: &Arc<Artifacts>) -> Result<Arc<ChunkList>, BadOptions> {
        let cutter = Cutter::new(self.options)?;
        let begin = async {
            let list = ChunkList::new();
            // A task of its own: who leaves does not undo the work that others wait for, or will ask for next.
            tokio::spawn(cut(list.clone(), self.lists.clone(), kept.clone(), artifacts.clone(), cutter));
            list
        };
        Ok(self.lists.get_with(kept.version, begin).await)
    }
}

async fn cut(
    list: Arc<ChunkList>,
    lists: Cache<Version, Arc<ChunkList>>,
    kept: Arc<Kept>,
    artifacts: Arc<Artifacts>,
    cutter: Cutter,
) {
    let (growing, version) = (list.clone(), kept.version);
    let work = move || {
        growing.cut(&kept.file(), kept.len, cutter);
        Ok(())
    };
    match artifacts.alone(work).await {
        Ok(()) => {}
        Err(ArtifactError::Busy) => list.fail(CutError::Busy),
        Err(_) => list.fail(CutError::Interrupted),
    }
    if list.is_whole() {
        // Again, to be weighed as what it has become.
        lists.insert(version, list).await;
    } else {
        lists.invalidate(&version).await;
    }
}
