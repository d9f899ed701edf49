//! `driblet pull` of a directory.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use support::{Serving, code, driblet, files, lines, path, refused, text};

fn setting() -> (tempfile::TempDir, Serving) {
    let folder = files(&[
        ("root/a.txt", &lines("a\n")),
        ("root/sub/b.txt", b"b"),
        ("root/sub/b.txt.map", b"map"),
        ("root/.env", b"secret"),
    ]);
    let serving = Serving::start(&folder.path().join("root"), &folder.path().join("history"), &[]);
    (folder, serving)
}

#[test]
fn a_folder_and_its_changes() {
    let (folder, serving) = setting();
    let app = path(&folder, "app");
    let dry = driblet(&["pull", &serving.url, &app, "--dry-run"]);
    assert_eq!(text(&dry.stdout), "add a.txt\nadd sub/b.txt\nadd sub/b.txt.map\n");
    assert!(text(&dry.stderr).contains("would be pulled"), "{}", text(&dry.stderr));
    assert!(!folder.path().join("app").exists());
    let pulled = driblet(&["pull", &serving.url, &app, "--stats", "json", "--exclude", "*.map"]);
    assert_eq!(code(&pulled), 0, "{}", text(&pulled.stderr));
    let stats: serde_json::Value = serde_json::from_slice(&pulled.stdout).unwrap();
    assert_eq!((&stats["added"], &stats["excluded"], &stats["requests"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(fs::read(folder.path().join("app/a.txt")).unwrap(), lines("a\n"));
    assert_eq!(fs::read_dir(folder.path().join("app")).unwrap().count(), 2);

    // A file that was changed is kept when the server has it no more.
    fs::write(folder.path().join("app/sub/b.txt"), "changed here").unwrap();
    fs::remove_file(folder.path().join("root/sub/b.txt")).unwrap();
    let pulled = driblet(&["pull", &serving.url, &app, "--exclude", "*.map"]);
    assert_eq!(code(&pulled), 0);
    assert!(text(&pulled.stderr).contains("kept sub/b.txt"), "{}", text(&pulled.stderr));
    assert_eq!(code(&driblet(&["pull", &serving.url, &app, "--delete"])), 0);
    assert!(!folder.path().join("app/sub/b.txt").exists());
    assert!(folder.path().join("app/sub/b.txt.map").exists());
}

#[test]
fn files_and_directories_are_told_apart() {
    let (folder, serving) = setting();
    fs::create_dir(folder.path().join("app")).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let of_file = format!("{}a.txt", serving.url);
    refused(&driblet(&["pull", &of_file, &path(&folder, "app")]), &["it names a folder", "end the URL with /"]);
    // The root may be a file, so the server is asked.
    for text in ["", "held"] {
        fs::write(folder.path().join("file"), text).unwrap();
        refused(&driblet(&["pull", &serving.url, &path(&folder, "file")]), &["URL of a directory", "into a folder"]);
    }
    let to_file = driblet(&["pull", &format!("{}sub/", serving.url), &path(&folder, "file")]);
    refused(&to_file, &["not a folder", "without / at its end"]);
    let of_folder = format!("{}sub/", serving.url);
    refused(&driblet(&["pull", &of_folder, &path(&folder, "sub")]), &["not served as a snapshot"]);
    assert!(!folder.path().join("sub").exists() && !folder.path().join(".sub.driblet").exists());
    let usage = driblet(&["pull", &of_file, &path(&folder, "x"), "--delete"]);
    assert_eq!(code(&usage), 2);
    let usage = driblet(&["pull", &serving.url, &path(&folder, "app"), "--exclude", "[z-a]"]);
    assert_eq!(code(&usage), 2, "{}", text(&usage.stderr));
}

#[test]
fn a_link_that_is_switched() {
    let (folder, serving) = setting();
    let app = path(&folder, "app");
    assert_eq!(code(&driblet(&["pull", &serving.url, &app, "--atomic"])), 0);
    let first = fs::read_link(folder.path().join("app")).unwrap();
    assert_eq!(fs::read(folder.path().join("app/sub/b.txt")).unwrap(), b"b");
    refused(&driblet(&["pull", &serving.url, &app]), &["an atomic pull made", "--atomic"]);
    fs::write(folder.path().join("root/sub/b.txt"), "new b").unwrap();
    assert_eq!(code(&driblet(&["pull", &serving.url, &app, "--atomic"])), 0);
    assert_ne!(fs::read_link(folder.path().join("app")).unwrap(), first);
    assert_eq!(fs::read(folder.path().join("app/sub/b.txt")).unwrap(), b"new b");
    fs::create_dir(folder.path().join("folder")).unwrap();
    refused(&driblet(&["pull", &serving.url, &path(&folder, "folder"), "--atomic"]), &["move the folder away"]);
}

#[test]
fn a_file_that_the_server_may_not_read_is_left_out() {
    let folder = files(&[("root/a", b"1"), ("root/secret", b"2"), ("root/z", b"3")]);
    let secret = folder.path().join("root/secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    // Without this right, root may not read it either.
    let is_root = fs::metadata(folder.path()).unwrap().uid() == 0;
    let around: &[&str] = if is_root { &["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] } else { &[] };
    let serving = Serving::within(around, &folder.path().join("root"), &folder.path().join("history"), &["--no-watch"]);
    let app = path(&folder, "app");
    let pull = || driblet(&["pull", &serving.url, &app]);
    assert_eq!(code(&pull()), 0);
    let names = || {
        let mut names: Vec<String> =
            fs::read_dir(&app).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names(), ["a", "z"]);
    // It is tried again once it looks otherwise.
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(code(&pull()), 0);
    assert_eq!(names(), ["a", "secret", "z"]);
}
