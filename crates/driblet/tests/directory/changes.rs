//! What a pull changes in the folder.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use driblet::PullDirectoryOptions;
use driblet::client::ChangeKind;

use super::setting::{Setting, file, files, program, random_bytes};

#[tokio::test]
async fn from_nothing_then_a_version_then_the_same() {
    let setting = Setting::new().await;
    let long = random_bytes(1, 20_000_000);
    let old = [
        ("app.js", file(random_bytes(2, 30_000))),
        ("assets/one.css", file("one")),
        ("assets/two.css", file("two")),
        ("bin/run", program("#!/bin/sh")),
        ("bin/stay", file("stay")),
        ("copy/of-one.css", file("one")),
        ("deep/er/and/deeper.txt", file("deep")),
        ("empty", file("")),
        ("gone/later.txt", file("later")),
        ("long.bin", file(&long)),
        ("moves.bin", file(random_bytes(3, 50_000))),
    ];
    let version = setting.host.publish(&old);
    let first = setting.pull().await.unwrap();
    assert_eq!(setting.held(), files(&old));
    assert_eq!((first.version, first.added, first.changed, first.removed), (version, 11, 0, 0));
    assert!(!first.same && first.kept.is_empty());
    assert_eq!(setting.leftovers(), ["lock", "record"]);

    let mut edited = long.clone();
    edited[9_000_000] ^= 1;
    let new = [
        ("app.js", file([&random_bytes(2, 30_000)[..], b"more"].concat())),
        ("assets/one.css", file("one")),
        ("assets/two.css", program("two")),
        ("bin/run", file("#!/bin/sh")),
        ("bin/stay", file("stay")),
        ("copy/again.css", file("one")),
        ("copy/of-one.css", file("one")),
        ("deep", file("a file where a folder was")),
        ("empty", file("")),
        ("empty2", program("")),
        ("long.bin", file(&edited)),
        ("new/moved.bin", program(random_bytes(3, 50_000))),
        ("new/copied.bin", file(random_bytes(3, 50_000))),
    ];
    let version = setting.host.publish(&new);
    let moved = fs::metadata(setting.dest().join("moves.bin")).unwrap().ino();
    let second = setting.pull().await.unwrap();
    assert_eq!(setting.held(), files(&new));
    assert_eq!(second.version, version);
    assert_eq!((second.added, second.changed, second.removed), (5, 4, 3));
    assert!(second.received < 5_000, "{} bytes received", second.received);
    assert!(!setting.dest().join("gone").exists(), "an empty folder stays");
    let places = ["new/moved.bin", "new/copied.bin"].map(|path| fs::metadata(setting.dest().join(path)).unwrap().ino());
    assert!(places.contains(&moved) && places[0] != places[1], "one is the old file, the other one a copy");

    setting.host.asked();
    let third = setting.pull().await.unwrap();
    assert!(third.same);
    assert_eq!((third.requests, third.added, third.changed, third.removed), (1, 0, 0, 0));
    assert!(third.received < 200);
    assert_eq!(setting.held(), files(&new));
    assert_eq!(setting.leftovers(), ["lock", "record"]);
}

#[tokio::test]
async fn many_parts() {
    let setting = Setting::new().await;
    let names: Vec<String> = (0..60).map(|number| format!("folder-{}/file-{number}", number % 7)).collect();
    let old: Vec<_> =
        names.iter().enumerate().map(|(at, name)| (&name[..], file(random_bytes(at as u64, 700_000)))).collect();
    setting.host.publish(&old);
    setting.pull().await.unwrap();
    assert_eq!(setting.held(), files(&old));
    let (asked, _) = setting.host.asked();
    assert!(3 <= asked.len() && asked[1..].iter().all(|name| name.starts_with("part/")), "{asked:?}");
    let mut new = old.clone();
    new.iter_mut().for_each(|(_, (bytes, _))| bytes[5_000] ^= 1);
    setting.host.publish(&new);
    let pulled = setting.pull().await.unwrap();
    assert_eq!(setting.held(), files(&new));
    assert!(pulled.received < 60_000, "{} bytes received", pulled.received);
}

#[tokio::test]
async fn what_was_changed_here() {
    let setting = Setting::new().await;
    let (long, other) = (random_bytes(1, 100_000), random_bytes(2, 100_000));
    let old = [
        ("a", file(&long)),
        ("b", file(&other)),
        ("gone", file("gone")),
        ("gone too", file("gone too")),
        ("link", file("no link")),
        ("run", program("run")),
    ];
    setting.host.publish(&old);
    setting.pull().await.unwrap();
    setting.write("mine", b"mine");
    setting.write("gone", b"changed here");
    setting.write("a", &[&long[..], b"changed here"].concat());
    fs::remove_file(setting.dest().join("b")).unwrap();
    fs::remove_file(setting.dest().join("link")).unwrap();
    fs::write(setting.folder.path().join("outside"), "outside").unwrap();
    symlink(setting.folder.path().join("outside"), setting.dest().join("link")).unwrap();
    fs::set_permissions(setting.dest().join("run"), fs::Permissions::from_mode(0o644)).unwrap();
    // The same version again.
    setting.host.asked();
    let pulled = setting.pull().await.unwrap();
    let (asked, _) = setting.host.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(asked[1], "have");
    // The whole of both files.
    assert!((100_000..101_000).contains(&(pulled.received as i64 - 100_000)), "{}", pulled.received);
    let mut expected = files(&old);
    expected.insert("mine".into(), file("mine"));
    assert_eq!(setting.held(), expected);
    assert_eq!((pulled.changed, pulled.added), (4, 1));
    assert_eq!(fs::read(setting.folder.path().join("outside")).unwrap(), b"outside");

    setting.write("gone", b"changed here");
    let new = [("a", file(&long)), ("b", file(&other)), ("link", file("no link")), ("run", program("run"))];
    setting.host.publish(&new);
    let pulled = setting.pull().await.unwrap();
    assert_eq!(pulled.kept, ["gone"]);
    assert_eq!(pulled.removed, 1);
    expected.insert("gone".into(), file("changed here"));
    expected.remove("gone too");
    assert_eq!(setting.held(), expected);

    let pulled = setting.pull_with(&setting.options.clone().delete(true)).await.unwrap();
    assert_eq!((pulled.removed, pulled.kept.len()), (2, 0));
    assert_eq!(setting.held(), files(&new));
}

#[tokio::test]
async fn a_file_that_was_touched_is_read_and_nothing_is_asked_for() {
    let setting = Setting::new().await;
    let tree = [("a", file("a")), ("b/c", file("c"))];
    setting.host.publish(&tree);
    setting.pull().await.unwrap();
    setting.write("a", b"a");
    let pulled = setting.pull().await.unwrap();
    assert!(pulled.same && pulled.requests == 1);
}

#[tokio::test]
async fn without_have_the_parts_come_whole() {
    let setting = Setting::new().await;
    let tree = [("a", file(random_bytes(1, 100_000))), ("b", file(random_bytes(2, 100_000)))];
    setting.host.publish(&tree);
    setting.host.without_have();
    setting.pull().await.unwrap();
    fs::remove_file(setting.dest().join("b")).unwrap();
    let pulled = setting.pull().await.unwrap();
    assert_eq!(setting.held(), files(&tree));
    assert_eq!(pulled.requests, 3);
    assert!(200_000 < pulled.received);
}

#[tokio::test]
async fn into_a_folder_with_files_and_to_a_server_that_forgot() {
    let setting = Setting::new().await;
    let (long, other) = (random_bytes(1, 100_000), random_bytes(2, 100_000));
    let old = [("a", file(&long)), ("b", file(&other)), ("c", file("c"))];
    setting.host.publish(&old);
    // A copy by other means, and a file that was changed.
    setting.write("a", &long);
    setting.write("b", b"other");
    setting.write("mine", b"mine");
    let pulled = setting.pull().await.unwrap();
    let mut expected = files(&old);
    expected.insert("mine".into(), file("mine"));
    assert_eq!(setting.held(), expected);
    assert_eq!(pulled.requests, 2);
    let (asked, _) = setting.host.asked();
    assert_eq!(asked, ["none", "have"]);

    let mut edited = other.clone();
    edited[70_000] ^= 1;
    let new = [("a", file(&long)), ("b", file(&edited)), ("d", file("c"))];
    setting.host.publish(&new);
    setting.host.forget();
    let pulled = setting.pull().await.unwrap();
    expected = files(&new);
    expected.insert("mine".into(), file("mine"));
    assert_eq!(setting.held(), expected);
    assert_eq!((pulled.added, pulled.changed, pulled.removed, pulled.requests), (1, 1, 1, 3));
    let (asked, _) = setting.host.asked();
    // The directory delta from nothing is left after its manifest.
    assert_eq!(asked[1..], ["none", "have"]);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let setting = Setting::new().await;
    let old = [("a", file("a")), ("b", file("b")), ("c", file("c"))];
    setting.host.publish(&old);
    let dry = PullDirectoryOptions::default().dry_run(true);
    let pulled = setting.pull_with(&dry).await.unwrap();
    assert_eq!((pulled.added, pulled.new_len, pulled.changes.len()), (3, 3, 3));
    assert_eq!(fs::read_dir(setting.folder.path()).unwrap().count(), 0);
    setting.pull().await.unwrap();
    setting.host.publish(&[("a", file("new a")), ("b", program("b")), ("d", file("d"))]);
    setting.write("mine", b"mine");
    let before = setting.leftovers();
    let pulled = setting.pull_with(&dry.clone().delete(true)).await.unwrap();
    let changes: Vec<_> = pulled.changes.iter().map(|change| (&change.path[..], change.kind)).collect();
    let expected = [
        ("a", ChangeKind::Replace),
        ("d", ChangeKind::Add),
        ("b", ChangeKind::Mode),
        ("c", ChangeKind::Remove),
        ("mine", ChangeKind::Remove),
    ];
    assert_eq!(changes, expected);
    assert_eq!(pulled.new_len, 6);
    assert_eq!(setting.leftovers(), before);
    let mut expected = files(&old);
    expected.insert("mine".into(), file("mine"));
    assert_eq!(setting.held(), expected);
}

#[tokio::test]
async fn dots_and_patterns() {
    let setting = Setting::new().await;
    let tree = [
        (".env", file("secret")),
        ("a.js", file("a")),
        ("a.js.map", file(random_bytes(1, 40_000))),
        ("docs/x/y", file("y")),
        ("x/.hidden/z", file("z")),
    ];
    setting.host.publish(&tree);
    let options = PullDirectoryOptions::default().exclude("*.map").exclude("/docs/");
    let pulled = setting.pull_with(&options).await.unwrap();
    assert_eq!((pulled.files, pulled.hidden, pulled.excluded), (1, 2, 2));
    assert_eq!(setting.held(), files(&[("a.js", file("a"))]));
    // Paths that are left out are not removed either.
    setting.write("docs/mine", b"mine");
    setting.write("other.map", b"mine");
    setting.write(".env", b"mine");
    setting.write("other", b"mine");
    let new = [("a.js", file("new a")), ("a.js.map", file(random_bytes(2, 40_000))), ("docs/x/y", file("y"))];
    setting.host.publish(&new);
    setting.pull_with(&options.clone().delete(true)).await.unwrap();
    let left: Vec<String> = setting.held().into_keys().collect();
    assert_eq!(left, [".env", "a.js", "docs/mine", "other.map"]);
    // What was left out before is had when it is wanted.
    let pulled = setting.pull_with(&PullDirectoryOptions::default().hidden(true)).await.unwrap();
    assert_eq!((pulled.files, pulled.added), (3, 2));
    for (path, expected) in files(&new) {
        assert_eq!(setting.held()[&path], expected, "{path}");
    }
}
