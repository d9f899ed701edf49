//! Directories: manifests, hostile bytes, the delta between two manifests, and directory deltas with all parts.
mod support;

use driblet_core::directory::*;
use driblet_core::{EncodeOptions, Version};
use proptest::prelude::*;
use support::{TestFile, apply_directory, apply_whole, diff_directory, random_bytes, text};

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
    fn edits_are_as_good_as_a_new_manifest(
        old in files(), removed in proptest::collection::vec(any::<prop::sample::Index>(), 0..6), added in files(),
    ) {
        let old = together(old);
        let paths: Vec<String> = old.entries().map(|entry| entry.path.to_owned()).collect();
        let known = removed.iter().filter(|_| !paths.is_empty()).map(|index| index.get(&paths).as_str());
        let removed: Vec<&str> = known.chain(["not/there"]).collect();
        let mut added = added;
        added.truncate(removed.len());
        let is_kept = |entry: &Entry<'_>| {
            !removed.contains(&entry.path) && added.iter().all(|file| file.path != entry.path)
        };
        let of = |entry: Entry<'_>| FileEntry {
            path: entry.path.to_owned(), executable: entry.executable, len: entry.len, version: entry.version,
        };
        let expected = Manifest::new(old.entries().filter(is_kept).map(of).chain(added.clone()).collect());
        prop_assert_eq!(old.edited(&removed, added), expected);
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

fn directory(files: &[(&str, bool, &[u8])]) -> Vec<TestFile> {
    files.iter().map(|(path, executable, bytes)| ((*path).to_owned(), *executable, bytes.to_vec())).collect()
}

/// Two directories that differ in every way: files are edited, moved, copied, added, removed and emptied.
fn two_directories() -> (Vec<TestFile>, Vec<TestFile>) {
    let (app, lib, page) = (text(1, 9_000), random_bytes(2, 9_000), text(3, 2_000));
    let mut edited = app.clone();
    edited.splice(4_000..4_010, *b"an edit in the middle");
    let old = directory(&[
        ("app.js", false, &app),
        ("gone.txt", false, b"gone"),
        ("lib/x.bin", false, &lib),
        ("page.html", false, &page),
        ("run", false, b"#!/bin/sh"),
    ]);
    let new = directory(&[
        ("app.js", false, &edited),
        ("copy/of/page.html", false, &page),
        ("empty", true, b""),
        ("moved/x.bin", false, &lib),
        ("new-a", false, b"added"),
        ("new-b", true, b"added"),
        ("page.html", false, &[&page[..], &app[..100]].concat()),
        ("run", true, b"#!/bin/sh"),
    ]);
    (old, new)
}

#[test]
fn a_directory_delta_with_all_parts_makes_the_new_directory() {
    let (old, new) = two_directories();
    let nothing = Vec::new();
    for (old, new) in [(&old, &new), (&new, &old), (&nothing, &new), (&old, &nothing), (&old, &old)] {
        for cut in 0..4 {
            let delta = diff_directory(old, new, cut);
            assert_eq!(apply_directory(old, [&delta[..]].into_iter()).as_ref(), Ok(new));
            for len in [1, 7, 1000] {
                assert_eq!(apply_directory(old, delta.chunks(len)).as_ref(), Ok(new), "in pieces of {len}");
            }
            assert_eq!(apply_directory(old, delta.chunks(99).chain([&b"x"[..]])), Err("trailing-bytes"));
        }
    }
    let delta = diff_directory(&old, &new, 1);
    assert!(delta.len() < 700, "{} bytes", delta.len());
    assert_eq!(apply_directory(&new, [&delta[..]].into_iter()), Err("wrong-basis"));
}

#[test]
fn a_directory_delta_that_is_damaged_anywhere_is_refused() {
    let (old, new) = two_directories();
    for cut in [0, 1] {
        let delta = diff_directory(&old, &new, cut);
        for len in 0..delta.len() {
            let refused = apply_directory(&old, [&delta[..len]].into_iter()).unwrap_err();
            assert_eq!(refused, "truncated", "after {len} bytes");
        }
        for at in 0..delta.len() {
            for flip in [1, 0x80, 0xff] {
                let mut damaged = delta.clone();
                damaged[at] ^= flip;
                // Another choice of parts or bases may be valid, if it makes the same files.
                if let Ok(made) = apply_directory(&old, [&damaged[..]].into_iter()) {
                    assert_eq!(made, new, "byte {at}");
                }
            }
        }
    }
}

#[test]
fn files_of_a_part_must_have_their_versions() {
    let (old, new) = (directory(&[]), directory(&[("a", false, b"1234"), ("b", false, b"567")]));
    let delta = diff_directory(&old, &new, 0);
    let (start, len) = DirectoryDelta::parse(&delta).unwrap().unwrap();
    for (target, reason) in [
        (&b"1234567"[..], None),
        (b"1235567", Some("bad-file")),
        (b"1234568", Some("bad-file")),
        (b"123456", Some("bad-parts")),
        (b"12345678", Some("limit-target")),
    ] {
        let part = driblet_core::diff(b"", target, EncodeOptions::new()).unwrap();
        let made = apply_directory(&old, [&start.encode()[..], &part[..]].into_iter());
        assert_eq!(made.as_ref().err(), reason.as_ref(), "{target:?}");
    }
    assert_eq!(start.encode(), delta[..len]);
}

#[test]
fn basis_bytes_that_were_not_asked_for_are_refused() {
    let (old, new) = two_directories();
    let delta = diff_directory(&old, &new, 0);
    let manifest = std::sync::Arc::new(support::manifest_of(&old));
    let (start, len) = DirectoryDelta::parse(&delta).unwrap().unwrap();
    let (new, parts) = start.apply(Some(&manifest), ManifestLimits::default()).unwrap();
    let mut decoder = PartsDecoder::new(parts, Some(manifest), std::sync::Arc::new(new));
    decoder.handle_basis(b"too early, so without effect");
    decoder.handle_input(&delta[len..]);
    let error = loop {
        match decoder.poll_event() {
            Ok(PartsEvent::NeedBasis { range, .. }) => {
                decoder.handle_basis(&vec![0; (range.end - range.start) as usize - 1]);
            }
            Ok(PartsEvent::Output { .. }) => {}
            Ok(event) => panic!("{event:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), "basis-short");
    assert_eq!(decoder.poll_event(), Err(error));
}
