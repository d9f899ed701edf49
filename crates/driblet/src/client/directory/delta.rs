//! Asks for a directory delta, and plans what it brings.

use std::path::Path;
use std::sync::Arc;

use driblet_core::Version;
use driblet_core::directory::{DirectoryDelta, Manifest, ManifestLimits, PlannedPart};

use super::error::{InvalidCause, PullDirectoryError};
use super::fetch::{Fetched, Resource, Resume};
use super::have::Have;
use super::part_file::PartFile;
use super::parts::Inline;
use super::requests::Requests;
use crate::client::PullError;
use crate::client::request::{Asset, DeltaBody};
use crate::task::blocking;
use crate::transfer::NetworkCause;

/// Where the target's version lies in a directory delta.
const TARGET: std::ops::Range<usize> = 2..34;
/// Bytes of a directory delta that are written with one call.
const PIECE: usize = 256 << 10;

/// A directory delta, and what it brings.
pub(super) struct Planned {
    /// Both versions, as in the name of the directory delta.
    pub(super) pair: String,
    pub(super) target: Version,
    pub(super) old: Option<Arc<Manifest>>,
    pub(super) new: Arc<Manifest>,
    pub(super) parts: Vec<PlannedPart>,
    pub(super) inline: Inline,
}

impl Planned {
    /// The receiver has the head's manifest already.
    pub(super) fn same(manifest: Arc<Manifest>) -> Planned {
        Planned {
            pair: String::new(),
            target: manifest.version(),
            old: Some(manifest.clone()),
            new: manifest,
            parts: Vec::new(),
            inline: None,
        }
    }
}

/// The answer to the question for a directory delta.
pub(super) enum Asked {
    Planned(Box<Planned>),
    /// The old version is the head.
    Same,
    /// The server does not know the old version.
    Unknown,
}

/// Asks for the directory delta from a manifest, or from nothing. It is kept at `kept` until it is complete.
pub(super) async fn ask(
    requests: &Requests,
    kept: &Path,
    old: Option<Arc<Manifest>>,
) -> Result<Asked, PullDirectoryError> {
    let mut asset = requests.asset()?;
    let asked = ask_with(requests, &mut asset, kept, old).await;
    requests.add(asset.cost());
    asked
}

async fn ask_with(
    requests: &Requests,
    asset: &mut Asset,
    kept: &Path,
    old: Option<Arc<Manifest>>,
) -> Result<Asked, PullDirectoryError> {
    let from = old.as_ref().map(|old| old.version());
    let name = from.map_or_else(|| "none".to_owned(), |version| version.to_string());
    let (path, resource) = (kept.to_path_buf(), asset.resource(&name).to_string());
    let (mut file, mut start) = blocking(move || {
        let file = PartFile::open(&path, &resource);
        let start = file.bytes().map_err(unreadable)?;
        Ok::<_, PullDirectoryError>((file, start))
    })
    .await?;
    let mut inline = None;
    if !file.is_whole {
        let told = from.filter(|_| start.is_empty()).and_then(|from| requests.take_told(from));
        let mut body = match start.get(TARGET).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
            Some(target) => {
                let pair = format!("{name}-{}", Version::from_bytes(target));
                let resume = Resume { len: file.len(), etag: &file.label.etag };
                match asset.fetch(Resource::DirectoryDelta, &pair, Some(resume)).await? {
                    Fetched::Body(body) => Some(body),
                    _ => None,
                }
            }
            None => told.map(|bytes| asset.received(bytes)),
        };
        if body.as_ref().is_none_or(|body| !body.continues()) {
            start.clear();
            if body.is_none() {
                body = match asset.fetch(Resource::DirectoryDelta, &name, None).await? {
                    Fetched::Body(body) => Some(body),
                    _ if from.is_some() => return Ok(Asked::Unknown),
                    Fetched::Missing(code) => return Err(refused(asset, code).into()),
                    _ => return Err(refused(asset, String::new()).into()),
                };
            }
            let etag = body.as_ref().and_then(DeltaBody::etag).map(str::to_owned);
            file = on_thread(file, move |file| file.restart(etag.as_deref())).await?;
        }
        let Some(body) = body else { return Ok(Asked::Unknown) };
        (file, inline) = receive(requests, asset, body, file, &mut start).await?;
    }
    let planned = blocking(move || plan(start, old, 0)).await;
    match planned {
        Ok((delta, ..)) if from == Some(delta.target) && delta.manifest_delta.is_empty() => {
            on_thread(file, |file| {
                file.discard();
                Ok(())
            })
            .await?;
            Ok(Asked::Same)
        }
        Ok((delta, old, Some((new, parts)))) => {
            let pair = format!("{name}-{}", delta.target);
            Ok(Asked::Planned(Box::new(Planned { pair, target: delta.target, old, new, parts, inline })))
        }
        Ok((_, _, None)) => Err(PullDirectoryError::invalid(InvalidCause::Accepted)),
        Err(error) => {
            on_thread(file, |file| {
                file.discard();
                Ok(())
            })
            .await?;
            Err(error)
        }
    }
}

/// Says what is held of the head's manifest. `None` if the server does not take that.
pub(super) async fn post(
    requests: &Requests,
    have: &Have,
    target: Version,
    new: &Arc<Manifest>,
) -> Result<Option<Planned>, PullDirectoryError> {
    let mut asset = requests.asset()?;
    let answer = post_with(requests, &mut asset, have).await;
    requests.add(asset.cost());
    let Some((start, inline)) = answer? else { return Ok(None) };
    let (accepted, _) = start.split_at_checked(have.accepted_len()).unwrap_or((&start, &[]));
    let Some(old) = have.manifest(new, accepted).map(Arc::new) else {
        return Err(PullDirectoryError::invalid(InvalidCause::Accepted));
    };
    let from = old.version();
    if from == target {
        // Everything is held.
        return Ok(Some(Planned { old: Some(old), ..Planned::same(new.clone()) }));
    }
    let skipped = have.accepted_len();
    let (delta, old, made) = blocking(move || plan(start, Some(old), skipped)).await?;
    let Some((new, parts)) = made else { return Err(PullDirectoryError::invalid(InvalidCause::Accepted)) };
    let pair = format!("{from}-{}", delta.target);
    Ok(Some(Planned { pair, target: delta.target, old, new, parts, inline }))
}

async fn post_with(
    requests: &Requests,
    asset: &mut Asset,
    have: &Have,
) -> Result<Option<(Vec<u8>, Inline)>, PullDirectoryError> {
    let mut body = match asset.have(have.encode()).await? {
        Fetched::Body(body) => body,
        Fetched::Missing(_) | Fetched::NotTaken | Fetched::NoMore => return Ok(None),
    };
    let mut start = Vec::new();
    loop {
        if let Some(bytes) = start.get(have.accepted_len()..)
            && let Some((_, len)) = DirectoryDelta::parse(bytes).map_err(PullDirectoryError::invalid)?
        {
            let rest = start.split_off(have.accepted_len() + len);
            return Ok(Some((start, Some(body.with_unread(rest.into())))));
        }
        match body.next(asset.cost()).await? {
            Some(bytes) => {
                requests.received(bytes.len());
                start.extend_from_slice(&bytes);
            }
            None => return Err(cut_off().into()),
        }
    }
}

/// Receives a directory delta up to its first part.
async fn receive(
    requests: &Requests,
    asset: &mut Asset,
    mut body: DeltaBody,
    mut file: PartFile,
    start: &mut Vec<u8>,
) -> Result<(PartFile, Inline), PullDirectoryError> {
    let mut kept = start.len();
    loop {
        let parsed = match DirectoryDelta::parse(start) {
            Ok(parsed) => parsed,
            Err(error) => {
                file.discard();
                return Err(PullDirectoryError::invalid(error));
            }
        };
        if let Some((_, len)) = parsed {
            let rest = start.split_off(len);
            let bytes = start.get(kept..).unwrap_or_default().to_vec();
            let file = on_thread(file, move |file| {
                file.append(&bytes)?;
                file.truncate(len as u64)?;
                file.complete()
            });
            return Ok((file.await?, Some(body.with_unread(rest.into()))));
        }
        let next = body.next(asset.cost()).await;
        let has_ended = !matches!(next, Ok(Some(_)));
        if let Ok(Some(bytes)) = &next {
            requests.received(bytes.len());
            start.extend_from_slice(bytes);
        }
        if has_ended || PIECE <= start.len() - kept {
            let bytes = start[kept..].to_vec();
            kept = start.len();
            file = on_thread(file, move |file| file.append(&bytes)).await?;
        }
        if has_ended {
            next?;
            return Err(cut_off().into());
        }
    }
}

type Made = (DirectoryDelta, Option<Arc<Manifest>>, Option<(Arc<Manifest>, Vec<PlannedPart>)>);

/// Makes the new manifest, and checks the parts against it.
fn plan(bytes: Vec<u8>, old: Option<Arc<Manifest>>, skipped: usize) -> Result<Made, PullDirectoryError> {
    let parsed = DirectoryDelta::parse(bytes.get(skipped..).unwrap_or_default());
    let (mut delta, _) =
        parsed.map_err(PullDirectoryError::invalid)?.ok_or_else(|| PullDirectoryError::from(cut_off()))?;
    drop(bytes);
    if delta.manifest_delta.is_empty() {
        return Ok((delta, old, None));
    }
    let made = delta.apply(old.as_deref(), ManifestLimits::default());
    delta.manifest_delta = vec![0];
    let (new, parts) = made.map_err(PullDirectoryError::invalid)?;
    Ok((delta, old, Some((Arc::new(new), parts))))
}

async fn on_thread(
    mut file: PartFile,
    work: impl FnOnce(&mut PartFile) -> std::io::Result<()> + Send + 'static,
) -> Result<PartFile, PullDirectoryError> {
    blocking(move || {
        let done = work(&mut file);
        done.map(|()| file).map_err(|error| PullDirectoryError::store("cannot keep the directory delta", error))
    })
    .await
}

fn refused(asset: &Asset, code: String) -> PullError {
    let code = if code.is_empty() { "it serves no directory here".to_owned() } else { code };
    asset.refused(reqwest::StatusCode::NOT_FOUND, code)
}

fn cut_off() -> PullError {
    PullError::network("reading the directory delta", NetworkCause::CutOff)
}

fn unreadable(error: std::io::Error) -> PullDirectoryError {
    PullDirectoryError::store("cannot read the directory delta of an earlier pull", error)
}
