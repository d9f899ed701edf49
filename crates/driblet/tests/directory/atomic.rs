//! Folders that are links, and are switched in one step.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use driblet::client::FolderProblem;
use driblet::{PullDirectoryError, PullDirectoryOptions};

use super::setting::{Setting, chain, file, files, program, random_bytes};

#[tokio::test]
async fn a_tree_through_its_versions() {
    let mut setting = Setting::new().await;
    setting.options = PullDirectoryOptions::default().atomic(true);
    let long = random_bytes(1, 100_000);
    let old = [
        ("a", file(&long)),
        ("b/c", file("c")),
        ("b/run", program("run")),
        ("gone", file("gone")),
        ("moves", file("moves")),
    ];
    setting.host.publish(&old);
    setting.pull().await.unwrap();
    assert_eq!(setting.held(), files(&old));
    let first = fs::read_link(setting.dest()).unwrap();
    assert!(first.starts_with(".app.driblet"));
    let same = setting.pull().await.unwrap();
    assert!(same.same && fs::read_link(setting.dest()).unwrap() == first);

    // What no pull wrote is carried over.
    setting.write("mine/x", b"mine");
    symlink("mine/x", setting.dest().join("link")).unwrap();
    setting.write("gone", b"changed here");
    let inode = fs::metadata(setting.dest().join("a")).unwrap().ino();
    let new = [
        ("a", file(&long)),
        ("b", file("a file now")),
        ("moved/here", program("moves")),
        ("moved/run", program("run")),
        ("new", file("new")),
    ];
    setting.host.publish(&new);
    let pulled = setting.pull().await.unwrap();
    let mut expected = files(&new);
    expected.insert("mine/x".into(), file("mine"));
    expected.insert("link".into(), file("mine/x"));
    expected.insert("gone".into(), file("changed here"));
    assert_eq!(setting.held(), expected);
    assert_eq!(pulled.kept, ["gone"]);
    assert_eq!(fs::metadata(setting.dest().join("a")).unwrap().ino(), inode, "an unchanged file is linked");
    assert_ne!(fs::read_link(setting.dest()).unwrap(), first);
    assert_eq!(fs::read_dir(setting.state()).unwrap().count(), 5, "lock, parts, staging, the tree and its record");

    // The same version again, because a file was changed here.
    setting.write("new", b"changed here");
    let pulled = setting.pull_with(&setting.options.clone().delete(true)).await.unwrap();
    assert_eq!(setting.held(), files(&new));
    assert_eq!((pulled.changed, pulled.removed), (1, 3));
}

#[tokio::test]
async fn folders_and_links_are_told_apart() {
    let mut setting = Setting::new().await;
    setting.host.publish(&[("a", file("a"))]);
    fs::create_dir(setting.dest()).unwrap();
    setting.options = PullDirectoryOptions::default().atomic(true);
    let error = setting.pull().await.unwrap_err();
    let is = |error: &PullDirectoryError, problem: FolderProblem| {
        assert!(matches!(error, PullDirectoryError::Folder { source, .. } if *source == problem), "{}", chain(error));
    };
    is(&error, FolderProblem::NotALink);
    fs::remove_dir(setting.dest()).unwrap();
    // A link that no pull made.
    fs::create_dir(setting.folder.path().join("elsewhere")).unwrap();
    symlink("elsewhere", setting.dest()).unwrap();
    is(&setting.pull().await.unwrap_err(), FolderProblem::NotALink);
    fs::remove_file(setting.dest()).unwrap();
    setting.pull().await.unwrap();
    is(&setting.pull_with(&PullDirectoryOptions::default()).await.unwrap_err(), FolderProblem::AtomicLink);
    assert_eq!(setting.held(), files(&[("a", file("a"))]));
}

#[tokio::test]
async fn a_first_pull_that_fails_leaves_nothing() {
    let mut setting = Setting::new().await;
    for atomic in [false, true] {
        setting.options = PullDirectoryOptions::default().atomic(atomic);
        setting.host.publish(&[(".git/x", file("x"))]);
        setting.pull().await.unwrap_err();
        assert_eq!(fs::read_dir(setting.folder.path()).unwrap().count(), 0, "atomic: {atomic}");
    }
}

#[tokio::test]
async fn a_pull_that_is_cut_continues() {
    let mut setting = Setting::new().await;
    setting.options = PullDirectoryOptions::default().atomic(true);
    let tree = |seed| [("a", file(random_bytes(seed, 90_000))), ("b", file("b"))];
    setting.host.publish(&tree(1));
    setting.host.cut(Some(40_000));
    setting.pull().await.unwrap_err();
    setting.host.publish(&tree(2));
    setting.host.cut(None);
    setting.pull().await.unwrap();
    assert_eq!(setting.held(), files(&tree(2)));
}
