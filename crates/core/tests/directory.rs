//! Manifests of directories: canonical bytes, hostile bytes, and the delta between two.
mod support;

use driblet_core::directory::*;
use driblet_core::{EncodeOptions, Version};
use proptest::prelude::*;
use support::apply_whole;

fn file(path: &str, content: u64) -> FileEntry {
    let bytes = content.to_le_bytes();
    FileEntry { path: path.into(), executable: content.is_multiple_of(7), len: 8, version: Version::of(&bytes) }
}

fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    Manifest::parse(bytes, ManifestLimits::default())
}

/// Files with paths of few letters, so that they meet each other in every way.
fn files() -> impl Strategy<Value = Vec<FileEntry>> {
    let path = proptest::collection::vec("[ab.é-]{1,3}", 1..4).prop_map(|parts| parts.join("/"));
    proptest::collection::vec((path, 0..40u64).prop_map(|(path, content)| file(&path, content)), 0..60)
}

/// The files that can stand in one manifest.
fn together(files: Vec<FileEntry>) -> Manifest {
    let mut kept: Vec<FileEntry> = Vec::new();
    for file in files {
        let mut all = kept.clone();
        all.push(file);
        if Manifest::new(all.clone()).is_ok() {
            kept = all;
        }
    }
    Manifest::new(kept).unwrap()
}

fn delta_between(old: &Manifest, new: &Manifest) -> Vec<u8> {
    let delta = encode_manifest_delta(Some(old), new, EncodeOptions::default()).unwrap();
    assert!(apply_whole(&old.encode(), &delta).unwrap() == new.encode());
    delta
}

proptest! {
    #[test]
    fn manifests_go_both_ways(files in files()) {
        let manifest = together(files);
        let bytes = manifest.encode();
        prop_assert_eq!(parse(&bytes).unwrap(), manifest.clone());
        prop_assert_eq!(Version::of(&bytes), manifest.version());
        for (index, entry) in manifest.entries().enumerate() {
            prop_assert_eq!(manifest.find(entry.path), Some(index));
        }
        for len in 0..bytes.len() {
            prop_assert!(parse(&bytes[..len]).is_err(), "cut off after {} bytes", len);
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_canonical(files in files(), at in any::<prop::sample::Index>(), byte: u8, tail: Vec<u8>) {
        let mut bytes = together(files).encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        for bytes in [bytes.clone(), [&bytes[..at], &tail].concat()] {
            if let Ok(manifest) = parse(&bytes) {
                prop_assert_eq!(manifest.encode(), bytes);
            }
        }
    }

    #[test]
    fn a_delta_makes_the_new_manifest(old in files(), new in files()) {
        let (old, new) = (together(old), together(new));
        delta_between(&old, &new);
        let all = new_files(Some(&old), &new);
        let parts = cut_parts(all.iter().map(|index| (new.entry(*index).version, new.entry(*index).len)));
        prop_assert_eq!(parts.iter().map(|part| part.files.len()).sum::<usize>(), all.len());
    }
}

/// A manifest written by hand: format, count, then (shared, rest) of each path, flags, lengths, versions.
fn by_hand(paths: &[(u8, &str)], flags: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xda, 1, paths.len() as u8];
    for (shared, rest) in paths {
        bytes.extend([*shared, rest.len() as u8]);
        bytes.extend(rest.as_bytes());
    }
    bytes.extend(flags);
    paths.iter().for_each(|_| bytes.push(1));
    paths.iter().for_each(|_| bytes.extend([7; 32]));
    bytes
}

#[test]
fn hostile_manifests_are_refused_by_name() {
    let refused = |paths: &[(u8, &str)]| parse(&by_hand(paths, &vec![0; paths.len()])).unwrap_err().to_string();
    assert!(parse(&by_hand(&[(0, "a"), (0, "b")], &[0, 1])).is_ok());
    for (paths, said) in [
        (&[(0, "../x")][..], "\"../x\": a path has no part that is . or .."),
        (&[(0, "/etc/passwd")], "relative"),
        (&[(0, "a\\b")], "backslash"),
        (&[(0, "a\0")], "NUL"),
        (&[(0, "a"), (1, "")], "\"a\" does not stand in order"),
        (&[(0, "b"), (0, "a")], "\"a\" does not stand in order"),
        (&[(0, "a-b"), (1, "/x")], "\"a/x\" does not stand in order"),
        (&[(0, "a"), (1, "/x")], "\"a\" is a file, so \"a/x\" cannot lie below it"),
        (&[(0, "aa"), (0, "ab")], "shortest form"),
        (&[(0, "a"), (9, "b")], "shortest form"),
    ] {
        let error = refused(paths);
        assert!(error.contains(said), "{error} for {paths:?}");
    }
    let error = parse(&by_hand(&[(0, "a")], &[2])).unwrap_err();
    assert_eq!(error, ManifestError::UnknownFlags { path: "a".into(), flags: 2 });
    assert_eq!(parse(b"<!doctype html>").unwrap_err(), ManifestError::NoManifest);
    assert_eq!(parse(&[0xda, 2]).unwrap_err(), ManifestError::UnknownFormat { format: 2 });
    assert!(matches!(parse(&[0xda, 1, 1, 0, 1, 0xff, 0]).unwrap_err(), ManifestError::CutOff { .. }));
    let mut extra = by_hand(&[(0, "a")], &[0]);
    extra.push(0);
    assert_eq!(parse(&extra).unwrap_err(), ManifestError::TooLong { extra: 1 });
    // The empty file has one version, and no other file has it.
    let entry = FileEntry { path: "a".into(), executable: false, len: 3, version: Version::EMPTY };
    assert_eq!(Manifest::new(vec![entry]), Err(ManifestError::BadLength { path: "a".into(), len: 3 }));
}

#[test]
fn what_is_announced_takes_no_memory() {
    let announced = [&[0xda, 1][..], &[0x80, 0x80, 0x80, 0x80, 0x80, 0x20], &[0; 100]].concat();
    assert_eq!(parse(&announced).unwrap_err(), ManifestError::TooManyFiles { count: 1 << 40, limit: 1 << 20 });
    let announced = [&[0xda, 1][..], &[0x80, 0x80, 0x40], &[0; 100]].concat();
    assert_eq!(parse(&announced).unwrap_err(), ManifestError::CutOff { len: 105 });
    // Paths of 4,000 bytes, each of which shares nearly all with the one before.
    let long = "x".repeat(3_990);
    let files = (0..30_000u64).map(|number| file(&format!("{long}{number:08}"), number)).collect();
    let Err(error) = Manifest::new(files) else { panic!("too long") };
    assert_eq!(error, ManifestError::PathsTooLong { limit: 64 << 20 });
}

#[test]
fn what_moved_costs_little() {
    let path = |number: u64| format!("assets/images/{}/picture-{number:05}.webp", number / 100);
    let old = Manifest::new((0..10_000).map(|number| file(&path(number), number)).collect()).unwrap();
    let moved = |number: u64| file(&path(number).replace("assets/images", "static/media"), number);
    let new = Manifest::new((0..10_000).map(moved).collect()).unwrap();
    assert!(new_files(Some(&old), &new).is_empty());
    let delta = delta_between(&old, &new);
    assert!(delta.len() < 4_000, "{} bytes for a folder of 10,000 files that moved", delta.len());
    let mut files: Vec<FileEntry> = (0..10_000).map(|number| file(&path(number), number)).collect();
    files[5_000] = file(&path(5_000), 77_777);
    let delta = delta_between(&old, &Manifest::new(files).unwrap());
    assert!(delta.len() < 150, "{} bytes for one file that changed", delta.len());
    assert!(delta_between(&old, &old).len() < 80);
}
