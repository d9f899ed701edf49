//! Directories in memory: their manifests, and directory deltas with all parts.
#![allow(dead_code, unreachable_pub)]

use std::collections::HashMap;
use std::sync::Arc;

use driblet_core::directory::*;
use driblet_core::*;

/// A file: path, executable flag, bytes.
pub type TestFile = (String, bool, Vec<u8>);

pub fn manifest_of(files: &[TestFile]) -> Manifest {
    let entry = |(path, executable, bytes): &TestFile| FileEntry {
        path: path.clone(),
        executable: *executable,
        len: bytes.len() as u64,
        version: Version::of(bytes),
    };
    Manifest::new(files.iter().map(entry).collect()).unwrap()
}

/// Makes the new directory from the old one and a directory delta that comes in pieces, or gives the reason for the
/// refusal.
pub fn apply_directory<'a>(
    old_files: &[TestFile],
    mut pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<TestFile>, &'static str> {
    let old = Arc::new(manifest_of(old_files));
    let mut held: HashMap<Version, Vec<u8>> =
        old_files.iter().map(|(_, _, bytes)| (Version::of(bytes), bytes.clone())).collect();
    held.insert(Version::EMPTY, Vec::new());
    let mut start = Vec::new();
    let (delta, len) = loop {
        match DirectoryDelta::parse(&start).map_err(|error| error.reason())? {
            Some(parsed) => break parsed,
            None => start.extend_from_slice(pieces.next().ok_or("truncated")?),
        }
    };
    let applied = delta.apply(Some(&old), ManifestLimits::default());
    let (new, parts) = applied.map_err(|error| error.reason())?;
    let new = Arc::new(new);
    let mut decoder = PartsDecoder::new(parts, Some(old.clone()), new.clone());
    decoder.handle_input(&start[len..]);
    let mut made = Vec::new();
    loop {
        match decoder.poll_event().map_err(|error| error.reason())? {
            PartsEvent::NeedInput => match pieces.next() {
                Some(piece) => decoder.handle_input(piece),
                None => decoder.handle_end(),
            },
            PartsEvent::NeedBasis { file, range } => {
                let bytes = &held[&old.entry(file).version];
                decoder.handle_basis(&bytes[range.start as usize..range.end as usize]);
            }
            PartsEvent::Output { file, bytes, is_last } => {
                made.extend_from_slice(bytes);
                if is_last {
                    held.insert(new.entry(file).version, std::mem::take(&mut made));
                }
            }
            PartsEvent::Done => break,
        }
    }
    let file = |entry: Entry<'_>| (entry.path.to_owned(), entry.executable, held[&entry.version].clone());
    Ok(new.entries().map(file).collect())
}

/// Makes a directory delta with all parts. `cut` says how many files each part has; 0 leaves it to the core.
#[cfg(feature = "encode")]
pub fn diff_directory(old_files: &[TestFile], new_files: &[TestFile], cut: usize) -> Vec<u8> {
    let (old, new) = (manifest_of(old_files), manifest_of(new_files));
    let by_version = |files: &[TestFile]| -> HashMap<Version, Vec<u8>> {
        files.iter().map(|(_, _, bytes)| (Version::of(bytes), bytes.clone())).collect()
    };
    let (old_bytes, new_bytes) = (by_version(old_files), by_version(new_files));
    let mut read = |version| old_bytes.get(&version).or(new_bytes.get(&version)).cloned();
    let mut parts = plan_parts(Some(&old), &new, &mut read);
    if cut != 0 {
        let (files, chooser) = (driblet_core::directory::new_files(Some(&old), &new), BasisChooser::new(&old, &new));
        let part = |files: &[usize]| {
            PlannedPart::new(files.to_vec(), chooser.choose(files, &mut |_, _| None), Some(&old), &new)
        };
        parts = files.chunks(cut).map(part).collect();
    }
    let options = EncodeOptions::new();
    let mut out = DirectoryDelta::between(Some(&old), &new, &parts, options).unwrap().encode();
    for part in parts {
        let all = |manifest: &Manifest, files: &[usize], bytes: &HashMap<Version, Vec<u8>>| -> Vec<u8> {
            files.iter().flat_map(|index| bytes[&manifest.entry(*index).version].clone()).collect()
        };
        let (basis, target) = (all(&old, &part.bases, &old_bytes), all(&new, &part.files, &new_bytes));
        let version = Version::of(&target);
        let mut encoder = Encoder::of_versions((&basis, part.basis), (&target, version), options);
        while let Some(bytes) = encoder.poll_output().unwrap() {
            out.extend_from_slice(&bytes);
        }
    }
    out
}
