//! Runs the encoder.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use driblet_core::{Codec, EncodeOptions, Encoder, Matches, Version};

use super::coding::Effort;
use super::error::ArtifactError;
use super::spool::Spool;
use crate::history::StoredVersion;
use crate::metrics::{EncodeCodec, EncodeEffort, EncodeMetrics};

/// Part of each ETag of an interactive delta. Change it whenever the same versions give other bytes.
const RECIPE: &str = "driblet 1";

/// Makes deltas with one set of options, and counts them.
#[derive(Clone)]
pub(super) struct DeltaEncoder {
    options: EncodeOptions,
    encodes: Arc<AtomicU64>,
    metrics: Arc<EncodeMetrics>,
}

impl DeltaEncoder {
    /// `budget` is the working memory of each encoder, in bytes.
    pub(super) fn new(budget: usize) -> DeltaEncoder {
        let options = EncodeOptions::new().budget(budget);
        DeltaEncoder { options, encodes: Arc::default(), metrics: EncodeMetrics::new() }
    }

    /// How many deltas were begun.
    pub(super) fn encodes(&self) -> u64 {
        self.encodes.load(Ordering::Relaxed)
    }

    /// What is measured of encoders.
    pub(super) fn metrics(&self) -> &Arc<EncodeMetrics> {
        &self.metrics
    }

    /// The options of interactive deltas.
    pub(super) fn options(&self) -> EncodeOptions {
        self.options
    }

    /// The ETag of a part of a directory, known before the part is made.
    pub(super) fn part_etag(&self, basis: Option<Version>, name: Version) -> Arc<str> {
        format!("part-{}", self.etag(basis, name)).into()
    }

    /// The delta of a part of a directory. The basis comes with the hash that begins with its basis id.
    pub(super) fn part(
        &self,
        (basis, from): (&[u8], Version),
        target: &[u8],
        spool: &mut Spool,
    ) -> Result<(), ArtifactError> {
        self.encodes.fetch_add(1, Ordering::Relaxed);
        self.metrics.time(EncodeCodec::Fast, EncodeEffort::Interactive, || {
            write(Encoder::of_versions((basis, from), (target, Version::of(target)), self.options), spool)
        })
    }

    /// The ETag of the interactive delta, known before the delta is made: the same versions give the same bytes.
    pub(super) fn etag(&self, from: Option<Version>, to: Version) -> Arc<str> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(RECIPE.as_bytes()).update(env!("CARGO_PKG_VERSION").as_bytes());
        hasher.update(&zstd_safe::version_number().to_le_bytes()).update(&self.options.budget.to_le_bytes());
        hasher.update(from.unwrap_or(Version::EMPTY).as_bytes()).update(to.as_bytes());
        hasher.finalize().to_hex()[..16].into()
    }

    /// The delta from a version, or from nothing, for a request that waits.
    pub(super) fn interactive(
        &self,
        from: Option<&StoredVersion>,
        to: &StoredVersion,
        spool: &mut Spool,
    ) -> Result<(), ArtifactError> {
        self.between(from, to, (self.options, EncodeCodec::Fast, EncodeEffort::Interactive), spool)
    }

    /// The delta from a version, or from nothing, when no request waits for it.
    pub(super) fn background(
        &self,
        codec: Codec,
        from: Option<&StoredVersion>,
        to: &StoredVersion,
        spool: &mut Spool,
    ) -> Result<(), ArtifactError> {
        let by = match codec {
            Codec::Fast => EncodeCodec::Fast,
            Codec::Dense => EncodeCodec::Dense,
            // Auto, which has a value.
            _ => EncodeCodec::Auto,
        };
        // Who decodes another codec than the fast ones decodes all.
        let options =
            self.options.codec(codec).thorough(true).containers(codec != Codec::Fast).predicted(codec != Codec::Fast);
        self.between(from, to, (options, by, EncodeEffort::Background), spool)
    }

    /// The delta from the chunks that a signature matched.
    pub(super) fn matched(
        &self,
        matches: &Matches,
        to: &StoredVersion,
        effort: Effort,
        spool: &mut Spool,
    ) -> Result<(), ArtifactError> {
        let options = self.options.thorough(effort == Effort::Background);
        self.metrics
            .time(EncodeCodec::Fast, effort.into(), || write(Encoder::matched(matches, to.bytes(), options), spool))
    }

    fn between(
        &self,
        from: Option<&StoredVersion>,
        to: &StoredVersion,
        (options, by, effort): (EncodeOptions, EncodeCodec, EncodeEffort),
        spool: &mut Spool,
    ) -> Result<(), ArtifactError> {
        self.encodes.fetch_add(1, Ordering::Relaxed);
        // The history has verified both versions.
        let basis = from.map_or((&[][..], Version::EMPTY), |from| (from.bytes(), from.version));
        let encode = || write(Encoder::of_versions(basis, (to.bytes(), to.version), options), spool);
        self.metrics.time(by, effort, encode)
    }
}

fn write(mut encoder: Encoder<'_>, spool: &mut Spool) -> Result<(), ArtifactError> {
    while let Some(bytes) = encoder.poll_output()? {
        spool.write(&bytes)?;
    }
    Ok(())
}
