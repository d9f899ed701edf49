//! What is refused, before anything is changed.

use std::fs;
use std::os::unix::fs::symlink;

use driblet::client::{FolderProblem, PathProblem};
use driblet::{Client, PullDirectoryError, Version};
use driblet_core::EncodeOptions;
use driblet_core::directory::*;

use super::host::encode;
use super::setting::{Setting, chain, file, files, random_bytes};

#[tokio::test]
async fn links_in_the_way() {
    let setting = Setting::new().await;
    let outside = setting.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(setting.dest()).unwrap();
    symlink(&outside, setting.dest().join("sub")).unwrap();
    setting.host.publish(&[("a", file("a")), ("sub/deep/x", file("x"))]);
    let error = setting.pull().await.unwrap_err();
    assert!(
        matches!(&error, PullDirectoryError::Path { path, source: PathProblem::BelowLink(link), .. } if path == "sub/deep/x" && link == "sub"),
        "{}",
        chain(&error)
    );
    assert!(!setting.dest().join("a").exists());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    fs::remove_file(setting.dest().join("sub")).unwrap();
    setting.pull().await.unwrap();

    // A folder that is replaced by a link after a pull: nothing behind the link is removed or replaced.
    fs::remove_dir_all(setting.dest().join("sub")).unwrap();
    fs::create_dir(outside.join("deep")).unwrap();
    fs::write(outside.join("deep/x"), "x").unwrap();
    symlink(&outside, setting.dest().join("sub")).unwrap();
    setting.pull().await.unwrap_err();
    setting.host.publish(&[("a", file("a"))]);
    setting.pull().await.unwrap();
    assert_eq!(fs::read(outside.join("deep/x")).unwrap(), b"x");
    assert!(setting.dest().join("sub").symlink_metadata().unwrap().is_symlink());
}

#[tokio::test]
async fn files_and_folders_in_the_way() {
    let setting = Setting::new().await;
    setting.write("sub", b"mine");
    setting.write("folder/mine", b"mine");
    let before = setting.held();
    setting.host.publish(&[("a", file("a")), ("sub/x", file("x"))]);
    let error = setting.pull().await.unwrap_err();
    assert!(matches!(error, PullDirectoryError::Path { source: PathProblem::BelowFile(_), .. }), "{}", chain(&error));
    setting.host.publish(&[("a", file("a")), ("folder", file("x"))]);
    let error = setting.pull().await.unwrap_err();
    assert!(matches!(error, PullDirectoryError::Path { source: PathProblem::Folder(_), .. }), "{}", chain(&error));
    assert_eq!(setting.held(), before);
    let tree = [("a", file("a")), ("folder", file("x")), ("sub/x", file("x"))];
    setting.host.publish(&tree);
    setting.pull_with(&setting.options.clone().delete(true)).await.unwrap();
    assert_eq!(setting.held(), files(&tree));
}

#[tokio::test]
async fn names() {
    let setting = Setting::new().await;
    let long = "x".repeat(300);
    for name in [".git/config", "a/.GIT/x", &format!("b/{long}")] {
        setting.host.publish(&[("a.js", file("a")), (name, file("x"))]);
        let error = setting.pull().await.unwrap_err();
        assert!(matches!(&error, PullDirectoryError::Path { path, .. } if path == name), "{}", chain(&error));
        assert!(setting.held().is_empty(), "{name}");
    }
}

#[tokio::test]
async fn what_is_no_directory() {
    let setting = Setting::new().await;
    setting.host.publish(&[("a", file("a"))]);
    let client = Client::new().unwrap();
    let of_file = setting.url().join("../app").unwrap();
    let options = &setting.options;
    let error = client.pull_directory(&of_file, setting.dest(), options, |_| {}).await.unwrap_err();
    assert!(matches!(error, PullDirectoryError::Folder { source: FolderProblem::UrlOfFile, .. }));
    let elsewhere = setting.url().join("../other/").unwrap();
    let error = client.pull_directory(&elsewhere, setting.dest(), options, |_| {}).await.unwrap_err();
    assert!(matches!(error, PullDirectoryError::Pull(_)), "{error}");
    assert!(!setting.dest().exists());
    fs::write(setting.dest(), "a file").unwrap();
    let error = setting.pull().await.unwrap_err();
    assert!(matches!(error, PullDirectoryError::Folder { source: FolderProblem::NotAFolder, .. }));
    // The other way round.
    let error = client.pull(&setting.url(), setting.folder.path().join("file"), |_| {}).await.unwrap_err();
    assert!(chain(&error).contains("directory"), "{}", chain(&error));
}

/// A directory delta from nothing, with its first part.
fn delta(manifest: &Manifest, announced: Version, parts: Vec<DeltaPart>, part: &[u8]) -> Vec<u8> {
    let manifest_delta = driblet_core::diff(&[], &manifest.encode(), EncodeOptions::default()).unwrap();
    [DirectoryDelta { target: announced, manifest_delta, parts }.encode(), part.to_vec()].concat()
}

#[tokio::test]
async fn hosts_that_lie() {
    let (one, two) = (random_bytes(1, 5_000), random_bytes(2, 3_000));
    let entry = |path: &str, bytes: &[u8]| FileEntry {
        path: path.to_owned(),
        executable: false,
        len: bytes.len() as u64,
        version: Version::of(bytes),
    };
    let manifest = Manifest::new(vec![entry("one", &one), entry("two", &two)]).unwrap();
    let short = Manifest::new(vec![entry("one", &one), FileEntry { len: 2_999, ..entry("two", &two) }]).unwrap();
    let both = || vec![DeltaPart { files: 2, bases: vec![] }];
    let good = encode((&[], Version::EMPTY), &[&one[..], &two].concat());
    let other = encode((&[], Version::EMPTY), &[&one[..], &one[..3_000]].concat());
    let longer = encode((&[], Version::EMPTY), &[&one[..], &two, b"x"].concat());
    let shorter = encode((&[], Version::EMPTY), &one);
    let version = manifest.version();
    for (what, bytes) in [
        ("another target", delta(&manifest, Version::of(b""), both(), &good)),
        ("a part too few", delta(&manifest, version, vec![], &[])),
        ("a part too long", delta(&manifest, version, vec![DeltaPart { files: 3, bases: vec![] }], &good)),
        ("a basis from nothing", delta(&manifest, version, vec![DeltaPart { files: 2, bases: vec![0] }], &good)),
        ("other bytes", delta(&manifest, version, both(), &other)),
        ("more bytes", delta(&manifest, version, both(), &longer)),
        ("fewer bytes", delta(&manifest, version, both(), &shorter)),
        ("another length", delta(&short, short.version(), both(), &good)),
        ("no delta", delta(&manifest, version, both(), b"no delta")),
        ("no directory delta", b"no directory delta".to_vec()),
        ("nothing", Vec::new()),
    ] {
        let setting = Setting::new().await;
        setting.host.publish(&[("x", file("x"))]);
        setting.host.replace("none", bytes);
        setting.pull().await.expect_err(what);
        assert!(setting.held().is_empty(), "{what}");
        // Nothing that is wrong is kept.
        setting.host.replace("none", delta(&manifest, version, both(), &good));
        setting.pull().await.unwrap_or_else(|error| panic!("{what}: {}", chain(&error)));
        assert_eq!(setting.held(), files(&[("one", file(&one)), ("two", file(&two))]), "{what}");
    }
}
