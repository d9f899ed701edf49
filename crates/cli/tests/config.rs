//! Settings of `driblet serve` from a file and from the environment.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Output;

use support::{Limited, Serving, certify, code, command, files, path, text};
use tempfile::TempDir;

/// A folder with a site and with `driblet.toml`.
fn setting(config: &str) -> TempDir {
    files(&[("root/index.html", b"<title>app</title>"), ("driblet.toml", config.as_bytes())])
}

/// A server with the file of the folder, and with variables.
fn serving(folder: &TempDir, line: &[&str], variables: &[(&str, &str)]) -> Serving {
    let config = path(folder, "driblet.toml");
    let mut command = command(&[&["serve", "--config", &config], line].concat());
    Serving::of(command.current_dir(folder).envs(variables.iter().copied()))
}

/// What a server says that does not start.
fn tried(folder: &TempDir, line: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = command(&[&["serve"], line].concat());
    command.current_dir(folder).envs(variables.iter().copied()).output_within()
}

/// The answer to a navigation.
fn navigated(serving: &Serving, path: &str) -> String {
    let mut stream = serving.connect();
    let ask = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\nconnection: close\r\n\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The values of the headers `x-a` and `x-b`.
fn headers(serving: &Serving) -> [Option<String>; 2] {
    let answer = navigated(serving, "/");
    ["x-a: ", "x-b: "].map(|name| answer.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned))
}

const BASE: &str = "path = \"root\"\nlisten = [\"127.0.0.1:0\"]\n";

#[test]
fn a_file_sets_what_flags_set() {
    let config = format!(
        "{BASE}history = \"history\"\nspa = true\nno-watch = false\nkeep-alive = 0x26c\nlink = 50\n\
         header = [\"* X-A: 1\", \"*.html X-B: 2\"]\n"
    );
    let folder = setting(&config);
    let serving = serving(&folder, &[], &[]);
    assert_eq!(headers(&serving), [Some("1".to_owned()), Some("2".to_owned())]);
    assert!(navigated(&serving, "/some/route").starts_with("HTTP/1.1 200 "));
    assert!(folder.path().join("history/index.redb").exists());
}

#[test]
fn variables_set_what_flags_set_and_no_file_is_needed() {
    let folder = setting("");
    let mut command = command(&["serve"]);
    command.current_dir(&folder).envs([
        ("DRIBLET_PATH", "root"),
        ("DRIBLET_LISTEN", "127.0.0.1:0\nunix:http.sock\n"),
        ("DRIBLET_HISTORY", "history"),
        ("DRIBLET_SPA", "true"),
        ("DRIBLET_HEADER", "* X-A: 1\n\n*.html X-B: 2"),
        ("DRIBLET_KEEP_ALIVE", ""),
        ("DRIBLET_BIN", "/usr/bin/driblet"),
    ]);
    let mut serving = Serving::of(&mut command);
    assert_eq!(serving.line(), "listening on unix:http.sock\n");
    assert_eq!(headers(&serving), [Some("1".to_owned()), Some("2".to_owned())]);
    assert!(navigated(&serving, "/some/route").starts_with("HTTP/1.1 200 "));
    serving.signal("TERM");
    let (status, said) = serving.end();
    assert!(status.success() && said.is_empty(), "{said}");
}

#[test]
fn the_command_line_replaces_variables_and_these_replace_the_file() {
    let config = format!(
        "{BASE}history = \"of-file\"\nspa = true\nrabin = \"12,8192,32768\"\nheader = [\"* X-A: file\", \"* X-B: file\"]\n"
    );
    let folder = setting(&config);
    let exists = |name: &str| folder.path().join(name).exists();
    let told = |value: &str| Some(value.to_owned());
    {
        let variables = [
            ("DRIBLET_NO_BROWSER_SYNC_STREAM", "true"),
            ("DRIBLET_HISTORY", "of-variable"),
            ("DRIBLET_HEADER", "* X-A: variable"),
            ("DRIBLET_SPA", "false"),
        ];
        let serving = serving(&folder, &[], &variables);
        assert_eq!(headers(&serving), [told("variable"), None], "lists are replaced whole");
        assert!(navigated(&serving, "/some/route").starts_with("HTTP/1.1 404 "), "false replaces true");
        assert!(exists("of-variable") && !exists("of-file"));
    }
    fs::create_dir(folder.path().join("-other")).unwrap();
    fs::write(folder.path().join("-other/index.html"), "other").unwrap();
    let line = ["--header", "* X-A: line", "--history=of-line", "--no-browser-sync-stream"];
    let variables =
        [("DRIBLET_HISTORY", "of-nothing"), ("DRIBLET_HEADER", "* X-B: variable"), ("DRIBLET_PATH", "-other")];
    let serving = serving(&folder, &line, &variables);
    assert_eq!(headers(&serving), [told("line"), None]);
    assert!(navigated(&serving, "/").ends_with("other"), "a path may begin with a dash");
    assert!(exists("of-line") && !exists("of-nothing"));
}

#[test]
fn a_variable_names_the_file_and_the_command_line_another_one() {
    let folder = setting(&format!("{BASE}header = [\"* X-A: first\"]\n"));
    fs::write(folder.path().join("other.toml"), format!("{BASE}header = [\"* X-A: other\"]\n")).unwrap();
    let first = |line: &[&str]| {
        let mut command = command(&[&["serve", "--history", "history"], line].concat());
        headers(&Serving::of(command.current_dir(&folder).env("DRIBLET_CONFIG", "driblet.toml")))[0].clone()
    };
    assert_eq!(first(&[]).as_deref(), Some("first"));
    assert_eq!(first(&["--config", "other.toml"]).as_deref(), Some("other"));
}

#[test]
fn what_is_wrong_in_a_file_is_named_by_its_line() {
    let cases = [
        ("keep_alive = 620", "line 3: keep_alive is no setting of driblet serve; do you mean keep-alive?"),
        ("keepalive = 620", "line 3: keepalive is no setting of driblet serve; do you mean keep-alive?"),
        ("zzz = 1", "line 3: zzz is no setting of driblet serve; driblet serve --help lists the flags"),
        ("help = true", "line 3: help is no setting"),
        ("[serve]\nspa = true", "line 3: serve is no setting"),
        ("spa = 1", "line 3: spa is a switch; set it to true or false"),
        ("keep-alive = [620]", "line 3: keep-alive takes one value; remove the brackets"),
        ("keep-alive = true", "line 3: keep-alive takes text in quotes, or a number"),
        ("header = [\n  \"* X-A: 1\",\n  2021-01-01,\n]", "line 5: header takes text in quotes, or a number"),
        ("keep-alive = 0", "line 3: the value of keep-alive is refused: 0 is not in 1.."),
        ("keep-alive = \"soon\"", "line 3: the value of keep-alive is refused: invalid digit"),
        ("access-log = \"xml\"", "line 3: the value of access-log is refused: give one of text, json"),
        (
            "header = [\n  \"* X-A: 1\",\n  \"none\",\n]",
            "line 5: the value of header is refused: give a pattern, a space",
        ),
        ("rabin = \"x\"", "line 3: the value of rabin is refused: "),
        ("config = \"other.toml\"", "line 3: a file cannot name another one; give one file with --config"),
        ("spa = true\nspa = true", "line 4: duplicate key"),
        ("spa = ", "line 3: "),
        ("spa", "line 3: "),
    ];
    for (lines, says) in cases {
        let folder = setting(&format!("{BASE}{lines}\n"));
        let output = tried(&folder, &["--config", "driblet.toml"], &[]);
        let said = text(&output.stderr);
        assert_eq!((code(&output), said.lines().count()), (2, 1), "{lines}: {said}");
        let says = format!("driblet: driblet.toml, {says}");
        assert!(said.starts_with(&says), "{says:?} in {said}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = setting("");
    support::refused(&tried(&folder, &["--config", "none.toml"], &[]), &["none.toml", "No such file"]);
    support::refused(&tried(&folder, &[], &[("DRIBLET_CONFIG", "root")]), &["root", "Is a directory"]);
    fs::write(folder.path().join("bytes.toml"), b"\xff").unwrap();
    support::refused(&tried(&folder, &["--config", "bytes.toml"], &[]), &["bytes.toml", "utf-8"]);
}

#[test]
fn what_is_wrong_in_a_variable_is_named() {
    let folder = setting("");
    let cases = [
        ("DRIBLET_SPA", "yes", "DRIBLET_SPA: give true or false"),
        ("DRIBLET_KEEP_ALIVE", "0", "DRIBLET_KEEP_ALIVE: the value of keep-alive is refused: 0 is not in 1.."),
        (
            "DRIBLET_LISTEN",
            "127.0.0.1:0\n8080",
            "DRIBLET_LISTEN, line 2: the value of listen is refused: it is neither",
        ),
    ];
    for (name, value, says) in cases {
        let output = tried(&folder, &["root"], &[(name, value)]);
        let said = text(&output.stderr);
        assert_eq!((code(&output), said.lines().count()), (2, 1), "{said}");
        assert!(said.starts_with(&format!("driblet: {says}")), "{says:?} in {said}");
    }
}

#[test]
fn a_variable_that_is_no_setting_is_warned_of_and_may_be_another_programs() {
    let folder = setting(BASE);
    let config = path(&folder, "driblet.toml");
    let variables = [("DRIBLET_KEEPALIVE", "620"), ("DRIBLET_ZZZ", "1")];
    // The first line is the warning.
    let shell = "exec \"$@\" 2>\"$0\"";
    let log = path(&folder, "log");
    let mut command = std::process::Command::new("sh");
    command.args([
        "-c",
        shell,
        &log,
        env!("CARGO_BIN_EXE_driblet"),
        "serve",
        "--config",
        &config,
        "--history",
        "history",
    ]);
    let mut process = command.current_dir(&folder).envs(variables).spawn().unwrap();
    let said = || fs::read_to_string(&log).unwrap_or_default();
    support::eventually_on_thread(|| said().contains("listening on"));
    support::send("TERM", process.id());
    assert!(support::within_on_thread(move || process.wait().unwrap()).success());
    let said = said();
    assert!(
        said.contains(
            "DRIBLET_KEEPALIVE is no setting of driblet serve, and has no effect; do you mean DRIBLET_KEEP_ALIVE?"
        ),
        "{said}"
    );
    assert!(said.contains("DRIBLET_ZZZ is no setting of driblet serve, and has no effect\n"), "{said}");
}

#[test]
fn settings_that_do_not_fit_together_are_named_with_their_places() {
    let folder = setting(&format!("{BASE}tls-cert = \"cert.pem\"\n"));
    let missing = tried(&folder, &["--config", "driblet.toml", "--spa"], &[]);
    let said = text(&missing.stderr);
    assert_eq!(code(&missing), 2, "{said}");
    assert!(said.contains("--tls-key <FILE>"), "{said}");
    fs::write(
        folder.path().join("driblet.toml"),
        format!("{BASE}rabin = \"12,8192,32768\"\nno-browser-sync-stream = true\n"),
    )
    .unwrap();
    let both = tried(&folder, &["--config", "driblet.toml"], &[]);
    let said = text(&both.stderr);
    assert_eq!(code(&both), 2, "{said}");
    assert!(said.contains("cannot be used with"), "{said}");
    let places =
        "driblet: --rabin is set in driblet.toml, line 3; --no-browser-sync-stream is set in driblet.toml, line 4";
    assert!(said.lines().any(|line| line == places), "{said}");
}

#[test]
fn a_missing_path_and_a_wrong_flag_are_told_as_ever() {
    let folder = setting("spa = true\n");
    let missing = tried(&folder, &["--config", "driblet.toml"], &[]);
    assert_eq!(code(&missing), 2);
    assert!(text(&missing.stderr).contains("<PATH>"), "{}", text(&missing.stderr));
    let wrong = tried(&folder, &["--config", "driblet.toml", "root", "--sap"], &[]);
    assert!(text(&wrong.stderr).starts_with("error: unexpected argument '--sap'"), "{}", text(&wrong.stderr));
    let help = tried(&folder, &["--config", "none.toml", "--help"], &[]);
    assert!(help.status.success() && text(&help.stdout).contains("--config <FILE>"));
    // Other commands have no settings.
    let version = command(&["--version"]).env("DRIBLET_SPA", "maybe").output_within();
    assert!(version.status.success());
}

/// The example, with all settings that are commented out too.
fn uncommented(example: &str) -> String {
    let is_setting = |line: &str| {
        line.strip_prefix('#')
            .is_some_and(|rest| !rest.is_empty() && (!rest.starts_with(' ') || rest.starts_with("  ")))
    };
    example.lines().map(|line| format!("{}\n", if is_setting(line) { &line[1..] } else { line })).collect()
}

#[test]
fn the_example_starts_a_server() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/driblet.toml");
    let example = fs::read_to_string(example).unwrap();
    for config in [example.clone(), uncommented(&example)] {
        let folder = setting(&config);
        certify(folder.path(), "cert.pem", "key.pem");
        fs::create_dir(folder.path().join("root/assets")).unwrap();
        // What this machine lacks.
        let line = ["root", "--listen", "127.0.0.1:0", "--redirect-http", "127.0.0.1:0", "--history", "history"];
        let files = ["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--metrics", "127.0.0.1:0"];
        let serving = serving(&folder, &[&line[..], &files].concat(), &[]);
        assert!(serving.url.starts_with("https://"), "{}", serving.url);
        serving.signal("TERM");
        assert!(serving.end().0.success());
    }
    assert!(uncommented(&example).lines().filter(|line| line.contains(" = ")).count() > 15);
}
