//! Making a delta, whoever wants it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use driblet_core::{Codec, EncodeOptions, Encoder, Matches};

use super::ArtifactError;
use super::spool::{Artifact, Spool};
use crate::history::{History, Kept};

/// How deltas are made, and how many there were. A copy on another thread keeps no history open.
#[derive(Clone)]
pub(super) struct Deltas {
    history: Weak<dyn History>,
    options: EncodeOptions,
    encodes: Arc<AtomicU64>,
}

impl Deltas {
    /// `budget` is each encoder's, in bytes of working memory.
    pub(super) fn new(history: &Arc<dyn History>, budget: usize) -> Deltas {
        let options = EncodeOptions { budget, ..EncodeOptions::default() };
        Deltas { history: Arc::downgrade(history), options, encodes: Arc::default() }
    }

    /// How many have been begun.
    pub(super) fn encodes(&self) -> u64 {
        self.encodes.load(Ordering::Relaxed)
    }

    /// The delta from a version, or from nothing, for a request that waits. Both stay readable while they are held, whatever is evicted.
    pub(super) fn at_once(&self, from: Option<&Kept>, to: &Kept) -> Result<Artifact, ArtifactError> {
        self.encodes.fetch_add(1, Ordering::Relaxed);
        self.encode(Encoder::new(from.map_or(&[][..], Kept::bytes), to.bytes(), self.options), &[])
    }

    /// The delta from a version, when nobody waits for it.
    pub(super) fn at_leisure(&self, codec: Codec, from: &Kept, to: &Kept) -> Result<Artifact, ArtifactError> {
        self.encodes.fetch_add(1, Ordering::Relaxed);
        let options = EncodeOptions { codec, thorough: true, ..self.options };
        self.encode(Encoder::new(from.bytes(), to.bytes(), options), &[])
    }

    /// The answer to a signature: the runs, and the delta from what matched.
    pub(super) fn matched(&self, matches: &Matches, to: &Kept) -> Result<Artifact, ArtifactError> {
        self.encode(Encoder::matched(matches, to.bytes(), self.options), &matches.encode_runs())
    }

    /// A place for bytes that are being made.
    pub(super) fn spool(&self) -> Spool {
        Spool::new(self.history.clone())
    }

    fn encode(&self, mut encoder: Encoder<'_>, start: &[u8]) -> Result<Artifact, ArtifactError> {
        let mut spool = self.spool();
        spool.write(start)?;
        while let Some(bytes) = encoder.poll_output()? {
            spool.write(&bytes)?;
        }
        Ok(spool.finish()?)
    }
}
