use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use driblet_core::browser_sync_stream::{ChunkIndex, Cutter, RabinChunk};
use tokio::sync::watch;

use super::error::SendError;
use crate::task::TaskFailed;

/// Bytes that are cut with one call.
const PIECE: u64 = 1 << 20;
/// The most chunks that one call gives.
const BATCH: usize = 256;
/// The most chunks of a list. Each takes 80 bytes.
const MAX_CHUNKS: usize = 1 << 20;

/// The chunks of a file. Senders share one list, and can read it while the file is still being cut.
pub(crate) struct ChunkList {
    chunks: RwLock<Vec<RabinChunk>>,
    index: OnceLock<Arc<ChunkIndex>>,
    progress: watch::Sender<CutProgress>,
}

/// The state of the cutting.
enum CutProgress {
    Growing { count: usize },
    Complete,
    Failed(CutError),
}

impl ChunkList {
    /// The list of a file that is not cut yet.
    pub(crate) fn new() -> Arc<ChunkList> {
        let progress = watch::Sender::new(CutProgress::Growing { count: 0 });
        Arc::new(ChunkList { chunks: RwLock::default(), index: OnceLock::new(), progress })
    }

    /// Reads and cuts the file. Blocks until the list is complete or has failed.
    pub(crate) fn cut(&self, file: &File, len: u64, cutter: Cutter) {
        match self.extend(file, len, cutter) {
            Ok(()) => drop(self.progress.send_replace(CutProgress::Complete)),
            Err(error) => self.fail(error),
        }
    }

    /// Ends the list with an error.
    pub(crate) fn fail(&self, error: CutError) {
        self.progress.send_replace(CutProgress::Failed(error));
    }

    #[cfg(feature = "server")]
    pub(crate) fn is_complete(&self) -> bool {
        matches!(*self.progress.borrow(), CutProgress::Complete)
    }

    /// Bytes of memory that a complete list takes, with the index that some receivers need.
    #[cfg(feature = "server")]
    pub(crate) fn memory(&self) -> usize {
        let chunks = self.chunks.read().unwrap_or_else(PoisonError::into_inner);
        chunks.capacity() * size_of::<RabinChunk>() + chunks.len() * size_of::<[u8; 32]>()
    }

    /// Some chunks from number `at` on; none at the end. Waits if the next chunk is not cut yet.
    pub(super) async fn after(&self, at: usize) -> Result<Vec<RabinChunk>, CutError> {
        self.wait(|count| at < count).await?;
        let chunks = self.chunks.read().unwrap_or_else(PoisonError::into_inner);
        let end = chunks.len().min(at + BATCH);
        Ok(chunks[at.min(end)..end].to_vec())
    }

    /// Whether chunk number `at` is cut, or the list has ended.
    pub(super) fn is_ready(&self, at: usize) -> bool {
        !matches!(*self.progress.borrow(), CutProgress::Growing { count } if count <= at)
    }

    /// The index of all chunks. Waits until they are cut.
    pub(super) async fn index(&self) -> Result<Arc<ChunkIndex>, CutError> {
        self.wait(|_| false).await?;
        let chunks = self.chunks.read().unwrap_or_else(PoisonError::into_inner);
        Ok(self.index.get_or_init(|| Arc::new(ChunkIndex::of(&chunks))).clone())
    }

    async fn wait(&self, is_enough: impl Fn(usize) -> bool) -> Result<(), CutError> {
        let mut progress = self.progress.subscribe();
        let is_over =
            |progress: &CutProgress| !matches!(progress, CutProgress::Growing { count } if !is_enough(*count));
        match progress.wait_for(is_over).await.as_deref() {
            Ok(CutProgress::Failed(error)) => Err(error.clone()),
            Ok(_) => Ok(()),
            // The sender lives as long as the list.
            Err(_) => Err(CutError::Interrupted),
        }
    }

    fn extend(&self, file: &File, len: u64, mut cutter: Cutter) -> Result<(), CutError> {
        let mut piece = vec![0; PIECE.min(len) as usize];
        for offset in (0..len).step_by(PIECE as usize) {
            let piece = &mut piece[..PIECE.min(len - offset) as usize];
            file.read_exact_at(piece, offset)?;
            cutter.handle_input(piece);
            self.push(&mut cutter)?;
        }
        cutter.handle_end();
        self.push(&mut cutter)?;
        self.chunks.write().unwrap_or_else(PoisonError::into_inner).shrink_to_fit();
        Ok(())
    }

    fn push(&self, cutter: &mut Cutter) -> Result<(), CutError> {
        let mut chunks = self.chunks.write().unwrap_or_else(PoisonError::into_inner);
        chunks.extend(std::iter::from_fn(|| cutter.poll_chunk()));
        let count = chunks.len();
        drop(chunks);
        if MAX_CHUNKS < count {
            return Err(CutError::TooManyChunks);
        }
        self.progress.send_replace(CutProgress::Growing { count });
        Ok(())
    }
}

/// Why a file cannot be cut.
#[derive(Clone, Debug)]
pub(crate) enum CutError {
    Io(Arc<io::Error>),
    TooManyChunks,
    #[cfg(feature = "server")]
    Busy,
    Interrupted,
    Task(TaskFailed),
}

impl From<io::Error> for CutError {
    fn from(error: io::Error) -> CutError {
        CutError::Io(Arc::new(error))
    }
}

impl From<TaskFailed> for CutError {
    fn from(failed: TaskFailed) -> CutError {
        CutError::Task(failed)
    }
}

impl From<CutError> for SendError {
    fn from(error: CutError) -> SendError {
        match error {
            CutError::Io(error) => SendError::File { source: io::Error::new(error.kind(), error) },
            CutError::TooManyChunks => SendError::TooManyChunks { limit: MAX_CHUNKS },
            #[cfg(feature = "server")]
            CutError::Busy => SendError::Busy,
            CutError::Task(failed) => SendError::Task(failed),
            CutError::Interrupted => {
                SendError::File { source: io::Error::other("the cutting of the file was interrupted") }
            }
        }
    }
}
