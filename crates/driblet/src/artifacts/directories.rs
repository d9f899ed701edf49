//! Makes the deltas of directories: which parts carry the new files, and the delta of each part.

use std::sync::Arc;

use driblet_core::Version;
use driblet_core::directory::{DirectoryDelta, plan_parts};

use super::cache::Artifacts;
use super::directory_plan::{DirectoryPlan, DirectoryVersion, PartFiles};
use super::error::ArtifactError;
use super::key::Key;
use super::spool::{Artifact, Spool, WaitFor};
use crate::history::{History, StoredVersion};

/// Parts with at most this many bytes, their basis included, are finished before they are sent, so that the answer
/// states its length.
const SHORT: u64 = 256 << 10;

impl Artifacts {
    /// The delta from one version of the directory at a path, or from nothing, to another.
    pub(crate) async fn directory_plan(
        &self,
        history: &Arc<dyn History>,
        path: &str,
        from: Option<DirectoryVersion>,
        to: DirectoryVersion,
    ) -> Result<Arc<DirectoryPlan>, ArtifactError> {
        let key = (from.as_ref().map(|from| from.version), to.version);
        let (history, options) = (history.clone(), self.encoder.options());
        // A manifest has some 50 bytes for each file.
        let bytes = 50 * (to.manifest.len() + from.as_ref().map_or(0, |from| from.manifest.len())) as u64;
        let make = move || {
            let old = from.as_ref().map(|from| &*from.manifest);
            let mut read = |version| history.read_named_or_drop(&version).ok().flatten();
            let planned = plan_parts(old, &to.manifest, &mut read);
            let delta = DirectoryDelta::between(old, &to.manifest, &planned, options)?;
            let parts = planned.iter().map(|part| Arc::new(PartFiles::of(part, old, &to.manifest))).collect();
            Ok(Arc::new(DirectoryPlan { head: delta.encode(), parts, len: to.manifest.total_len() }))
        };
        let plan = self.directories.plans.try_get_with(key, self.with_permit(bytes, make)).await;
        let plan = plan.map_err(ArtifactError::shared)?;
        for part in plan.parts.iter().filter(|part| part.basis.is_none()) {
            self.directories.names.get_with((path.to_owned(), part.name), || part.clone());
        }
        Ok(plan)
    }

    /// The part with a name, if a delta of the directory at this path named it before. Another directory may have another
    /// guard.
    pub(crate) fn named_part(&self, path: &str, name: Version) -> Option<Arc<PartFiles>> {
        self.directories.names.get(&(path.to_owned(), name))
    }

    /// The delta of a part, as soon as there is something to send.
    pub(crate) async fn part(
        &self,
        history: &Arc<dyn History>,
        part: Arc<PartFiles>,
    ) -> Result<Artifact, ArtifactError> {
        let key = Key::Part { basis: part.basis, name: part.name };
        let etag = self.encoder.part_etag(part.basis, part.name);
        let (len, bytes) = (part.len, part.len + part.basis_len);
        let (encoder, history) = (self.encoder.clone(), history.clone());
        let spool = move |spool: Spool| spool.named(etag).up_to(len);
        let work = move |spool: &mut Spool| {
            let basis = Concatenation::of(&*history, &part.bases)?;
            let target = Concatenation::of(&*history, &part.files)?;
            encoder.part((basis.bytes(), part.basis.unwrap_or(Version::EMPTY)), target.bytes(), spool)
        };
        let artifact = self.requested.begin(key, bytes, spool, work);
        let first = if bytes <= SHORT { WaitFor::Everything } else { WaitFor::Anything };
        artifact.content.begun(first).await?;
        Ok(artifact)
    }
}

/// Several files, one after the other.
enum Concatenation {
    One(Arc<StoredVersion>),
    Many(Vec<u8>),
}

impl Concatenation {
    fn of(history: &dyn History, files: &[(Version, u64)]) -> Result<Concatenation, ArtifactError> {
        if let [(version, _)] = files {
            return Ok(Concatenation::One(history.open_named_or_drop(version)?.ok_or(ArtifactError::Missing)?));
        }
        let mut bytes = Vec::with_capacity(files.iter().map(|(_, len)| *len as usize).sum());
        for (version, _) in files {
            bytes.extend(history.read_named_or_drop(version)?.ok_or(ArtifactError::Missing)?);
        }
        Ok(Concatenation::Many(bytes))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Concatenation::One(stored) => stored.bytes(),
            Concatenation::Many(bytes) => bytes,
        }
    }
}
