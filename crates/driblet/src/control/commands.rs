//! The commands themselves.

use std::collections::HashSet;

use driblet_core::Version;
use serde::{Deserialize, Serialize};

use super::error::CommandError;
use crate::history::{self, PathVersions};
use crate::publisher::{PathState, PublishError, Publisher};
use crate::site::Site;
use crate::task::blocking;

/// A file or a directory, as it is published now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PublishedSnapshot {
    /// Its path below the root. The path of a directory ends with `/`; that of the root is `/`.
    pub path: String,
    /// Its version.
    #[serde(with = "history::version_text")]
    pub version: Version,
    /// The number of its files, if it is a directory.
    pub files: Option<usize>,
}

/// What was forgotten.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ForgottenVersions {
    /// How many versions of the path were forgotten.
    pub versions: usize,
    /// The paths that had one of them. They include directories, of which those versions were forgotten that contained
    /// it.
    pub paths: Vec<String>,
}

impl Site {
    /// Publishes the file or the directory at a path now, or all directories.
    pub(crate) async fn publish(&self, path: Option<&str>) -> Result<Vec<PublishedSnapshot>, CommandError> {
        let publisher = &self.publisher;
        let paths = match (path, publisher.source().only()) {
            (Some(path), _) => vec![path.trim_matches('/').to_owned()],
            (None, Some(only)) => vec![only.to_owned()],
            (None, None) => publisher.directories(),
        };
        let mut published = Vec::new();
        for path in paths {
            let failed = |error| CommandError::publish(&path, error);
            let directory = match publisher.publish_directory_now(&path).await {
                // The root is a directory only where it is a folder.
                Err(PublishError::NoDirectory { .. }) => None,
                directory => directory.map_err(failed)?,
            };
            if let Some(directory) = directory {
                let (version, files) = (directory.version, Some(directory.manifest.len()));
                published.push(PublishedSnapshot { path: Publisher::directory_key(&path), version, files });
                continue;
            }
            match publisher.refresh(&path).await.map_err(failed)? {
                PathState::File(head) => {
                    published.push(PublishedSnapshot { path, version: head.version, files: None });
                }
                PathState::Folder | PathState::Nothing => return Err(CommandError::NoSnapshot { path }),
            }
        }
        Ok(published)
    }

    /// The versions that the history has of a path, or of all paths.
    pub(crate) async fn list(&self, path: Option<&str>) -> Result<Vec<PathVersions>, CommandError> {
        let (history, key) = (self.history.clone(), path.map(key));
        blocking(move || {
            let list = history.list(key.as_deref());
            match key {
                Some(key) if list.is_empty() => Err(CommandError::NotStored { path: key }),
                _ => Ok(list),
            }
        })
        .await
    }

    /// Removes a version of a path, or all, from the history.
    pub(crate) async fn forget(&self, path: &str, version: Option<Version>) -> Result<ForgottenVersions, CommandError> {
        let key = key(path);
        let had = self.history.versions(&key).into_iter().map(|(version, _)| version);
        let versions: HashSet<Version> = had.filter(|had| version.is_none_or(|version| version == *had)).collect();
        if versions.is_empty() {
            return Err(CommandError::NotStored { path: key });
        }
        if let Some(path) = self.head_among(&versions).await? {
            return Err(CommandError::StillPublished { path });
        }
        let (history, artifacts, forgotten) = (self.history.clone(), self.artifacts.clone(), versions.clone());
        let paths = blocking(move || {
            let paths = history.forget(&forgotten)?;
            artifacts.forget(&forgotten);
            Ok::<_, CommandError>(paths)
        });
        let paths = paths.await?;
        self.manifests.clear();
        self.recent.clear();
        Ok(ForgottenVersions { versions: versions.len(), paths })
    }

    /// A path at which one of these versions is published now. Looks at the disk again where the history says so.
    async fn head_among(&self, versions: &HashSet<Version>) -> Result<Option<String>, CommandError> {
        for path in self.history.heads_among(versions) {
            // A file that is gone, or another one now, is noted by the look.
            match path.strip_suffix('/') {
                Some(directory) => drop(self.publisher.publish_directory_now(directory).await),
                None => drop(self.publisher.refresh(&path).await),
            }
        }
        let is_published = |path: &String| match path.strip_suffix('/') {
            Some(directory) => self.publisher.directories().iter().any(|known| known == directory),
            None => true,
        };
        Ok(self.history.heads_among(versions).into_iter().find(is_published))
    }
}

/// The path under which the history has a file or a directory. `/` is the root's directory.
fn key(path: &str) -> String {
    match path.trim_start_matches('/') {
        "" => "/".to_owned(),
        path => path.to_owned(),
    }
}
