//! Commands to a running server.

mod support;

use std::fs;

use support::{Serving, code, driblet, files, path, refused, text};

/// A server of `root` that looks at nothing by itself.
fn serving(folder: &tempfile::TempDir) -> Serving {
    Serving::start(&folder.path().join("root"), &folder.path().join("history"), &["--no-watch"])
}

/// Runs a command for that server.
fn ask(folder: &tempfile::TempDir, command: &[&str], more: &[&str]) -> std::process::Output {
    let (root, history) = (path(folder, "root"), path(folder, "history"));
    driblet(&[command, &[&root, "--history", &history], more].concat())
}

fn said(output: &std::process::Output) -> String {
    assert_eq!(code(output), 0, "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_build_publishes_lists_and_forgets() {
    let folder = files(&[("root/app.js", b"old"), ("root/style.css", b"a{}")]);
    let _serving = serving(&folder);
    let first = said(&ask(&folder, &["publish"], &[]));
    assert!(first.starts_with("/ is ") && first.ends_with(", 2 files\n"), "{first}");
    fs::write(folder.path().join("root/app.js"), b"new").unwrap();
    assert_ne!(said(&ask(&folder, &["publish"], &[])), first);

    let list = said(&ask(&folder, &["history", "list"], &["app.js"]));
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!((lines[0], lines.len()), ("/app.js", 3), "{list}");
    assert!(lines[1].ends_with(" GMT to now") && lines[2].contains("3 bytes"), "{list}");
    let json = said(&ask(&folder, &["history", "list"], &["--json"]));
    let paths: Vec<String> = json
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["path"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(paths, ["/", "app.js", "style.css"]);

    let version = lines[2].split_whitespace().next().unwrap();
    refused(&ask(&folder, &["history", "forget"], &["app.js"]), &["published at /", "remove or replace it"]);
    let forgotten = said(&ask(&folder, &["history", "forget"], &["app.js", version]));
    assert_eq!(forgotten, "1 version forgotten, at:\n  /\n  /app.js\n");
    refused(&ask(&folder, &["history", "forget"], &["app.js", version]), &["does not have that version of /app.js"]);
    refused(&ask(&folder, &["publish"], &["nothing"]), &["neither a file nor a snapshot"]);
}

#[test]
fn a_hangup_publishes() {
    let folder = files(&[("root/app.js", b"old")]);
    let serving = serving(&folder);
    let versions = || {
        let list = said(&ask(&folder, &["history", "list"], &["/"]));
        list.lines().count() - 1
    };
    said(&ask(&folder, &["publish"], &[]));
    assert_eq!(versions(), 1);
    fs::write(folder.path().join("root/app.js"), b"new").unwrap();
    serving.signal("HUP");
    support::eventually_on_thread(|| versions() == 2);
    serving.signal("TERM");
    assert!(serving.end().0.success());
    refused(&ask(&folder, &["publish"], &[]), &["no server runs with the history"]);
}
