//! Making a delta, whoever wants it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use driblet_core::{Codec, EncodeOptions, Encoder, Matches, Version};

use super::error::ArtifactError;
use super::spool::Spool;
use crate::history::Kept;

/// How deltas are made at once; another number where other bytes come out.
const RECIPE: &str = "driblet 1";

/// How deltas are made, and how many there were.
#[derive(Clone)]
pub(super) struct Deltas {
    options: EncodeOptions,
    encodes: Arc<AtomicU64>,
}

impl Deltas {
    /// `budget` is each encoder's, in bytes of working memory.
    pub(super) fn new(budget: usize) -> Deltas {
        Deltas { options: EncodeOptions { budget, ..EncodeOptions::default() }, encodes: Arc::default() }
    }

    /// How many have been begun.
    pub(super) fn encodes(&self) -> u64 {
        self.encodes.load(Ordering::Relaxed)
    }

    /// What tells the delta that is made at once, before it is made: the same versions give the same bytes each time.
    pub(super) fn etag(&self, from: Option<Version>, to: Version) -> Arc<str> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(RECIPE.as_bytes()).update(env!("CARGO_PKG_VERSION").as_bytes());
        hasher.update(&zstd_safe::version_number().to_le_bytes()).update(&self.options.budget.to_le_bytes());
        hasher.update(from.unwrap_or(Version::EMPTY).as_bytes()).update(to.as_bytes());
        hasher.finalize().to_hex()[..16].into()
    }

    /// The delta from a version, or from nothing, for a request that waits. Both stay readable while they are held, whatever is evicted.
    pub(super) fn at_once(&self, from: Option<&Kept>, to: &Kept, spool: &mut Spool) -> Result<(), ArtifactError> {
        self.between(from, to, self.options, spool)
    }

    /// The delta from a version, or from nothing, when nobody waits for it.
    pub(super) fn at_leisure(
        &self,
        codec: Codec,
        from: Option<&Kept>,
        to: &Kept,
        spool: &mut Spool,
    ) -> Result<(), ArtifactError> {
        self.between(from, to, EncodeOptions { codec, thorough: true, ..self.options }, spool)
    }

    /// The answer to a signature: the runs, and the delta from what matched.
    pub(super) fn matched(&self, matches: &Matches, to: &Kept, spool: &mut Spool) -> Result<(), ArtifactError> {
        spool.write(&matches.encode_runs())?;
        write(Encoder::matched(matches, to.bytes(), self.options), spool)
    }

    fn between(
        &self,
        from: Option<&Kept>,
        to: &Kept,
        options: EncodeOptions,
        spool: &mut Spool,
    ) -> Result<(), ArtifactError> {
        self.encodes.fetch_add(1, Ordering::Relaxed);
        // The history has verified both.
        let basis = from.map_or((&[][..], Version::EMPTY), |from| (from.bytes(), from.version));
        write(Encoder::of_versions(basis, (to.bytes(), to.version), options), spool)
    }
}

fn write(mut encoder: Encoder<'_>, spool: &mut Spool) -> Result<(), ArtifactError> {
    while let Some(bytes) = encoder.poll_output()? {
        spool.write(&bytes)?;
    }
    Ok(())
}
