//! Directories of many files, and of a long one among short ones. scripts/test-long.sh runs the largest.

mod support;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use support::{Serving, code, driblet, files, path, random_bytes, text};
use tempfile::TempDir;

/// How many bytes of files are compared at once.
const PIECE: u64 = 1 << 20;

fn setting() -> (TempDir, PathBuf) {
    let folder = files(&[("root/a", b"a"), ("root/z", b"z")]);
    let root = folder.path().join("root");
    (folder, root)
}

fn serve(folder: &TempDir) -> Serving {
    // By default a history has up to 2 GiB, which is not enough for two versions of 1 GiB and the other files.
    let options = ["--no-watch", "--history-bytes", "8000000000"];
    Serving::start(&folder.path().join("root"), &folder.path().join("history"), &options)
}

/// Waits until the server has another version than the one with this counter, and gives its counter. A request for a
/// version that takes long to publish is answered with the one before.
fn published_after(serving: &Serving, counter: u64) -> u64 {
    let mut answer = serving.connect();
    let path = format!("/.driblet/head?since={counter}&wait=60");
    write!(answer, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    answer.read_to_string(&mut response).unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    match head.starts_with("HTTP/1.1 200") {
        true => {
            let published: serde_json::Value = serde_json::from_str(body).unwrap();
            let published = published["counter"].as_u64().unwrap();
            assert_ne!(published, counter, "nothing was published");
            published
        }
        // The first version is not published yet.
        false => {
            assert!(head.starts_with("HTTP/1.1 503"), "{response}");
            published_after(serving, counter)
        }
    }
}

/// Waits until a new version is published, pulls, and checks that the folder is as the server's. Gives what it cost.
fn pull_new(folder: &TempDir, serving: &Serving, counter: &mut u64) -> serde_json::Value {
    *counter = published_after(serving, *counter);
    pull(folder, serving)
}

/// Pulls, and checks that the folder is as the server's. Gives what it cost.
fn pull(folder: &TempDir, serving: &Serving) -> serde_json::Value {
    let pulled = driblet(&["pull", &serving.url, &path(folder, "app"), "--stats", "json"]);
    assert_eq!(code(&pulled), 0, "{}", text(&pulled.stderr));
    let [published, held] = ["root", "app"].map(|name| paths(&folder.path().join(name)));
    assert!(published.keys().eq(held.keys()), "other paths");
    for (path, place) in &published {
        assert!(are_equal(place, &held[path]), "{}", path.display());
    }
    serde_json::from_slice(&pulled.stdout).unwrap()
}

/// The files below a folder, by their paths there.
fn paths(folder: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let (mut paths, mut folders) = (BTreeMap::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => _ = paths.insert(entry.path().strip_prefix(folder).unwrap().to_path_buf(), entry.path()),
            }
        }
    }
    paths
}

/// Compares two files piece by piece: a long one does not fit into memory twice.
fn are_equal(one: &Path, other: &Path) -> bool {
    let files = [one, other].map(|path| File::open(path).unwrap());
    let [len, other_len] = files.each_ref().map(|file| file.metadata().unwrap().len());
    let are_equal_at = |at: u64| {
        let [bytes, others] = files.each_ref().map(|file| {
            let mut bytes = vec![0; PIECE.min(len - at) as usize];
            file.read_exact_at(&mut bytes, at).unwrap();
            bytes
        });
        bytes == others
    };
    len == other_len && (0..len).step_by(PIECE as usize).all(are_equal_at)
}

fn a_long_file(len: u64) {
    let (folder, root) = setting();
    // Random bytes in a file of zeros.
    let long = File::create(root.join("long")).unwrap();
    long.set_len(len).unwrap();
    for at in (0..len).step_by(8 << 20) {
        long.write_all_at(&random_bytes(at, 10_000), at + at / 1000).unwrap();
    }
    let count = len.div_ceil(8 << 20);
    for number in 0..50 {
        fs::write(root.join(format!("short{number}")), random_bytes(number, 3_000)).unwrap();
    }
    let (serving, mut counter) = (serve(&folder), 0);
    let first = pull_new(&folder, &serving, &mut counter);
    assert!(first["received"].as_u64().unwrap() < 11_000 * count + 200_000 + len / 1000, "{first}");
    // A few bytes of it change, and a file beside it.
    for at in [1_000, len / 2, len - 1_000] {
        long.write_all_at(b"changed", at).unwrap();
    }
    fs::write(root.join("short7"), "changed").unwrap();
    let second = pull_new(&folder, &serving, &mut counter);
    assert!(second["received"].as_u64().unwrap() < 20_000, "{second}");
    // It moves, and then it is longer.
    fs::create_dir(root.join("moved")).unwrap();
    fs::rename(root.join("long"), root.join("moved/long")).unwrap();
    let moved = pull_new(&folder, &serving, &mut counter);
    assert!(moved["received"].as_u64().unwrap() < 1_000, "{moved}");
    long.write_all_at(b"longer", len).unwrap();
    let longer = pull_new(&folder, &serving, &mut counter);
    assert!(longer["received"].as_u64().unwrap() < 20_000, "{longer}");
}

#[test]
fn a_file_of_64_mib_among_short_ones() {
    a_long_file(64 << 20);
}

#[test]
#[ignore = "takes minutes: scripts/test-long.sh"]
fn a_file_of_1_gib_among_short_ones() {
    a_long_file(1 << 30);
}

fn many_files(count: usize) {
    let (folder, root) = setting();
    let name = |number: usize| format!("folder{}/{}/file{number}", number % 30, number % 7);
    for number in 0..count {
        let place = root.join(name(number));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, format!("{number}\n").repeat(1 + number % 200)).unwrap();
    }
    let (serving, mut counter) = (serve(&folder), 0);
    let first = pull_new(&folder, &serving, &mut counter);
    assert_eq!(first["added"], count + 2);
    let same = pull(&folder, &serving);
    assert_eq!((&same["same"], &same["received"]), (&true.into(), &36.into()), "{same}");
    for number in (0..count).step_by(count / 100) {
        fs::write(root.join(name(number)), format!("{number} changed\n")).unwrap();
    }
    fs::rename(root.join("folder3"), root.join("moved")).unwrap();
    fs::remove_dir_all(root.join("folder4/2")).unwrap();
    let changed = pull_new(&folder, &serving, &mut counter);
    // Some bytes for each file that changed or moved.
    assert!(changed["received"].as_u64().unwrap() < 20_000 + 2 * count as u64, "{changed}");
}

#[test]
fn three_thousand_files() {
    many_files(3_000);
}

#[test]
#[ignore = "takes minutes: scripts/test-long.sh"]
fn a_hundred_thousand_files() {
    many_files(100_000);
}
