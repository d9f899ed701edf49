//! The manifest: a canonical list of a directory's files.

use std::fmt;
use std::ops::Range;

use super::error::ManifestError;
use super::format::FORMAT;
use super::path::{MAX_PATH, check_path, is_below, path_order, shared_len};
use crate::version::Version;
use crate::wire::{ByteReader, Stop, put_varint};

/// The first byte of every manifest.
const MAGIC: u8 = 0xda;
/// Bit 0 of the flags.
const EXECUTABLE: u8 = 1;
/// Bytes that an entry takes at least: two numbers and a byte of its path, flags, length, version.
const MIN_ENTRY: u64 = 36;
const MAX_TOTAL: u64 = 1 << 63;

/// A file of a directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Relative, with `/` between its parts.
    pub path: &'a str,
    /// Whether the file may be executed.
    pub executable: bool,
    /// Length in bytes.
    pub len: u64,
    /// The hash of its bytes.
    pub version: Version,
}

/// A file to make a manifest of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileEntry {
    /// Relative, with `/` between its parts.
    pub path: String,
    /// Whether the file may be executed.
    pub executable: bool,
    /// Length in bytes.
    pub len: u64,
    /// The hash of its bytes.
    pub version: Version,
}

/// What a receiver accepts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ManifestLimits {
    /// Files. Default: 2^20, which the format allows at most.
    pub files: u64,
    /// Bytes of all paths together. Paths share bytes on the wire, so a short manifest can name long paths. Default: 64 MiB.
    pub path_bytes: u64,
}

impl Default for ManifestLimits {
    fn default() -> ManifestLimits {
        ManifestLimits { files: 1 << 20, path_bytes: 64 << 20 }
    }
}

/// A directory's files, sorted by [`path_order`](super::path_order). What exists is valid.
///
/// ```
/// use driblet_core::Version;
/// use driblet_core::directory::{FileEntry, Manifest, ManifestLimits};
///
/// let file = |path: &str, bytes: &[u8]| FileEntry {
///     path: path.into(),
///     executable: false,
///     len: bytes.len() as u64,
///     version: Version::of(bytes),
/// };
/// let manifest = Manifest::new(vec![file("index.html", b"<p>"), file("assets/app.js", b"let a;")])?;
/// assert_eq!(manifest.entry(0).path, "assets/app.js");
/// let bytes = manifest.encode();
/// assert_eq!(Manifest::parse(&bytes, ManifestLimits::default())?, manifest);
/// assert_eq!(manifest.version(), Version::of(&bytes));
/// # Ok::<(), driblet_core::directory::ManifestError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// All paths, one after the other.
    paths: String,
    /// Where each path ends.
    ends: Vec<u32>,
    executable: Vec<bool>,
    lens: Vec<u64>,
    versions: Vec<Version>,
}

/// Where the columns lie in the bytes of a manifest.
#[cfg_attr(not(feature = "encode"), allow(dead_code))]
pub(super) struct Layout {
    /// Where each path begins in the column of paths, and where the column ends.
    pub(super) paths: Vec<usize>,
    /// Where the flags of the first file lie; each takes a byte.
    pub(super) flags: usize,
    /// Where each length begins, and where the column ends.
    pub(super) lens: Vec<usize>,
    /// Where the version of the first file lies; each takes 32 bytes.
    pub(super) versions: usize,
}

impl Manifest {
    /// Sorts files and checks them.
    pub fn new(mut files: Vec<FileEntry>) -> Result<Manifest, ManifestError> {
        files.sort_by(|a, b| path_order(&a.path, &b.path));
        let limits = ManifestLimits::default();
        demand_count(files.len() as u64, limits)?;
        let mut manifest = Manifest::with_capacity(files.len());
        for FileEntry { path, executable, len, version } in files {
            manifest.push(Entry { path: &path, executable, len, version }, limits)?;
        }
        manifest.check_lengths()?;
        Ok(manifest)
    }

    /// Reads a manifest and checks each of its rules.
    ///
    /// Memory is at most the paths, as far as the limits allow, and 50 bytes for each file.
    pub fn parse(bytes: &[u8], limits: ManifestLimits) -> Result<Manifest, ManifestError> {
        let mut reader = ByteReader::new(bytes);
        let stopped = |at: usize, stop: Stop| match stop {
            Stop::Incomplete => ManifestError::CutOff { len: bytes.len() },
            Stop::BadVarint => ManifestError::BadNumber { at },
        };
        macro_rules! read {
            ($what:ident($($argument:expr)?)) => {{
                let at = reader.position();
                reader.$what($($argument)?).map_err(|stop| stopped(at, stop))?
            }};
        }
        if read!(u8()) != MAGIC {
            return Err(ManifestError::NoManifest);
        }
        let format = read!(u8());
        if format != FORMAT {
            return Err(ManifestError::UnknownFormat { format });
        }
        let count = read!(varint());
        demand_count(count, limits)?;
        if (bytes.len() - reader.position()) as u64 / MIN_ENTRY < count {
            return Err(ManifestError::CutOff { len: bytes.len() });
        }
        let count = count as usize;
        let mut manifest = Manifest::with_capacity(count);
        let mut path = Vec::new();
        for index in 0..count {
            let shared = read!(varint());
            let rest = read!(varint());
            let before = path.len();
            if (before as u64) < shared {
                return Err(ManifestError::NotShortest { path: String::from_utf8_lossy(&path).into_owned() });
            }
            if (MAX_PATH as u64) < shared.saturating_add(rest) {
                let reason = super::BadPath::TooLong { len: shared.saturating_add(rest) as usize, max: MAX_PATH };
                return Err(ManifestError::BadPath { path: String::from_utf8_lossy(&path).into_owned(), reason });
            }
            let rest = read!(take(rest as usize));
            let could_share = path.get(shared as usize).is_some_and(|next| rest.first() == Some(next));
            path.truncate(shared as usize);
            path.extend_from_slice(rest);
            let text = std::str::from_utf8(&path).map_err(|_| ManifestError::NotUtf8 { index })?;
            if could_share {
                return Err(ManifestError::NotShortest { path: text.to_owned() });
            }
            manifest.push_path(text, limits)?;
        }
        for index in 0..count {
            let flags = read!(u8());
            if flags & !EXECUTABLE != 0 {
                return Err(ManifestError::UnknownFlags { path: manifest.path(index).to_owned(), flags });
            }
            manifest.executable.push(flags & EXECUTABLE != 0);
        }
        for _ in 0..count {
            manifest.lens.push(read!(varint()));
        }
        for _ in 0..count {
            manifest.versions.push(Version::from_bytes(read!(array())));
        }
        if !reader.is_empty() {
            return Err(ManifestError::TooLong { extra: bytes.len() - reader.position() });
        }
        manifest.check_lengths()?;
        Ok(manifest)
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with_layout().0
    }

    pub(super) fn encode_with_layout(&self) -> (Vec<u8>, Layout) {
        let mut out = vec![MAGIC, FORMAT];
        put_varint(&mut out, self.len() as u64);
        let mut paths = Vec::with_capacity(self.len() + 1);
        let mut before = "";
        for index in 0..self.len() {
            paths.push(out.len());
            let path = self.path(index);
            let shared = shared_len(before, path);
            put_varint(&mut out, shared as u64);
            put_varint(&mut out, (path.len() - shared) as u64);
            out.extend_from_slice(&path.as_bytes()[shared..]);
            before = path;
        }
        paths.push(out.len());
        let flags = out.len();
        out.extend(self.executable.iter().map(|executable| if *executable { EXECUTABLE } else { 0 }));
        let mut lens = Vec::with_capacity(self.len() + 1);
        for len in &self.lens {
            lens.push(out.len());
            put_varint(&mut out, *len);
        }
        lens.push(out.len());
        let versions = out.len();
        self.versions.iter().for_each(|version| out.extend_from_slice(version.as_bytes()));
        (out, Layout { paths, flags, lens, versions })
    }

    /// The directory's version: the hash of the canonical bytes.
    pub fn version(&self) -> Version {
        Version::of(&self.encode())
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// A file by its index.
    ///
    /// # Panics
    ///
    /// If there are not so many files.
    pub fn entry(&self, index: usize) -> Entry<'_> {
        Entry {
            path: self.path(index),
            executable: self.executable[index],
            len: self.lens[index],
            version: self.versions[index],
        }
    }

    /// All files, in order.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> + ExactSizeIterator {
        (0..self.len()).map(|index| self.entry(index))
    }

    /// The index of the file at a path.
    pub fn find(&self, path: &str) -> Option<usize> {
        self.search(path).ok()
    }

    /// As [`find`](Manifest::find); without such a file, the index at which it would stand.
    fn search(&self, path: &str) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match path_order(self.path(middle), path) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// This manifest without the files at some paths, and with other files. A file replaces the one at its path.
    ///
    /// All that stays is copied in long runs, so that few changes of a large manifest cost little.
    ///
    /// # Errors
    /// As [`new`](Manifest::new).
    pub fn edited(&self, removed: &[&str], mut files: Vec<FileEntry>) -> Result<Manifest, ManifestError> {
        files.sort_by(|a, b| path_order(&a.path, &b.path));
        let removed = removed.iter().filter_map(|path| Some((self.find(path)?, true, None)));
        let files = files.into_iter().map(|file| match self.search(&file.path) {
            Ok(index) => (index, true, Some(file)),
            Err(index) => (index, false, Some(file)),
        });
        let mut edits: Vec<(usize, bool, Option<FileEntry>)> = removed.chain(files).collect();
        // New files stand before the one at whose index they are inserted.
        edits.sort_by_key(|(index, replaces, _)| (*index, *replaces));
        let limits = ManifestLimits::default();
        let mut manifest = Manifest::with_capacity(self.len() + edits.len());
        let mut at = 0;
        for (index, replaces, file) in edits {
            manifest.push_run(self, at..index, limits)?;
            at = at.max(index + usize::from(replaces));
            if let Some(FileEntry { path, executable, len, version }) = file {
                manifest.push(Entry { path: &path, executable, len, version }, limits)?;
            }
        }
        manifest.push_run(self, at..self.len(), limits)?;
        demand_count(manifest.len() as u64, limits)?;
        manifest.check_lengths()?;
        Ok(manifest)
    }

    /// Bytes of all files together.
    pub fn total_len(&self) -> u64 {
        self.lens.iter().sum()
    }

    fn path(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        let range: Range<usize> = start as usize..self.ends[index] as usize;
        &self.paths[range]
    }

    fn with_capacity(count: usize) -> Manifest {
        Manifest {
            paths: String::new(),
            ends: Vec::with_capacity(count),
            executable: Vec::with_capacity(count),
            lens: Vec::with_capacity(count),
            versions: Vec::with_capacity(count),
        }
    }

    /// Adds the next file.
    fn push(&mut self, entry: Entry<'_>, limits: ManifestLimits) -> Result<(), ManifestError> {
        self.push_path(entry.path, limits)?;
        self.executable.push(entry.executable);
        self.lens.push(entry.len);
        self.versions.push(entry.version);
        Ok(())
    }

    /// Adds files of another manifest. Only the first is compared with the one before.
    fn push_run(&mut self, from: &Manifest, run: Range<usize>, limits: ManifestLimits) -> Result<(), ManifestError> {
        if run.is_empty() {
            return Ok(());
        }
        self.push(from.entry(run.start), limits)?;
        let rest = run.start + 1..run.end;
        let (start, end) = (from.ends[run.start] as usize, from.ends[run.end - 1] as usize);
        demand_path_bytes(self.paths.len() + (end - start), limits)?;
        let begin = self.paths.len();
        self.paths.push_str(&from.paths[start..end]);
        self.ends.extend(from.ends[rest.clone()].iter().map(|end| (begin + (*end as usize - start)) as u32));
        self.executable.extend_from_slice(&from.executable[rest.clone()]);
        self.lens.extend_from_slice(&from.lens[rest.clone()]);
        self.versions.extend_from_slice(&from.versions[rest]);
        Ok(())
    }

    /// Adds the next path, which must follow the one before.
    fn push_path(&mut self, path: &str, limits: ManifestLimits) -> Result<(), ManifestError> {
        check_path(path).map_err(|reason| ManifestError::BadPath { path: path.to_owned(), reason })?;
        if let Some(last) = self.len().checked_sub(1) {
            let before = self.path(last);
            if path_order(before, path).is_ge() {
                return Err(ManifestError::NotSorted { path: path.to_owned() });
            }
            if is_below(path, before) {
                return Err(ManifestError::BelowFile { parent: before.to_owned(), path: path.to_owned() });
            }
        }
        demand_path_bytes(self.paths.len() + path.len(), limits)?;
        self.paths.push_str(path);
        self.ends.push(self.paths.len() as u32);
        Ok(())
    }

    fn check_lengths(&self) -> Result<(), ManifestError> {
        let total = self.lens.iter().try_fold(0u64, |sum, len| sum.checked_add(*len));
        if total.is_none_or(|total| MAX_TOTAL < total) {
            return Err(ManifestError::FilesTooLong);
        }
        match self.entries().find(|entry| (entry.len == 0) != (entry.version == Version::EMPTY)) {
            Some(Entry { path, len, .. }) => Err(ManifestError::BadLength { path: path.to_owned(), len }),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manifest").field("files", &self.len()).field("bytes", &self.total_len()).finish()
    }
}

fn demand_path_bytes(len: usize, limits: ManifestLimits) -> Result<(), ManifestError> {
    // Ends are of 32 bits.
    let limit = limits.path_bytes.min(u64::from(u32::MAX));
    if limit < len as u64 { Err(ManifestError::PathsTooLong { limit }) } else { Ok(()) }
}

fn demand_count(count: u64, limits: ManifestLimits) -> Result<(), ManifestError> {
    let limit = limits.files.min(ManifestLimits::default().files);
    if limit < count { Err(ManifestError::TooManyFiles { count, limit }) } else { Ok(()) }
}
