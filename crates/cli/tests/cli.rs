//! The binary: exit codes, help and messages.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use support::{Serving, code, driblet, files, finished, lines, path, text, within_on_thread};

#[test]
fn help_names_what_each_command_takes() {
    for (command, names) in [
        (
            "serve",
            &[
                "PATH",
                "--listen",
                "--history",
                "--history-versions",
                "--history-bytes",
                "--hidden",
                "--allow-host",
                "--allow-origin",
                "--private",
                "--trust-proxy",
                "--keep-alive",
                "--grace",
                "--max-connections",
                "--codec",
                "--ahead",
                "--rabin",
                "--no-browser-sync-stream",
            ][..],
        ),
        ("pull", &["URL", "DEST", "--basis", "--basis-url", "--stats", "--timeout", "--rabin"]),
        ("publish", &["ROOT", "PATH", "--history"]),
        ("diff", &["OLD", "NEW", "--output", "--stats", "--exclude", "--hidden"]),
        ("patch", &["OLD", "DELTA", "--output", "--stats", "--exclude", "--hidden"]),
    ] {
        let output = driblet(&[command, "--help"]);
        assert_eq!(code(&output), 0);
        let help = text(&output.stdout);
        names.iter().for_each(|name| assert!(help.contains(name), "{command}: {name}"));
        assert!(help.contains("Example"), "{command}");
    }
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for args in [
        &[][..],
        &["pull"],
        &["serve"],
        &["pull", "not a url", "x"],
        &["pull", "http://127.0.0.1/", "x", "--timeout", "0"],
        &["pull", "http://127.0.0.1/", "x", "--rabin", "9,1024,4096"],
        &["pull", "ws://127.0.0.1/", "x", "--rabin", "9,1024"],
        &["pull", "http://127.0.0.1/x", "x", "--basis-url", "http://127.0.0.1/y"],
        &["pull", "http://127.0.0.1/x", "x", "--basis", "y", "--basis-url", "y"],
        &["pull", "ws://127.0.0.1/x", "x", "--basis", "y"],
        &["pull", "http://127.0.0.1/x/", "x", "--basis", "y"],
        &["serve", ".", "--keep-alive", "0"],
        &["serve", ".", "--max-connections", "0"],
        &["serve", ".", "--rabin", "31,0,0"],
        &["serve", ".", "--rabin", "0,0,0", "--no-browser-sync-stream"],
    ] {
        assert_eq!(code(&driblet(args)), 2, "{args:?}");
    }
}

#[test]
fn diff_and_patch_go_both_ways() {
    let (old, new) = (lines("before\n"), lines("and after\n"));
    let folder = files(&[("old", &old), ("new", &new), ("other", b"other")]);
    let at = |name: &str| path(&folder, name);
    let output = driblet(&["diff", &at("old"), &at("new"), "-o", &at("delta")]);
    assert_eq!((code(&output), text(&output.stdout), text(&output.stderr)), (0, String::new(), String::new()));
    assert!(fs::metadata(at("delta")).unwrap().len() < 100);
    assert_eq!(code(&driblet(&["patch", &at("old"), &at("delta"), "-o", &at("made")])), 0);
    assert_eq!(fs::read(at("made")).unwrap(), new);

    let refused = driblet(&["patch", &at("other"), &at("delta"), "-o", &at("never")]);
    assert_eq!(code(&refused), 1);
    assert!(text(&refused.stderr).contains("made against basis"), "{}", text(&refused.stderr));
    let mut flipped = fs::read(at("delta")).unwrap();
    *flipped.last_mut().unwrap() ^= 1;
    fs::write(at("flipped"), flipped).unwrap();
    assert_eq!(code(&driblet(&["patch", &at("old"), &at("flipped"), "-o", &at("never")])), 1);
    assert!(!Path::new(&at("never")).exists());
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 6, "nothing is left beside: {left:?}");
}

#[test]
fn a_first_sync_is_a_delta_from_nothing() {
    let folder = files(&[("new", &lines("x\n"))]);
    let at = |name: &str| path(&folder, name);
    assert_eq!(code(&driblet(&["diff", "/dev/null", &at("new"), "-o", &at("delta")])), 0);
    assert_eq!(code(&driblet(&["patch", "/dev/null", &at("delta"), "-o", &at("made")])), 0);
    assert_eq!(fs::read(at("made")).unwrap(), lines("x\n"));
}

#[test]
fn a_missing_file_is_named() {
    let folder = files(&[]);
    let refused = driblet(&["diff", &path(&folder, "missing"), "/dev/null", "-o", &path(&folder, "delta")]);
    assert_eq!(code(&refused), 1);
    assert!(text(&refused.stderr).starts_with("driblet: cannot read ") && text(&refused.stderr).contains("missing"));
}

#[test]
fn pull_is_silent_in_a_pipe_and_counts_when_asked() {
    let folder = files(&[("root/app.js", &lines("one\n"))]);
    let serving = Serving::start(&folder.path().join("root"), &folder.path().join("history"), &[]);
    let (url, dest) = (format!("{}app.js", serving.url), path(&folder, "dest"));
    let output = driblet(&["pull", &url, &dest]);
    assert_eq!((code(&output), text(&output.stdout), text(&output.stderr)), (0, String::new(), String::new()));
    fs::write(folder.path().join("root/app.js"), lines("two\n")).unwrap();
    let output = driblet(&["pull", &url, &dest, "--stats", "json"]);
    assert_eq!(fs::read(&dest).unwrap(), lines("two\n"));
    let stats: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut names: Vec<&str> = stats.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort();
    assert_eq!(names, ["basis", "elapsed_ms", "len", "received", "requests", "reused", "sent", "version"]);
    assert_eq!((&stats["basis"], &stats["requests"], &stats["sent"]), (&"version".into(), &1.into(), &64.into()));
    assert!(stats["received"].as_u64().unwrap() < 100);
}

#[test]
fn pull_speaks_the_wire_of_browser_sync_stream() {
    let folder = files(&[("root/app.js", &lines("one\n"))]);
    let (root, history) = (folder.path().join("root"), folder.path().join("history"));
    let serving = Serving::start(&root, &history, &["--rabin", "9,1024,4096"]);
    let (url, dest) = (serving.url.replace("http:", "ws:") + "app.js", path(&folder, "dest"));
    let pull = |more: &[&str]| driblet(&[&["pull", &url, &dest, "--rabin", "9,1024,4096"], more].concat());
    let output = pull(&[]);
    assert_eq!((code(&output), text(&output.stdout), text(&output.stderr)), (0, String::new(), String::new()));
    fs::write(folder.path().join("root/app.js"), lines("two\n")).unwrap();
    let output = pull(&["--stats", "json"]);
    assert_eq!(fs::read(&dest).unwrap(), lines("two\n"));
    let stats: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut names: Vec<&str> = stats.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort();
    assert_eq!(names, ["chunks", "elapsed_ms", "len", "received", "reused", "sent"]);
    assert!(stats["received"].as_u64().unwrap() < 12_000 && stats["reused"].as_u64().unwrap() != 0, "{stats}");
    let missing = driblet(&["pull", &url.replace("app.js", "missing"), &dest]);
    let said = format!(
        "driblet: cannot pull {dest}: the server refuses to send the file: the server closed the WebSocket with 4404: There is no file of that name here.\n"
    );
    assert_eq!((code(&missing), text(&missing.stderr)), (1, said));
    assert_eq!(fs::read(&dest).unwrap(), lines("two\n"));
    drop(serving);
    let serving = Serving::start(&root, &history, &["--no-browser-sync-stream"]);
    let refused = driblet(&["pull", &(serving.url.replace("http:", "ws:") + "app.js"), &dest]);
    assert!(text(&refused.stderr).contains("answers 200 OK to a WebSocket"), "{}", text(&refused.stderr));
}

#[test]
fn an_operator_sees_what_is_made_ahead() {
    let folder = files(&[("root/app.js", &lines("one\n"))]);
    let (root, history) = (folder.path().join("root"), folder.path().join("history"));
    let serving = Serving::start(&root, &history, &[]);
    assert_eq!(code(&driblet(&["pull", &format!("{}app.js", serving.url), &path(&folder, "dest")])), 0);
    drop(serving);
    fs::write(root.join("app.js"), lines("two\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_driblet"));
    command.args(["serve", root.to_str().unwrap(), "--listen", "127.0.0.1:0", "--ahead", "1", "--codec", "fast"]);
    command.args(["--history", history.to_str().unwrap()]).env("RUST_LOG", "driblet=info");
    let mut process = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(process.stderr.take().unwrap()).lines().map_while(Result::ok);
    let made = within_on_thread(move || told.find(|line| line.contains("made a delta in the background")));
    process.kill().unwrap();
    finished(process);
    assert!(made.is_some_and(|line| line.contains("app.js")), "without a request");
}

#[test]
fn what_is_logged_after_a_request_is_not_lost() {
    let names: Vec<String> = (0..20).map(|number| format!("{number}.js")).collect();
    let folder = files(&[]);
    fs::create_dir(folder.path().join("root")).unwrap();
    names.iter().for_each(|name| fs::write(folder.path().join("root").join(name), lines(name)).unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_driblet"));
    command.args(["serve", &path(&folder, "root"), "--listen", "127.0.0.1:0", "--history", &path(&folder, "history")]);
    let mut serving = Serving::of(command.env("RUST_LOG", "driblet=info"));
    for name in names {
        let pulled = driblet(&["pull", &format!("{}{name}", serving.url), &path(&folder, &name)]);
        assert_eq!(code(&pulled), 0);
        while !serving.line().contains(&format!("made a delta in the background path=\"{name}\"")) {}
    }
}

#[test]
fn one_file_is_served_at_the_root_too() {
    let folder = files(&[("only.js", &lines("one\n"))]);
    let serving = Serving::start(&folder.path().join("only.js"), &folder.path().join("history"), &[]);
    for (name, dest) in [("", "a"), ("only.js", "b")] {
        let output = driblet(&["pull", &format!("{}{name}", serving.url), &path(&folder, dest)]);
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        assert_eq!(fs::read(path(&folder, dest)).unwrap(), lines("one\n"));
    }
    let refused = driblet(&["pull", &format!("{}history/index.redb", serving.url), &path(&folder, "c")]);
    assert_eq!(code(&refused), 1);
}

#[test]
fn what_cannot_be_served_is_said() {
    let folder = files(&[("root/app.js", b"x")]);
    let at = |name: &str| path(&folder, name);
    let serving = Serving::start(&folder.path().join("root"), &folder.path().join("history"), &[]);
    let address = serving.url.trim_start_matches("http://").trim_end_matches('/');
    for (args, says) in [
        (vec!["serve", &at("root"), "--listen", address, "--history", &at("h2")], "cannot listen on"),
        (vec!["serve", &at("nowhere"), "--listen", "127.0.0.1:0", "--history", &at("h3")], "cannot publish"),
        (
            vec!["serve", &at("root"), "--listen", "127.0.0.1:0", "--history", &at("history")],
            "in use by another process",
        ),
        (
            vec!["serve", &at("root"), "--listen", "127.0.0.1:0", "--history", &at("root/h")],
            "inside the published folder",
        ),
        (vec!["pull", "http://127.0.0.1:1/app.js", &at("dest")], "cannot reach"),
    ] {
        let output = driblet(&args);
        assert_eq!(code(&output), 1, "{args:?}");
        let said = text(&output.stderr);
        assert!(said.starts_with("driblet: ") && said.contains(says) && said.lines().count() == 1, "{said}");
        assert!(!said.contains("ServerBuilder"), "{said}");
    }
    assert!(!folder.path().join("root/h").exists());
}

#[test]
fn refusals_name_the_flags_of_the_command() {
    let folder = files(&[("root/app.js", b"x")]);
    let serving = Serving::start(&folder.path().join("root"), &folder.path().join("history"), &[]);
    let refusal = |headers: &str| {
        let mut stream = serving.connect();
        let request = format!("GET /app.js HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let host = refusal("host: example.com\r\n");
    assert!(host.starts_with("HTTP/1.1 421") && host.contains("--allow-host example.com"), "{host}");
    let origin = refusal("host: localhost\r\norigin: https://example.com\r\n");
    assert!(origin.contains("--allow-host example.com"), "{origin}");
    assert!(origin.contains("--allow-origin https://example.com"), "{origin}");
    assert!(refusal("host: localhost\r\norigin: null\r\n").contains("--allow-origin null"));
}

#[test]
fn a_build_with_a_new_name_needs_only_the_difference() {
    let (old, new) = (lines("before\n"), lines("and after\n"));
    let folder = files(&[("root/app.1.js", &old), ("root/app.2.js", &new), ("app.1.js", &old)]);
    let serving = Serving::start(&folder.path().join("root"), &folder.path().join("history"), &[]);
    let [before, after] = ["app.1.js", "app.2.js"].map(|name| format!("{}{name}", serving.url));
    let [basis, dest] = ["app.1.js", "app.2.js"].map(|name| path(&folder, name));
    for (more, kind) in [(&[][..], "matched"), (&["--basis-url", &before], "version")] {
        let output = driblet(&[&["pull", &after, &dest, "--basis", &basis, "--stats", "json"], more].concat());
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
        let stats: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(stats["basis"], kind);
        assert!(stats["received"].as_u64().unwrap() < 1_500, "{stats}");
        assert_eq!(fs::read(&dest).unwrap(), new);
        fs::remove_file(&dest).unwrap();
    }
    let whole = driblet(&["pull", &after, &dest, "--stats", "json"]);
    let stats: serde_json::Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert!(5_000 < stats["received"].as_u64().unwrap(), "{stats}");
    let nothing = driblet(&["pull", &after, &path(&folder, "new"), "--basis", &path(&folder, "nothing")]);
    support::refused(&nothing, &["cannot read the basis", "nothing"]);
}
