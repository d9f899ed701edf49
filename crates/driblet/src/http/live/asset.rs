//! What a live stream is about.

use bytes::Bytes;
use driblet_core::Version;

use crate::artifacts::{Accepted, ArtifactError, Content, DeltaRequest};
use crate::publisher::{PathState, PublishError, Publisher};
use crate::site::Site;

/// A file or a directory whose heads streams tell.
#[derive(Clone)]
pub(in crate::http) enum Asset {
    File(String),
    /// A directory that is published as a snapshot.
    Directory(String),
}

/// The head of an asset.
#[derive(Clone, Copy)]
pub(super) struct AssetHead {
    pub(super) version: Version,
    pub(super) len: u64,
    pub(super) counter: u64,
}

impl Asset {
    /// The path under which the history has it.
    pub(in crate::http) fn key(&self) -> String {
        match self {
            Asset::File(path) => path.clone(),
            Asset::Directory(path) => Publisher::directory_key(path),
        }
    }

    /// The path of a file.
    pub(super) fn file(&self) -> Option<&str> {
        match self {
            Asset::File(path) => Some(path),
            Asset::Directory(_) => None,
        }
    }

    /// Whether there is something at the path now.
    pub(in crate::http) async fn exists(&self, site: &Site) -> Result<bool, PublishError> {
        self.head(site).await.map(|head| head.is_some())
    }

    /// Its head now; `None` if there is nothing.
    pub(super) async fn head(&self, site: &Site) -> Result<Option<AssetHead>, PublishError> {
        Ok(match self {
            Asset::File(path) => match site.publisher.refresh(path).await? {
                PathState::File(head) => {
                    Some(AssetHead { version: head.version, len: head.len, counter: head.counter })
                }
                PathState::Folder | PathState::Nothing => None,
            },
            Asset::Directory(path) => site.publisher.refresh_directory(path).await?.map(|head| AssetHead {
                version: head.version,
                len: head.len,
                counter: head.counter,
            }),
        })
    }

    /// What a request for the delta between two versions is answered with, in a codec that every receiver decodes. `None`
    /// if it has more than `most` bytes, or if a version is not stored.
    pub(super) async fn short_delta(
        &self,
        site: &Site,
        from: Version,
        to: Version,
        most: u64,
    ) -> Result<Option<Bytes>, ArtifactError> {
        let delta = match self {
            Asset::File(path) => file_delta(site, path, from, to, most).await?,
            Asset::Directory(path) => directory_delta(site, path, from, to, most).await?,
        };
        Ok(delta.filter(|delta| delta.len() as u64 <= most))
    }
}

async fn file_delta(
    site: &Site,
    path: &str,
    from: Version,
    to: Version,
    most: u64,
) -> Result<Option<Bytes>, ArtifactError> {
    let missing = |_| ArtifactError::Missing;
    let (basis, target) = (site.version(path, from).await, site.version(path, to).await);
    let (Some(basis), Some(target)) = (basis.map_err(missing)?, target.map_err(missing)?) else { return Ok(None) };
    let request = DeltaRequest {
        path,
        basis: Some(basis),
        target,
        accepted: Accepted::Basic,
        is_head: false,
        wants_range: false,
        is_held: &|_| false,
        continues: &|_| true,
    };
    short_bytes(site.artifacts.choose_delta(request).await?.content, most).await
}

async fn directory_delta(
    site: &Site,
    path: &str,
    from: Version,
    to: Version,
    most: u64,
) -> Result<Option<Bytes>, ArtifactError> {
    let missing = |_| ArtifactError::Missing;
    let (basis, target) = (site.directory_version(path, from).await, site.directory_version(path, to).await);
    let (Some(basis), Some(target)) = (basis.map_err(missing)?, target.map_err(missing)?) else { return Ok(None) };
    let plan = site.artifacts.directory_plan(&site.history, path, Some(basis), target).await?;
    let Some(first) = plan.parts.first() else { return Ok(Some(Bytes::from(plan.head.to_vec()))) };
    let part = site.artifacts.part(&site.history, first.clone()).await?.content;
    Ok(short_bytes(part, most).await?.map(|part| [&plan.head[..], &part].concat().into()))
}

/// The bytes of what is being made, once it is; `None` if there are more than `most`.
async fn short_bytes(content: Content, most: u64) -> Result<Option<Bytes>, ArtifactError> {
    let content = content.finished().await?;
    if content.len().is_none_or(|len| most < len) {
        return Ok(None);
    }
    content.bytes().await.map(Some)
}
