//! One pull of a directory: what to ask for, and what to do with it, in which order.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use driblet_core::Version;
use driblet_core::directory::Manifest;
use url::Url;

use super::atomic;
use super::changes::Changes;
use super::decode::Parts;
use super::delta::{self, Asked, Planned};
use super::error::{FolderProblem, InvalidCause, PullDirectoryError};
use super::have::Have;
use super::local::Local;
use super::names::{Filter, Selection, try_names};
use super::options::PullDirectoryOptions;
use super::parts::{PartsError, fetch_all};
use super::place::Place;
use super::pulled::PulledDirectory;
use super::requests::Requests;
use super::staging::Staging;
use super::state::StateFolder;
use super::switch::{self, SwitchPlan};
use crate::client::PullState;
use crate::fingerprint;
use crate::task::blocking;

/// How often a pull begins anew: because what an earlier pull kept is of no use, or because the server forgot a part.
const ATTEMPTS: u32 = 2;

pub(super) struct Session {
    requests: Requests,
    options: PullDirectoryOptions,
    filter: Arc<Filter>,
    place: Arc<Place>,
}

/// What is to be changed, and what has to be fetched for it.
struct Prepared {
    planned: Planned,
    selection: Selection,
    changes: Changes,
    local: Local,
    /// The versions that are neither held nor staged.
    wanted: HashSet<Version>,
    /// Files and bytes that were not held before the pull, and those of them that are staged.
    new: (u64, u64),
    staged: (u64, u64),
}

/// Which directory delta is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// From the version of the last pull.
    Record,
    /// From what is held of the head.
    Have,
    /// From nothing.
    Nothing,
}

impl Session {
    /// Opens the folder, and completes the switch of an earlier pull.
    pub(super) async fn open(
        requests: Requests,
        url: &Url,
        dest: &Path,
        options: &PullDirectoryOptions,
    ) -> Result<Session, PullDirectoryError> {
        if !url.path().ends_with('/') {
            return Err(PullDirectoryError::folder(dest, FolderProblem::UrlOfFile));
        }
        let filter = Arc::new(Filter::new(options)?);
        let (dest, options) = (dest.to_path_buf(), options.clone());
        let opened = options.clone();
        let place = blocking(move || Place::open(&dest, &opened)).await?;
        Ok(Session { requests, options, filter, place: Arc::new(place) })
    }

    pub(super) async fn run(self) -> Result<PulledDirectory, PullDirectoryError> {
        let result = self.pull_to_head().await;
        if result.is_err() {
            self.place.tidy();
        }
        result
    }

    async fn pull_to_head(&self) -> Result<PulledDirectory, PullDirectoryError> {
        let (mut pulled, is_old) = self.pull().await?;
        if is_old && !self.options.dry_run {
            // An earlier pull began this version. The server may have a newer one.
            let (newer, _) = self.pull().await?;
            pulled = PulledDirectory {
                same: pulled.same && newer.same,
                added: pulled.added + newer.added,
                changed: pulled.changed + newer.changed,
                removed: pulled.removed + newer.removed,
                kept: [pulled.kept, newer.kept].concat(),
                new_len: pulled.new_len + newer.new_len,
                ..newer
            };
        }
        let cost = self.requests.cost();
        (pulled.sent, pulled.received, pulled.requests) = (cost.sent, cost.received, cost.requests);
        Ok(pulled)
    }

    /// Pulls one version. Gives whether an earlier pull began with it.
    async fn pull(&self) -> Result<(PulledDirectory, bool), PullDirectoryError> {
        let mut from = From::Record;
        for attempt in 0.. {
            let (is_old, had_told) = (self.place.has_delta(), self.requests.has_told());
            let (error, is_gone) = match self.attempt(from).await {
                Ok(pulled) => return Ok((pulled, is_old)),
                Err(PartsError::Gone) => (PullDirectoryError::invalid(InvalidCause::NoPart), true),
                Err(PartsError::Failed(error)) => (error, false),
            };
            let is_about_delta = error.is_about_bytes() || matches!(error, PullDirectoryError::Path { .. });
            if is_about_delta {
                self.place.forget_delta();
            }
            // The server forgot what an earlier pull began with, or serves another version now. Or it is not the server
            // that made the directory delta: at last only parts are asked for that every server with this head has.
            // Or something between the server and this client changed the directory delta that came with the head.
            let was_told = had_told && !self.requests.has_told() && (is_about_delta || error.is_network());
            if !(is_about_delta && (is_old || is_gone) || was_told) || ATTEMPTS <= attempt {
                return Err(error);
            }
            if is_gone && attempt + 1 == ATTEMPTS {
                from = From::Nothing;
            }
        }
        unreachable!("the loop has no end")
    }

    async fn attempt(&self, from: From) -> Result<PulledDirectory, PartsError> {
        let prepared = self.prepare(from).await?;
        if self.options.dry_run {
            let changes = prepared.changes.list(&prepared.planned.new);
            return Ok(PulledDirectory { changes, ..prepared.pulled() });
        }
        let prepared = self.fetch(prepared).await?;
        Ok(self.switch(prepared).await?)
    }

    /// Asks for a directory delta by which everything that is missing can be had.
    async fn prepare(&self, mut from: From) -> Result<Prepared, PullDirectoryError> {
        let (place, again) = (self.place.clone(), self.place.clone());
        let record = blocking(move || place.record().map_err(|error| place.unreadable(error))).await?;
        let manifest = record.as_ref().map(|record| record.manifest.clone());
        // Both take a while, and the thread must end before the folder is unlocked.
        let scanning = blocking(move || again.scan(record));
        let (scanned, asked) = tokio::join!(scanning, self.ask(manifest.as_ref(), from));
        let (mut local, mut planned) = (Some(scanned?), Some(asked?));
        loop {
            let held = local.take().unwrap_or_default();
            let asked = match planned.take() {
                Some(planned) => planned,
                None => self.ask(manifest.as_ref(), from).await?,
            };
            let prepared = self.compare(asked, held).await?;
            let can_fetch = prepared.can_fetch();
            let is_cold = prepared.planned.old.is_none();
            let have = Have::of(&prepared.local, prepared.planned.target, &prepared.planned.new);
            let asks_have = from == From::Record && !have.is_empty() && (is_cold || !can_fetch);
            if prepared.wanted.is_empty() || can_fetch && !asks_have || self.options.dry_run {
                return Ok(prepared);
            }
            if asks_have {
                // The connection is closed, with the part that follows the directory delta.
                let Planned { target, new, .. } = &prepared.planned;
                from = From::Have;
                planned = delta::post(&self.requests, &have, *target, new).await?;
                if planned.is_none() && is_cold {
                    return Ok(prepared);
                }
            }
            if planned.is_none() {
                if from == From::Nothing {
                    return Err(PullDirectoryError::invalid(InvalidCause::NoPart));
                }
                from = From::Nothing;
            }
            local = Some(prepared.local);
        }
    }

    /// Asks for a directory delta. `record` is the manifest of the last pull.
    async fn ask(&self, record: Option<&Arc<Manifest>>, from: From) -> Result<Planned, PullDirectoryError> {
        let kept = self.place.delta();
        let record = record.filter(|_| from == From::Record).cloned();
        if let Some(old) = record {
            match delta::ask(&self.requests, &kept, Some(old.clone())).await? {
                Asked::Planned(planned) => return Ok(*planned),
                Asked::Same => return Ok(Planned::same(old)),
                Asked::Unknown => {}
            }
        }
        match delta::ask(&self.requests, &kept, None).await? {
            Asked::Planned(planned) => Ok(*planned),
            Asked::Same | Asked::Unknown => Err(PullDirectoryError::invalid(InvalidCause::Accepted)),
        }
    }

    /// Compares the folder with the new manifest, before anything is changed.
    async fn compare(&self, planned: Planned, mut local: Local) -> Result<Prepared, PullDirectoryError> {
        let (place, filter, options) = (self.place.clone(), self.filter.clone(), self.options.clone());
        let prepared = blocking(move || {
            let new = &planned.new;
            let selection = filter.select(new)?;
            let mut changes = Changes::default();
            match place.tree() {
                Ok(mut tree) => {
                    let read = local.read_at_paths(&mut tree, new, &selection);
                    read.map_err(|error| place.unreadable(error))?;
                    changes = Changes::between(&local, &mut tree, new, &selection, &filter, options.delete)?;
                    changes.check(&mut tree, new)?;
                    if place.is_atomic && place.state.is_some() {
                        atomic::check(&mut tree, &place.dest)?;
                    }
                }
                // A pull that changes nothing makes no folder.
                Err(error) if error.kind() == ErrorKind::NotFound && place.state.is_none() => {
                    let written = selection.included.iter().enumerate().filter(|(_, included)| **included);
                    changes.placed = written.map(|(index, _)| (index as u32, false)).collect();
                }
                Err(error) => return Err(place.unreadable(error)),
            }
            let mut wanted = HashSet::new();
            let mut new_len = 0;
            for (version, len) in changes.versions(new) {
                if local.path_of(&version).is_none() && wanted.insert(version) {
                    new_len += len;
                }
            }
            let new_files = wanted.len() as u64;
            let (mut staged_files, mut staged_len) = (0, 0);
            if let Some(state) = &place.state {
                let staging = Staging::at(state.staging());
                if !changes.placed.is_empty() {
                    try_names(staging.folder(), new, &selection)?;
                }
                let staged = staging.keep(&wanted).map_err(|error| place.unreadable(error))?;
                wanted.retain(|version| !staged.contains(version));
                let lens = changes.versions(new).filter(|(version, _)| staged.contains(version));
                let lens: std::collections::HashMap<Version, u64> = lens.collect();
                (staged_files, staged_len) = (lens.len() as u64, lens.values().sum());
            }
            let (new, staged) = ((new_files, new_len), (staged_files, staged_len));
            Ok(Prepared { planned, selection, changes, local, wanted, new, staged })
        })
        .await?;
        let counters = &self.requests.counters;
        for (counter, value) in [
            (&counters.total_files, prepared.new.0),
            (&counters.total, prepared.new.1),
            (&counters.files, prepared.staged.0),
            (&counters.done, prepared.staged.1),
        ] {
            counter.store(value, Ordering::Relaxed);
        }
        self.requests.report_state(PullState::Receiving);
        Ok(prepared)
    }

    async fn fetch(&self, mut prepared: Prepared) -> Result<Prepared, PartsError> {
        if prepared.wanted.is_empty() {
            return Ok(prepared);
        }
        let inline = prepared.planned.inline.take();
        let pair = prepared.planned.pair.clone();
        let folder = self.place.state.as_ref().map(StateFolder::parts).unwrap_or_default();
        let parts = Arc::new(prepared.parts(&self.place, &self.requests)?);
        let fetched = fetch_all(&self.requests, parts.clone(), folder, &pair, inline).await;
        // All threads have ended, so this is the last reference.
        let Ok(parts) = Arc::try_unwrap(parts) else {
            return Err(PullDirectoryError::from(crate::task::TaskFailed::Cancelled).into());
        };
        prepared.local = parts.local;
        fetched.map(|()| prepared)
    }

    async fn switch(&self, prepared: Prepared) -> Result<PulledDirectory, PullDirectoryError> {
        let (place, url) = (self.place.clone(), self.requests.url());
        blocking(move || {
            let pulled = prepared.pulled();
            let Some(state) = &place.state else { return Ok(pulled) };
            let Prepared { planned, selection, changes, mut local, .. } = prepared;
            let is_recorded = local.record.as_ref().is_some_and(|record| record.manifest == planned.new);
            if changes.is_empty() && is_recorded {
                if let Some(record) = local.record.as_mut().filter(|_| local.is_stale) {
                    // The files that were read need not be read again.
                    record.taken = fingerprint::now();
                    let saved = record.save(&place.record_path(state.path()), &url);
                    saved.map_err(|error| place.unreadable(error))?;
                }
            } else {
                let mut tree = place.tree().map_err(|error| place.unreadable(error))?;
                let (local, new, selection, changes) = (&local, &planned.new, &selection, &changes);
                let plan = SwitchPlan { state, local, new, selection, changes, url: &url };
                let switched = match place.is_atomic {
                    true => atomic::switch(&plan, &place.dest, &mut tree, &mut || Ok(())),
                    false => switch::switch(&plan, &mut tree, &mut || Ok(())),
                };
                switched.map_err(|error| {
                    PullDirectoryError::store(format!("cannot change {}", place.dest.display()), error)
                })?;
            }
            state.clear().map_err(|error| place.unreadable(error))?;
            Ok(pulled)
        })
        .await
    }
}

impl Prepared {
    fn pulled(&self) -> PulledDirectory {
        let Changes { placed, modes, removed, kept } = &self.changes;
        let replaced = placed.iter().filter(|(_, stands)| *stands).count();
        PulledDirectory {
            version: self.planned.target,
            same: self.changes.is_empty(),
            files: self.selection.included.iter().filter(|included| **included).count(),
            added: placed.len() - replaced,
            changed: replaced + modes.len(),
            removed: removed.len(),
            kept: kept.clone(),
            hidden: self.selection.hidden,
            excluded: self.selection.excluded,
            new_len: self.new.1,
            sent: 0,
            received: 0,
            requests: 0,
            changes: Vec::new(),
            elapsed: Default::default(),
        }
    }

    /// Whether all wanted files are in parts that can be decoded.
    fn can_fetch(&self) -> bool {
        let mut missing = self.wanted.clone();
        let held = |index: &usize| {
            let version = self.planned.old.as_ref().map(|old| old.entry(*index).version);
            version.is_some_and(|version| version == Version::EMPTY || self.local.path_of(&version).is_some())
        };
        for part in self.planned.parts.iter().filter(|part| part.bases.iter().all(held)) {
            for index in &part.files {
                missing.remove(&self.planned.new.entry(*index).version);
            }
        }
        missing.is_empty()
    }

    fn parts(&mut self, place: &Place, requests: &Requests) -> Result<Parts, PullDirectoryError> {
        let staging = Staging::at(place.state.as_ref().map(StateFolder::staging).unwrap_or_default());
        Ok(Parts {
            old: self.planned.old.clone(),
            new: self.planned.new.clone(),
            parts: std::mem::take(&mut self.planned.parts),
            local: std::mem::take(&mut self.local),
            tree: Mutex::new(place.tree().map_err(|error| place.unreadable(error))?),
            staging,
            wanted: std::mem::take(&mut self.wanted),
            counters: requests.counters.clone(),
        })
    }
}
