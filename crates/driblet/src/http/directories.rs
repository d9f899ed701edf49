//! The sync resources of a directory, see `spec/directory.md`.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use driblet_core::Version;
use driblet_core::directory::{DirectoryDelta, Have, Manifest};
use headers::{ETag, HeaderMapExt};
use hyper::StatusCode;
use hyper::header::{self, HeaderValue};
use serde_json::json;
use tokio::time::timeout;

use super::caching::{IMMUTABLE, NO_STORE, REVALIDATE};
use super::content::{Representation, is_held, joined, of_version};
use super::live::Asset;
use super::measured::Synced;
use super::path::Resource;
use super::problem::Problem;
use super::resources::{DELTA, ResourceRequest, bad_name, read_body};
use crate::artifacts::{Artifact, ArtifactError, Content, DirectoryPlan, DirectoryVersion, PartFiles};
use crate::metrics::Basis;
use crate::publisher::{PublishedDirectory, Publisher};

const DIRECTORY: &str = "application/vnd.driblet.directory";
const MANIFEST: &str = "application/vnd.driblet.manifest";

impl ResourceRequest<'_> {
    /// Answers a request for a resource of a directory.
    pub(super) async fn directory(&self, path: &str, resource: Resource, body: Body) -> Result<Response, Problem> {
        let head = match resource {
            Resource::From(_) => self.current_directory(path).await?,
            // The others are of versions that were published before: no file is looked at for them.
            _ => self.site.publisher.published_directory(path).await?.ok_or_else(|| no_snapshot(path))?,
        };
        match resource {
            Resource::Head => self.directory_head(path).await,
            Resource::From(from) => self.directory_delta(path, from, &head, head.version, REVALIDATE).await,
            Resource::Pair(from, to) => self.directory_delta(path, from, &head, to, IMMUTABLE).await,
            Resource::PartOfPair(from, to, number) => self.part_of_pair(path, from, to, number).await,
            Resource::Part(name) => self.named_part(path, name, &head).await,
            Resource::Manifest(version) => self.manifest(path, version, &head).await,
            Resource::Have => self.have(path, &head, body).await,
            Resource::Signature => {
                let detail = "A directory takes no signature; post what you hold to have.";
                Err(Problem::new(StatusCode::NOT_FOUND, "no-such-file", detail))
            }
            Resource::Live => self.live(Asset::Directory(path.to_owned())).await,
            Resource::Grant(_) => Err(bad_name("grant")),
            Resource::Other(file) => Err(bad_name(&file)),
        }
    }

    async fn current_directory(&self, path: &str) -> Result<PublishedDirectory, Problem> {
        self.site.publisher.refresh_directory(path).await?.ok_or_else(|| no_snapshot(path))
    }

    async fn directory_head(&self, path: &str) -> Result<Response, Problem> {
        let poll = self.poll()?;
        let head = loop {
            let changed = self.site.publisher.published().notified();
            let head = self.current_directory(path).await?;
            if !self.waits_on(&poll, head.counter, changed).await {
                break head;
            }
        };
        let (version, files) = (head.version.to_string(), head.manifest.len());
        let epoch = self.site.history.epoch().to_string();
        let mut body = json!({
            "version": version, "length": head.len, "counter": head.counter, "epoch": epoch, "files": files
        });
        if self.site.unregister {
            body["unregister"] = true.into();
        }
        self.json(head.version, &body)
    }

    async fn directory_delta(
        &self,
        path: &str,
        from: Option<Version>,
        head: &PublishedDirectory,
        to: Version,
        caching: &'static str,
    ) -> Result<Response, Problem> {
        if from == Some(to) && to == head.version {
            let content = Content::Memory(DirectoryDelta::same(to).encode().into());
            let etag = format!("{}-same", &to.to_string()[..16]);
            let mut response = self.directory_response(content, etag, caching)?;
            response.extensions_mut().insert(Synced { basis: Basis::Same, len: head.manifest.total_len() });
            return Ok(response);
        }
        let plan = self.plan(path, from, head, to).await?;
        let etag = plan_etag(from, to);
        let mut response = if is_held(self.headers, &etag) || plan.parts.is_empty() {
            self.directory_response(Content::Memory(plan.head.clone().into()), etag, caching)?
        } else {
            let first = self.part(plan.parts[0].clone()).await?;
            if self.headers.contains_key(header::RANGE) {
                let first = self.finished_for_range(first.content).await?.bytes().await?;
                let whole = [&plan.head[..], &first].concat();
                self.directory_response(Content::Memory(whole.into()), etag, caching)?
            } else {
                let mut response = joined(plan.head.clone(), first.content, DIRECTORY, caching);
                let etag: ETag = format!("\"{etag}\"").parse().map_err(|_| bad_name(&etag))?;
                response.headers_mut().typed_insert(etag);
                response
            }
        };
        response.extensions_mut().insert(Synced { basis: self.basis_of(path, from), len: plan.len_at_first() });
        let from = from.map_or_else(|| "none".to_owned(), |version| version.to_string());
        let pair = HeaderValue::try_from(format!("{from}-{to}")).map_err(|_| bad_name(&from))?;
        response.headers_mut().insert(header::CONTENT_LOCATION, pair);
        Ok(response)
    }

    fn basis_of(&self, path: &str, from: Option<Version>) -> Basis {
        let Some(from) = from else { return Basis::None };
        let versions = self.site.history.versions(&Publisher::directory_key(path));
        if versions.iter().any(|(version, _)| *version == from) { Basis::History } else { Basis::Have }
    }

    fn directory_response(&self, content: Content, etag: String, caching: &'static str) -> Result<Response, Problem> {
        let media_type = DIRECTORY.into();
        Representation { content, etag, media_type, caching, coding: None, modified: None }
            .response(self.method, self.headers)
    }

    async fn part_of_pair(
        &self,
        path: &str,
        from: Option<Version>,
        to: Version,
        number: usize,
    ) -> Result<Response, Problem> {
        let target = self.site.directory_version(path, to).await?.ok_or_else(unknown_part)?;
        let basis = match from {
            None => None,
            Some(from) => Some(self.site.directory_version(path, from).await?.ok_or_else(unknown_part)?),
        };
        let plan = self.site.artifacts.directory_plan(&self.site.history, path, basis, target).await?;
        let part = plan.parts.get(number).cloned().ok_or_else(unknown_part)?;
        self.part_response(part).await
    }

    async fn named_part(&self, path: &str, name: Version, head: &PublishedDirectory) -> Result<Response, Problem> {
        let part = match self.site.artifacts.named_part(path, name) {
            Some(part) => Some(part),
            None => {
                // After a restart, or of many files: those of first syncs.
                let plan = self.plan(path, None, head, head.version).await?;
                plan.named_part(name)
            }
        };
        self.part_response(part.ok_or_else(unknown_part)?).await
    }

    async fn part_response(&self, part: Arc<PartFiles>) -> Result<Response, Problem> {
        let synced = Synced { basis: Basis::Part, len: part.len() };
        let Artifact { content, etag, .. } = self.part(part).await?;
        let content = self.finished_for_range(content).await?;
        let (etag, media_type, caching) = (etag.to_string(), DELTA.into(), IMMUTABLE);
        let mut response = Representation { content, etag, media_type, caching, coding: None, modified: None }
            .response(self.method, self.headers)?;
        response.extensions_mut().insert(synced);
        Ok(response)
    }

    async fn part(&self, part: Arc<PartFiles>) -> Result<Artifact, Problem> {
        self.site.artifacts.part(&self.site.history, part).await.map_err(|error| match error {
            ArtifactError::Missing => unknown_part(),
            error => error.into(),
        })
    }

    /// The delta between two versions of a directory.
    async fn plan(
        &self,
        path: &str,
        from: Option<Version>,
        head: &PublishedDirectory,
        to: Version,
    ) -> Result<Arc<DirectoryPlan>, Problem> {
        let target = if to == head.version {
            DirectoryVersion { version: to, manifest: head.manifest.clone() }
        } else {
            self.known(path, to, head).await?
        };
        let basis = match from {
            None => None,
            Some(from) => Some(self.known(path, from, head).await?),
        };
        Ok(self.site.artifacts.directory_plan(&self.site.history, path, basis, target).await?)
    }

    async fn known(
        &self,
        path: &str,
        version: Version,
        head: &PublishedDirectory,
    ) -> Result<DirectoryVersion, Problem> {
        let known = self.site.directory_version(path, version).await?;
        known.ok_or_else(|| self.unknown_directory(head))
    }

    async fn manifest(&self, path: &str, version: Version, head: &PublishedDirectory) -> Result<Response, Problem> {
        self.known(path, version, head).await?;
        let stored = self.site.version(&Publisher::directory_key(path), version).await?;
        let stored = stored.ok_or_else(|| self.unknown_directory(head))?;
        let content = of_version(&stored)?;
        let (etag, media_type, caching) = (version.to_string(), MANIFEST.into(), IMMUTABLE);
        Representation { content, etag, media_type, caching, coding: None, modified: None }
            .response(self.method, self.headers)
    }

    /// Answers what a receiver holds with the delta from that.
    async fn have(&self, path: &str, head: &PublishedDirectory, body: Body) -> Result<Response, Problem> {
        let artifacts = &self.site.artifacts;
        let permit = timeout(artifacts.queue_timeout(), self.site.signature_permits.acquire());
        let _permit = permit.await.map_err(|_| ArtifactError::Busy)?;
        let late = || Problem::new(StatusCode::REQUEST_TIMEOUT, "bad-have", "The list did not come in time.");
        let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "bad-have", detail);
        let limit = Have::max_len(head.manifest.len());
        let body = timeout(self.site.deadline, read_body(body, limit)).await.map_err(|_| late())?;
        let body = body.map_err(|_| bad("The list is incomplete; send it again.".into()))?;
        let too_long = || bad(format!("A list for this directory has at most {limit} bytes; sync from none instead."));
        let bytes = body.ok_or_else(too_long)?;
        // The list begins with the version that it is of.
        let target = Have::target(&bytes).map_err(|error| bad(format!("{error}.")))?;
        let target = self.site.directory_version(path, target).await?.ok_or_else(|| self.unknown_directory(head))?;
        let have = Have::parse(&bytes, target.manifest.len()).map_err(|error| bad(format!("{error}.")))?;
        let lens = self.known_lens(path, &target.manifest, &have);
        let held = have.manifest(&target.manifest, &lens).map_err(|error| bad(format!("{error}.")))?;
        let held = DirectoryVersion { version: held.version(), manifest: Arc::new(held) };
        self.site.manifests.hold(path, &held);
        let plan = artifacts.directory_plan(&self.site.history, path, Some(held), target).await?;
        let mut start = vec![0; lens.len().div_ceil(8)];
        for (place, _) in lens.iter().enumerate().filter(|(_, len)| len.is_some()) {
            start[place / 8] |= 1 << (place % 8);
        }
        start.extend_from_slice(&plan.head);
        let rest = match plan.parts.first() {
            Some(part) => self.part(part.clone()).await?.content,
            None => Content::Memory(Default::default()),
        };
        let mut response = joined(start, rest, DIRECTORY, NO_STORE);
        response.extensions_mut().insert(Synced { basis: Basis::Have, len: plan.len_at_first() });
        Ok(response)
    }

    /// The lengths of the other versions that a receiver holds, of those that the history knows.
    fn known_lens(&self, path: &str, manifest: &Manifest, have: &Have) -> Vec<Option<u64>> {
        let len = |(index, version): &(usize, Version)| {
            let name = manifest.entry(*index).path;
            let full = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
            let is_held = have.held.binary_search(index).is_ok();
            let known = self.site.history.versions(&full).into_iter().find(|(known, _)| known == version);
            known.filter(|_| !is_held).map(|(_, len)| len)
        };
        have.others.iter().map(len).collect()
    }

    fn unknown_directory(&self, head: &PublishedDirectory) -> Problem {
        let detail = "That version is not in this directory's history; post what you hold to have, or sync from none.";
        Problem::new(StatusCode::NOT_FOUND, "unknown-version", detail).with(json!({
            "head": head.version.to_string(),
            "length": head.len,
            "counter": head.counter,
            "epoch": self.site.history.epoch().to_string(),
        }))
    }
}

fn no_snapshot(path: &str) -> Problem {
    let detail = format!("/{path} is not served as a snapshot; sync its files, each by its own path.");
    Problem::new(StatusCode::NOT_FOUND, "no-such-file", detail)
}

fn plan_etag(from: Option<Version>, to: Version) -> String {
    let from = from.map_or_else(|| "none".to_owned(), |from| from.to_string()[..16].to_owned());
    format!("{from}-{}", &to.to_string()[..16])
}

fn unknown_part() -> Problem {
    let detail = "That part is not known any more; ask for the delta of the directory again.";
    Problem::new(StatusCode::NOT_FOUND, "unknown-part", detail)
}
