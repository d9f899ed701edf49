//! Publishes: makes bytes durable, and lists them in the index.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::sync::Weak;

use driblet_core::Version;
use driblet_core::directory::Manifest;

use super::{DirectoryHistory, Opened, SHORT, contents};
use crate::fingerprint::{self, Fingerprint};
use crate::history::contract::{Candidate, StagedBytes, StagedVersion};
use crate::history::error::HistoryError;
use crate::history::index::{Index, Publication};
use crate::history::segments::{NewSegment, Place};
use crate::history::stored_version::read_place;

/// The most files that are flushed one by one. More short files are written into a segment, and more long ones are made
/// durable by one flush of the whole file system.
const FEW: usize = 8;

impl DirectoryHistory {
    /// Publishes files, or the manifest of one directory. Removes what it wrote for those that are not published.
    pub(super) fn publish_or_undo(
        &self,
        candidates: &[Candidate],
        manifest: Option<&Manifest>,
    ) -> Result<Vec<String>, HistoryError> {
        let mut written = HashSet::new();
        let segment = self.write_segment(candidates, &HashSet::new());
        let (segment, moving) = segment.map_err(|error| self.error(error))?;
        let number = segment.as_ref().map(|segment| segment.number);
        let published = self.publish_current(candidates, segment, manifest, &mut written);
        let mut index = self.index();
        index.segments.settle(&moving);
        let unnamed = written.iter().filter(|version| !index.names(version));
        // The next start removes the files that cannot be removed now.
        unnamed.for_each(|version| drop(fs::remove_file(self.file_of(version))));
        if let Some(number) = number.filter(|number| published.is_err() && !index.segments.has(*number)) {
            let _ = self.segments.remove(number);
        }
        published
    }

    /// Publishes all that were not overtaken, and gives the paths of the others. Adds the versions whose files it made to
    /// `written`.
    fn publish_current(
        &self,
        candidates: &[Candidate],
        segment: Option<NewSegment>,
        manifest: Option<&Manifest>,
        written: &mut HashSet<Version>,
    ) -> Result<Vec<String>, HistoryError> {
        let in_segment: HashSet<Version> =
            segment.iter().flat_map(|segment| &segment.versions).map(|(it, _)| *it).collect();
        let is_kept =
            |index: &Index, staged: &StagedVersion| in_segment.contains(&staged.version) || self.is_kept(index, staged);
        let is_new = |staged: &&StagedVersion| !is_kept(&self.index(), staged);
        let new: Vec<&StagedVersion> = candidates.iter().map(|candidate| &candidate.staged).filter(is_new).collect();
        // This takes long, so the index is not locked. Evictions from now on are noticed below.
        self.make_durable(&new, written).map_err(|error| self.error(error))?;
        // The lock is held until the index lists the files, so that no eviction removes them in between.
        let mut index = self.index();
        let is_current = |it: &&Candidate| manifest.is_some() || index.head(&it.path) == it.before;
        let (current, overtaken): (Vec<&Candidate>, Vec<&Candidate>) = candidates.iter().partition(is_current);
        let name = |staged: &StagedVersion| -> io::Result<()> {
            if is_kept(&index, staged) || written.contains(&staged.version) && self.has_file(staged) {
                return Ok(());
            }
            match &staged.bytes {
                StagedBytes::Memory(bytes) => self.write_over(&staged.version, bytes),
                StagedBytes::File(file) => {
                    file.as_file().sync_data()?;
                    fs::rename(file.path(), self.file_of(&staged.version))?;
                    // The bytes were hashed while they were copied, so they need not be verified again.
                    let verified = Fingerprint::of(&file.as_file().metadata()?);
                    self.open_versions().insert(staged.version, Opened { kept: Weak::new(), verified });
                    Ok(())
                }
            }
        };
        let names = current.iter().try_for_each(|candidate| name(&candidate.staged));
        let named = names.and_then(|()| if new.is_empty() { Ok(()) } else { self.flush_names() });
        named.map_err(|error| self.error(error))?;
        let publications = current.iter().map(|Candidate { path, staged, observation, .. }| Publication {
            path,
            version: staged.version,
            len: staged.len,
            observation: *observation,
        });
        let publications: Vec<Publication<'_>> = publications.collect();
        let now = fingerprint::now() / 1_000_000_000;
        let evicted = match manifest {
            None => index.publish(&publications, segment, self.limits, now)?,
            Some(manifest) => {
                index.publish_directory(&publications[0], contents(manifest), segment, self.limits, now)?
            }
        };
        self.remove_unneeded(&evicted);
        Ok(overtaken.into_iter().map(|candidate| candidate.path.clone()).collect())
    }

    /// Writes many short versions, and those that are left of sparse segments, into one new segment. Gives the segment, if
    /// there is need for one, and the sparse ones.
    pub(super) fn write_segment(
        &self,
        candidates: &[Candidate],
        forgotten: &HashSet<Version>,
    ) -> io::Result<(Option<NewSegment>, Vec<u64>)> {
        let mut seen = HashSet::new();
        let mut short: Vec<(Version, &[u8])> = Vec::new();
        for Candidate { staged, .. } in candidates {
            if let StagedBytes::Memory(bytes) = &staged.bytes
                && bytes.len() as u64 <= SHORT
                && seen.insert(staged.version)
                && !self.is_kept(&self.index(), staged)
            {
                short.push((staged.version, bytes));
            }
        }
        if short.len() <= FEW {
            short.clear();
        }
        let (number, moving, moved) = {
            let segments = &mut self.index().segments;
            let moving = segments.take_sparse(forgotten);
            let moved: Vec<(Version, Place)> = moving.iter().flat_map(|number| segments.needed(*number)).collect();
            (segments.next_number(), moving, moved)
        };
        // What cannot be read stays where it is: whoever opens it finds out whether it is lost.
        let read = |(version, place): (Version, Place)| {
            let bytes = self.segments.open(place.segment).and_then(|segment| read_place(&segment, place));
            bytes.ok().map(|bytes| (version, bytes))
        };
        let moved: Vec<(Version, Vec<u8>)> = moved.into_iter().filter_map(read).collect();
        short.extend(moved.iter().map(|(version, bytes)| (*version, &**bytes)));
        if short.is_empty() {
            return Ok((None, moving));
        }
        let versions = short.iter().map(|(version, bytes)| (*version, bytes.len() as u32)).collect();
        let written = self.segments.write(number, |to| short.iter().try_for_each(|(_, bytes)| to.write_all(bytes)));
        if let Err(error) = written {
            self.index().segments.settle(&moving);
            return Err(error);
        }
        Ok((Some(NewSegment { number, versions }), moving))
    }

    /// Whether the index lists a version, and its bytes are there. Then they are durable.
    fn is_kept(&self, index: &Index, staged: &StagedVersion) -> bool {
        index.names(&staged.version)
            && match index.segments.place(&staged.version) {
                Some(place) => self.segments.len(place.segment) == index.segments.len(place.segment),
                None => self.has_file(staged),
            }
    }

    fn has_file(&self, staged: &StagedVersion) -> bool {
        fs::metadata(self.file_of(&staged.version)).is_ok_and(|data| data.len() == staged.len)
    }

    /// Makes staged bytes durable, with one flush if they are many. Short files get their names, and their versions are
    /// added to `written`.
    fn make_durable(&self, new: &[&StagedVersion], written: &mut HashSet<Version>) -> io::Result<()> {
        let at_once = cfg!(target_os = "linux") && FEW < new.len();
        for staged in new {
            match &staged.bytes {
                StagedBytes::File(_) if at_once => {}
                StagedBytes::File(file) => file.as_file().sync_data()?,
                StagedBytes::Memory(_) if written.contains(&staged.version) => {}
                StagedBytes::Memory(bytes) => {
                    let options = File::options().write(true).create_new(true).to_owned();
                    let path = self.file_of(&staged.version);
                    match self.in_versions(|| options.open(&path)) {
                        Ok(mut file) => {
                            written.insert(staged.version);
                            file.write_all(bytes)?;
                            if !at_once {
                                file.sync_data()?;
                            }
                        }
                        // Another request publishes the same version, or a damaged file has the name.
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                            self.write_over(&staged.version, bytes)?;
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        #[cfg(target_os = "linux")]
        if at_once {
            rustix::fs::syncfs(File::open(&self.folder)?)?;
        }
        Ok(())
    }

    /// Replaces a version's file. The bytes are durable afterwards; the name is not.
    fn write_over(&self, version: &Version, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.in_tmp(|tmp| tempfile::NamedTempFile::new_in(tmp))?;
        file.write_all(bytes)?;
        file.as_file().sync_data()?;
        file.persist(self.file_of(version)).map(drop).map_err(|error| error.error)
    }

    fn flush_names(&self) -> io::Result<()> {
        File::open(self.folder.join("versions"))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{History, HistoryLimits, Observation};

    /// A history, and the file of its only path.
    struct Setting {
        folder: tempfile::TempDir,
        history: DirectoryHistory,
    }

    impl Setting {
        fn new() -> Setting {
            let folder = tempfile::tempdir().unwrap();
            let root = folder.path().join("root");
            let history = DirectoryHistory::open(&folder.path().join("history"), &root, HistoryLimits::default());
            Setting { history: history.unwrap(), folder }
        }

        /// Writes a file and reads it.
        fn read(&self, path: &str, bytes: &[u8]) -> Candidate {
            let before = self.history.head(path);
            let place = self.folder.path().join("file");
            fs::write(&place, bytes).unwrap();
            let file = File::open(place).unwrap();
            let fingerprint = Fingerprint::of(&file.metadata().unwrap());
            let staged = self.history.stage(&file, fingerprint.len).unwrap();
            let observation = Observation { fingerprint, read: fingerprint::now(), settled: true, renumbered: false };
            Candidate { path: path.to_owned(), staged, observation, before }
        }

        fn kept(&self) -> usize {
            fs::read_dir(self.history.folder().join("versions")).unwrap().count()
        }
    }

    #[test]
    fn a_reading_that_was_overtaken_does_not_become_the_head() {
        let setting = Setting::new();
        let long = vec![1; SHORT as usize + 1];
        for (older, newer) in [(&b"older"[..], &b"newer"[..]), (&long, b"newest")] {
            let (older, newer) = (setting.read("a", older), setting.read("a", newer));
            let (version, kept) = (newer.staged.version, setting.kept());
            assert!(setting.history.publish(vec![newer]).unwrap().is_empty());
            let other = setting.read("b", b"another path of the same batch");
            assert_eq!(setting.history.publish(vec![older, other]).unwrap(), ["a"]);
            assert_eq!(setting.history.head("a").unwrap().version, version);
            assert!(setting.history.head("b").is_some());
            assert!(setting.kept() <= kept + 2, "the bytes that were overtaken are removed");
        }
    }

    #[test]
    fn many_readings_that_were_overtaken_leave_nothing() {
        let setting = Setting::new();
        let name = |number: usize| format!("{number}");
        let older: Vec<Candidate> =
            (0..20).map(|number| setting.read(&name(number), name(number).as_bytes())).collect();
        let newer = (0..20).map(|number| setting.read(&name(number), format!("newer {number}").as_bytes()));
        assert!(setting.history.publish(newer.collect()).unwrap().is_empty());
        assert_eq!(setting.history.publish(older).unwrap().len(), 20);
        assert_eq!(setting.history.size().versions, 20);
        let segments = fs::read_dir(setting.history.folder().join("segments")).unwrap();
        assert_eq!(segments.count(), 1, "the segment of the newer ones");
    }
}
