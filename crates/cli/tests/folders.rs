//! `driblet diff` and `driblet patch` with folders.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Child, Stdio};

use driblet::Version;
use support::{code, driblet, eventually_on_thread, files, finished, lines, path, refused, text};
use tempfile::TempDir;

/// The files of a folder by path: whether each may be executed, and its bytes.
fn tree(folder: &Path) -> BTreeMap<String, (bool, Vec<u8>)> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.to_path_buf()]);
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let entry = entry.unwrap();
            let data = entry.metadata().unwrap();
            if data.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let path = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            found.insert(path, (data.permissions().mode() & 0o111 != 0, fs::read(entry.path()).unwrap()));
        }
    }
    found
}

fn names(folder: &TempDir) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &str) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn make_executable(path: &str) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The folders `old` and `new`, which differ in every way.
fn setting() -> TempDir {
    let (app, lib, page) = (lines("old\n"), lines("lib\n"), b"<p>a page</p>\n".repeat(300));
    let folder = files(&[
        ("old/app-a1b2c3d4.js", &app),
        ("old/gone/deep/file", b"gone"),
        ("old/page.html", &page),
        ("old/run", b"#!/bin/sh\n"),
        ("old/same/empty", b""),
        ("old/vendor/lib.js", &lib),
        ("new/app-ffee9911.js", &lines("new\n")),
        ("new/copy/of/page.html", &page),
        ("new/empty", b""),
        ("new/gone", b"a file where a folder was"),
        ("new/new-1", b"added twice"),
        ("new/new-2", b"added twice"),
        ("new/page.html", &page),
        ("new/run", b"#!/bin/sh\n"),
        ("new/same/empty", b""),
        ("new/third_party/lib.js", &lib),
    ]);
    for name in ["new/run", "new/new-2", "new/empty"] {
        make_executable(&path(&folder, name));
    }
    folder
}

fn diff(folder: &TempDir, old: &str, new: &str, delta: &str) {
    let made = driblet(&["diff", &path(folder, old), &path(folder, new), "-o", &path(folder, delta)]);
    assert_eq!((code(&made), text(&made.stdout), text(&made.stderr)), (0, String::new(), String::new()));
}

#[test]
fn folders_go_both_ways() {
    let folder = setting();
    let at = |name: &str| path(&folder, name);
    fs::create_dir(at("nothing")).unwrap();
    let all = ["old", "new", "nothing"];
    for (old, new) in all.iter().flat_map(|old| all.iter().map(move |new| (old, new))) {
        let (delta, made) = (format!("{old}-{new}"), format!("{old}-{new}-made"));
        diff(&folder, old, new, &delta);
        let patched = driblet(&["patch", &at(old), &at(&delta), "-o", &at(&made)]);
        assert_eq!((code(&patched), text(&patched.stderr)), (0, String::new()), "{delta}");
        assert_eq!(mode(&at(&made)), mode(&at("nothing")));
        assert_eq!(tree(&folder.path().join(&made)), tree(&folder.path().join(new)), "{delta}");
        // The same folders give the same delta, also when they were made by patch.
        diff(&folder, old, &made, "again");
        assert_eq!(fs::read(at(&delta)).unwrap(), fs::read(at("again")).unwrap());
    }
    assert!(fs::metadata(at("old-new")).unwrap().len() < 700, "{:?}", fs::metadata(at("old-new")).unwrap().len());
    assert!(!names(&folder).iter().any(|name| name.starts_with('.')), "{:?}", names(&folder));
}

#[test]
fn what_was_made_is_counted() {
    let folder = setting();
    let at = |name: &str| path(&folder, name);
    let keys = |stats: &[u8]| {
        let mut stats: serde_json::Value = serde_json::from_slice(stats).unwrap();
        assert!(stats.as_object_mut().unwrap().remove("elapsed_ms").is_some());
        stats
    };
    let made = driblet(&["diff", &at("old"), &at("new"), "-o", &at("delta"), "--stats", "json"]);
    let stats = keys(&made.stdout);
    let new = tree(&folder.path().join("new"));
    let len: usize = new.values().map(|(_, bytes)| bytes.len()).sum();
    assert_eq!((&stats["files"], &stats["new_files"], &stats["parts"]), (&10.into(), &3.into(), &1.into()));
    assert_eq!((&stats["len"], &stats["left_out"]), (&len.into(), &0.into()));
    assert_eq!(stats["delta_len"], fs::metadata(at("delta")).unwrap().len());
    let patched = driblet(&["patch", &at("old"), &at("delta"), "-o", &at("made"), "--stats", "json"]);
    let made = keys(&patched.stdout);
    for key in ["version", "files", "len", "new_files", "new_len"] {
        assert_eq!(made[key], stats[key], "{key}");
    }
    // Files have stats too. They are on stderr if the output is on stdout.
    let made = driblet(&["diff", &at("old/run"), &at("new/new-1"), "-o", "-", "--stats", "json"]);
    assert_eq!(keys(&made.stderr), serde_json::json!({ "delta_len": made.stdout.len(), "len": 11 }));
    fs::write(at("delta"), made.stdout).unwrap();
    let made = driblet(&["patch", &at("old/run"), &at("delta"), "-o", &at("file"), "--stats", "json"]);
    assert_eq!(keys(&made.stdout), serde_json::json!({ "len": 11 }));
}

#[test]
fn several_parts_through_pipes() {
    // Three parts: together two files would be above 16 MiB.
    let long = |number: u8| -> Vec<u8> {
        let mut state = u32::from(number) + 1;
        let next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 24) as u8
        };
        std::iter::repeat_with(next).take(9 << 20).collect()
    };
    let (a, b, c) = (long(1), long(2), long(3));
    let mut edited = a.clone();
    edited.splice(5_000_000..5_000_000, *b"inserted");
    let old: &[(&str, &[u8])] = &[("old/a", &a), ("old/b", &b), ("new/a", &edited), ("new/c", &c)];
    let folder = files(old);
    fs::write(path(&folder, "new/b"), [&b[..], b"!"].concat()).unwrap();
    let at = |name: &str| path(&folder, name);
    let script = format!(
        "{0} diff {1} {2} --codec fast -o - --stats json | {0} patch {1} - -o {3}",
        env!("CARGO_BIN_EXE_driblet"),
        at("old"),
        at("new"),
        at("made")
    );
    let output = support::Limited::output_within(std::process::Command::new("sh").args(["-c", &script]));
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let stats: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!((&stats["parts"], &stats["new_files"]), (&3.into(), &3.into()));
    assert!(stats["delta_len"].as_u64().unwrap() < (9 << 20) + 10_000, "{stats}");
    assert!(tree(&folder.path().join("made")) == tree(&folder.path().join("new")));
}

#[test]
fn a_damaged_delta_leaves_nothing() {
    let folder =
        files(&[("old/a", b"one file"), ("old/b", b"another"), ("new/a", b"one file!"), ("new/c", b"another")]);
    let at = |name: &str| path(&folder, name);
    diff(&folder, "old", "new", "delta");
    let delta = fs::read(at("delta")).unwrap();
    let patch = |bytes: &[u8]| {
        fs::write(at("damaged"), bytes).unwrap();
        driblet(&["patch", &at("old"), &at("damaged"), "-o", &at("made")])
    };
    let before = [names(&folder), vec!["damaged".to_owned()]].concat();
    let left = || -> Vec<String> { names(&folder).into_iter().filter(|name| !before.contains(name)).collect() };
    for len in 0..delta.len() {
        refused(&patch(&delta[..len]), &["cannot apply", "damaged"]);
        assert!(left().is_empty(), "after {len} bytes: {:?}", left());
    }
    refused(&patch(&[&delta[..], b"x"].concat()), &["bytes follow the end of the delta"]);
    for at_byte in 0..delta.len() {
        let mut damaged = delta.clone();
        damaged[at_byte] ^= 0x41;
        let patched = patch(&damaged);
        if code(&patched) == 0 {
            // Bits without a meaning, and lists of files that make the same folder.
            assert_eq!(tree(&folder.path().join("made")), tree(&folder.path().join("new")), "byte {at_byte}");
            fs::remove_dir_all(at("made")).unwrap();
            continue;
        }
        refused(&patched, &["cannot apply"]);
        assert!(left().is_empty(), "byte {at_byte}: {:?}", left());
    }
    assert_eq!(code(&patch(&delta)), 0);
    assert_eq!(left(), ["made"]);
}

#[test]
fn what_happens_while_a_delta_arrives() {
    let folder = setting();
    let at = |name: &str| path(&folder, name);
    diff(&folder, "old", "new", "delta");
    let delta = fs::read(at("delta")).unwrap();
    let (last, before) = delta.split_last().unwrap();
    let temporary = || names(&folder).into_iter().find(|name| name.starts_with(".driblet-"));
    // The command has read the old folder, and waits for the last byte.
    let begin = || {
        let mut command = support::command(&["patch", &at("old"), "-", "-o", &at("made")]);
        let mut process = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        process.stdin.as_mut().unwrap().write_all(before).unwrap();
        eventually_on_thread(|| temporary().is_some());
        process
    };
    let end = |mut process: Child| {
        process.stdin.take().unwrap().write_all(&[*last]).unwrap();
        finished(process)
    };
    let mut killed = begin();
    killed.kill().unwrap();
    finished(killed);
    assert!(!folder.path().join("made").exists());
    fs::remove_dir_all(folder.path().join(temporary().unwrap())).unwrap();

    let process = begin();
    fs::create_dir(at("made")).unwrap();
    fs::write(at("made/by-another"), "program").unwrap();
    refused(&end(process), &["cannot write", "made", "not empty"]);
    assert_eq!((tree(&folder.path().join("made")).len(), temporary()), (1, None));
    fs::remove_dir_all(at("made")).unwrap();

    let process = begin();
    fs::write(at("old/vendor/lib.js"), "changed").unwrap();
    refused(&end(process), &["cannot copy", "vendor/lib.js", "changed while it was read"]);
    assert!(!folder.path().join("made").exists() && temporary().is_none());
}

/// A delta from an empty folder to empty files with these paths, which need no parts. All numbers are below 2^14.
fn to_empty_files(paths: &[&str]) -> Vec<u8> {
    let number = |number: usize| match number < 128 {
        true => vec![number as u8],
        false => vec![number as u8 | 0x80, (number >> 7) as u8],
    };
    let mut manifest = vec![0xda, 1, paths.len() as u8];
    for path in paths {
        manifest.push(0);
        manifest.extend(number(path.len()));
        manifest.extend(path.as_bytes());
    }
    manifest.extend(vec![0; 2 * paths.len()]);
    paths.iter().for_each(|_| manifest.extend(Version::of(b"").as_bytes()));
    let (target, basis) = (Version::of(&manifest), Version::of(&[0xda, 1, 0]));
    let header = [&[0xdb, 0x10], &target.as_bytes()[..], &number(manifest.len()), &basis.as_bytes()[..8], &[0x80]];
    let delta = [&header.concat()[..], &manifest].concat();
    [&[0xdd, 1], &target.as_bytes()[..], &number(delta.len()), &delta, &[0]].concat()
}

#[test]
fn names_that_must_not_be_written() {
    let folder = files(&[]);
    let at = |name: &str| path(&folder, name);
    fs::create_dir(at("old")).unwrap();
    let patch = |paths: &[&str], more: &[&str]| {
        fs::write(at("delta"), to_empty_files(paths)).unwrap();
        driblet(&[&["patch", &at("old"), &at("delta"), "-o", &at("made")], more].concat())
    };
    let long = "x".repeat(256);
    for (name, says) in [
        ("../escaped", "is . or .."),
        ("/tmp/escaped", "relative"),
        ("a/./b", "is . or .."),
        ("a\\b", "backslash"),
        (".git/hooks/x", "git would take it"),
        ("a/.GIT", "git would take it"),
        (".driblet/x", "reserved"),
        (&long, "256 bytes; at most 255"),
    ] {
        for more in [&[][..], &["--hidden"]] {
            refused(&patch(&[name], more), &[says]);
        }
    }
    refused(&patch(&[".env"], &[]), &["\".env\"", "--hidden"]);
    refused(&patch(&["b", "a"], &[]), &["not stand in order"]);
    assert_eq!(names(&folder), ["delta", "old"]);
    assert_eq!(code(&patch(&[".env", "con"], &["--hidden"])), 0);
    assert_eq!(tree(&folder.path().join("made")).into_keys().collect::<Vec<_>>(), [".env", "con"]);
}

#[test]
fn another_old_folder_is_named() {
    let folder = setting();
    let at = |name: &str| path(&folder, name);
    diff(&folder, "old", "new", "delta");
    diff(&folder, "new", "new", "same");
    let patch = |delta: &str| driblet(&["patch", &at("old"), &at(delta), "-o", &at("made")]);
    refused(&patch("same"), &["cannot apply", "same: it was made from other files than those of", "old", "--exclude"]);
    fs::write(at("old/page.html"), "changed").unwrap();
    refused(&patch("delta"), &["cannot apply", "it was made from other files than those of", "--hidden"]);
    assert!(!folder.path().join("made").exists());
}

#[test]
fn what_stands_in_the_way_is_named() {
    let folder = setting();
    let at = |name: &str| path(&folder, name);
    diff(&folder, "old", "new", "delta");
    let patch = |old: &str, delta: &str, new: &str| driblet(&["patch", &at(old), &at(delta), "-o", &at(new)]);
    refused(&patch("old", "delta", "old"), &["cannot write", "not empty", "rename it afterwards"]);
    refused(&patch("old", "delta", "delta"), &["cannot write", "not a folder"]);
    refused(&patch("old", "delta", "no/where/made"), &["cannot write", "no/where does not exist"]);
    refused(&patch("old/run", "delta", "made"), &["delta between folders", "name a folder as OLD"]);
    symlink("nowhere", at("link")).unwrap();
    refused(&patch("old", "delta", "link"), &["a link that leads nowhere"]);
    assert_eq!(code(&driblet(&["diff", &at("old/run"), &at("new/run"), "-o", &at("file.delta")])), 0);
    refused(&patch("old", "file.delta", "made"), &["no delta between folders", "name a file as OLD"]);
    refused(&driblet(&["diff", &at("old"), &at("new/run"), "-o", &at("x")]), &["is a folder and", "name two folders"]);
    refused(&driblet(&["diff", "/dev/null", &at("new"), "-o", &at("x")]), &["is a folder and", "may be empty"]);
    refused(&driblet(&["diff", &at("old"), &at("lost"), "-o", &at("x")]), &["cannot read", "lost", "No such file"]);
    for args in [
        &["diff", &at("old/run"), &at("new/run"), "-o", &at("x"), "--hidden"][..],
        &["patch", &at("old/run"), &at("file.delta"), "-o", &at("x"), "--exclude", "a"],
        &["patch", &at("old"), &at("delta"), "-o", "-"],
        &["diff", &at("old"), &at("new"), "-o", &at("x"), "--exclude", "[z-a]"],
    ] {
        let output = driblet(args);
        assert_eq!(code(&output), 2, "{args:?}: {}", text(&output.stderr));
    }
    assert!(!folder.path().join("made").exists() && !folder.path().join("x").exists());

    // An empty folder is replaced, also behind a link, and keeps its permissions.
    fs::create_dir(at("empty")).unwrap();
    fs::set_permissions(at("empty"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("empty", at("to-empty")).unwrap();
    assert_eq!(code(&patch("old", "delta", "to-empty")), 0);
    assert!(tree(&folder.path().join("empty")) == tree(&folder.path().join("new")));
    assert_eq!(mode(&at("empty")), 0o750);
    assert!(fs::symlink_metadata(at("to-empty")).unwrap().is_symlink());
}

#[test]
fn both_commands_leave_out_the_same_files() {
    let folder = files(&[
        ("old/.dribletignore", b"*.log\n"),
        ("old/.env", b"secret"),
        ("old/a", b"a"),
        ("old/debug.log", b"log"),
        ("old/x.map", b"map"),
        ("new/.env", b"secret"),
        ("new/.git/config", b"git"),
        ("new/a", b"b"),
        ("new/deep/b", b"b"),
        ("new/x.map", b"map"),
        ("outside", b"outside"),
    ]);
    let at = |name: &str| path(&folder, name);
    symlink("deep/b", at("new/link")).unwrap();
    symlink("deep", at("new/linked")).unwrap();
    symlink("../outside", at("new/out")).unwrap();
    let made = |flags: &[&str], name: &str| {
        let diffed = driblet(&[&["diff", &at("old"), &at("new"), "-o", &at("delta")], flags].concat());
        assert_eq!(code(&diffed), 0, "{}", text(&diffed.stderr));
        let said = text(&diffed.stderr);
        assert!(said.starts_with("left out ") && said.contains("new/out: it is a link"), "{said}");
        let patched = driblet(&[&["patch", &at("old"), &at("delta"), "-o", &at(name)], flags].concat());
        assert_eq!(code(&patched), 0, "{}", text(&patched.stderr));
        tree(&folder.path().join(name)).into_keys().collect::<Vec<String>>()
    };
    assert_eq!(made(&[], "plain"), ["a", "deep/b", "link", "linked/b", "x.map"]);
    assert_eq!(made(&["--exclude", "*.map"], "without"), ["a", "deep/b", "link", "linked/b"]);
    let refused_without = driblet(&["patch", &at("old"), &at("delta"), "-o", &at("x")]);
    refused(&refused_without, &["made from other files", "--exclude"]);
    assert_eq!(made(&["--hidden"], "hidden"), [".env", "a", "deep/b", "link", "linked/b", "x.map"]);
    assert!(!fs::symlink_metadata(at("hidden/link")).unwrap().is_symlink());
}
