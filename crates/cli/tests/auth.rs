//! Access rules, credentials and proxies, with the real command.

mod support;

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;

use support::{Limited, Serving, code, command, driblet, eventually_on_thread, files, finished, path, refused, text};
use tempfile::TempDir;

/// A password, its hash, a token and its hash, as the command makes them.
struct Made {
    hash: String,
    token: String,
    token_hash: String,
}

const PASSWORD: &str = "s3cret: wörd";

impl Made {
    fn new() -> Made {
        let mut process = command(&["auth", "password"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        process.stdin.take().unwrap().write_all(format!("{PASSWORD}\nrest\n").as_bytes()).unwrap();
        let hash = text(&finished(process).stdout).trim_end().to_owned();
        let made = driblet(&["auth", "token"]);
        let (token, token_hash) = (text(&made.stderr).trim_end().to_owned(), text(&made.stdout).trim_end().to_owned());
        Made { hash, token, token_hash }
    }

    fn rules(&self, paths: &[&str]) -> String {
        let Made { hash, token_hash, .. } = self;
        format!(
            "[[allow]]\npaths = {paths:?}\nusers = {{ alice = \"{hash}\" }}\ntokens = {{ ci = \"{token_hash}\" }}\n"
        )
    }
}

fn setting(rules: &str) -> TempDir {
    files(&[
        ("root/open.txt", b"open"),
        ("root/private/a.txt", b"secret"),
        ("root/private/b/c.txt", b"secret too"),
        ("rules.toml", rules.as_bytes()),
    ])
}

fn serving(folder: &TempDir, more: &[&str]) -> Serving {
    let rules = path(folder, "rules.toml");
    let more = [&["--auth-file", &rules], more].concat();
    Serving::start(&folder.path().join("root"), &folder.path().join("history"), &more)
}

/// The status line of an answer on a connection of its own.
fn status(serving: &Serving, path: &str, more: &str) -> String {
    let mut stream = serving.connect();
    let ask = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{more}\r\n");
    stream.write_all(ask.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).get(9..12).unwrap_or_default().to_owned()
}

#[test]
fn hashes_are_made_for_the_file_of_rules() {
    let made = Made::new();
    assert!(
        made.hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$") && made.hash.lines().count() == 1,
        "{}",
        made.hash
    );
    assert!(made.token_hash.starts_with("sha256:") && made.token_hash.len() == 71, "{}", made.token_hash);
    assert!(32 < made.token.len() && made.token.lines().count() == 1);
    let output = command(&["auth", "password"]).stdin(Stdio::null()).output_within();
    refused(&output, &["cannot read the password", "it is empty"]);
}

#[test]
fn a_pull_shows_credentials() {
    let made = Made::new();
    let folder = setting(&made.rules(&["/private/"]));
    let serving = serving(&folder, &["--directory", "private"]);
    let file = format!("{}private/a.txt", serving.url);
    let (copy, dir) = (path(&folder, "copy"), path(&folder, "dir"));
    refused(&driblet(&["pull", &file, &copy]), &["401", "needs a user name and a password, or a token"]);
    let with_user = |url: &str| url.replacen("http://", "http://alice:s3cret%3A%20w%C3%B6rd@", 1);
    let pulled = |args: &[&str]| {
        let output = driblet(&[&["pull"], args].concat());
        assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    };
    pulled(&[&with_user(&file), &copy]);
    assert_eq!(fs::read(&copy).unwrap(), b"secret");
    fs::write(folder.path().join("root/private/a.txt"), "another secret").unwrap();
    let header = format!("Authorization: Bearer {}", made.token);
    pulled(&[&file, &copy, "--header", &header]);
    assert_eq!(fs::read(&copy).unwrap(), b"another secret");
    // A folder below a rule, and the snapshot above it, which leaves it out.
    let secret = path(&folder, "header");
    fs::write(&secret, format!("{header}\n")).unwrap();
    pulled(&[&format!("{}private/", serving.url), &dir, "--header", &format!("@{secret}")]);
    assert_eq!(fs::read(folder.path().join("dir/b/c.txt")).unwrap(), b"secret too");
    let all = path(&folder, "all");
    pulled(&[&serving.url, &all]);
    assert!(folder.path().join("all/open.txt").exists() && !folder.path().join("all/private").exists());
    // By browser-sync-stream.
    let ws = file.replacen("http", "ws", 1);
    refused(&driblet(&["pull", &ws, &copy]), &["401"]);
    fs::remove_file(&copy).unwrap();
    pulled(&[&ws, &copy, "--header", &header]);
    assert_eq!(fs::read(&copy).unwrap(), b"another secret");
    let wrong = driblet(&["pull", &file, &copy, "--header", "Authorization Bearer x1y2z3"]);
    assert_eq!(code(&wrong), 2);
    assert!(!text(&wrong.stderr).contains("x1y2z3"), "{}", text(&wrong.stderr));
    refused(&driblet(&["pull", &file, &copy, "--header", "Authorization: Bearer x1y2z3"]), &["401"]);
}

#[test]
fn a_file_that_is_wrong_at_the_start_is_refused_by_its_line() {
    let made = Made::new();
    let folder = setting(&made.rules(&["/private/"]));
    let rules = path(&folder, "rules.toml");
    let root = path(&folder, "root");
    let history = path(&folder, "history");
    let tried = |text: &str| {
        fs::write(&rules, text).unwrap();
        driblet(&["serve", &root, "--history", &history, "--listen", "127.0.0.1:0", "--auth-file", &rules])
    };
    refused(
        &tried("[[allow]]\npaths = [\"/private/\"]\nusers = { alice = \"s3cret\" }\n"),
        &["cannot use --auth-file", "rules.toml, line 3", "driblet auth password"],
    );
    refused(&tried("[[allow]]\npaths = [\"/private\n"), &["rules.toml, line 2"]);
    refused(&tried(""), &["rules.toml, line 1: there is no rule"]);
    fs::remove_file(&rules).unwrap();
    let none = driblet(&["serve", &root, "--history", &history, "--auth-file", &rules]);
    refused(&none, &["cannot read the access rules", "No such file"]);
    let proxy = driblet(&["serve", &root, "--history", &history, "--listen", "127.0.0.1:0", "--trust-proxy", "x"]);
    refused(&proxy, &["\"x\" is neither an address"]);
}

#[test]
fn a_hangup_reads_the_rules_again() {
    let made = Made::new();
    let folder = setting(&made.rules(&["/private/"]));
    let rules = folder.path().join("rules.toml");
    let mut serving = serving(&folder, &[]);
    assert_eq!(
        (status(&serving, "/private/a.txt", ""), status(&serving, "/open.txt", "")),
        ("401".into(), "200".into())
    );
    // A rule of the root covers the snapshot, and so needs no restart.
    fs::write(&rules, made.rules(&["/"])).unwrap();
    serving.signal("HUP");
    eventually_on_thread(|| status(&serving, "/open.txt", "") == "401");
    fs::write(&rules, "[[allow]]\npaths = [\"/private/\"]\nusers = 1\n").unwrap();
    serving.signal("HUP");
    let said = serving.line();
    assert!(said.contains("stay in force") && said.contains("rules.toml, line 3"), "{said}");
    fs::write(&rules, made.rules(&["/private/", "/open.txt"])).unwrap();
    serving.signal("HUP");
    let said = serving.line();
    assert!(said.contains("/open.txt") && said.contains("restart the server"), "{said}");
    assert_eq!(status(&serving, "/open.txt", ""), "401");
    serving.signal("TERM");
    assert!(serving.end().0.success());
}

#[test]
fn rules_that_cannot_be_used_any_more_are_told_without_a_signal() {
    let made = Made::new();
    let folder = setting(&made.rules(&["/private/"]));
    let mut serving = serving(&folder, &[]);
    fs::write(folder.path().join("rules.toml"), "[[allow]]\npaths = [\"/private/\"]\nusers = 1\n").unwrap();
    let said = serving.line();
    assert!(said.contains("stay in force") && said.contains("rules.toml, line 3"), "{said}");
    assert_eq!(status(&serving, "/private/a.txt", ""), "401");
}

/// Starts a server whose access log is a file of the folder.
fn logging(folder: &TempDir, more: &[&str]) -> (Serving, String) {
    let log = path(folder, "access.log");
    let into_log = ["sh", "-c", "exec \"$@\" >\"$0\"", &log];
    let (root, history) = (folder.path().join("root"), folder.path().join("history"));
    let more = [&["--access-log", "json"], more].concat();
    (Serving::within(&into_log, &root, &history, &more), log)
}

/// The clients in an access log with this many lines.
fn clients(log: &str, lines: usize) -> Vec<String> {
    eventually_on_thread(|| fs::read_to_string(log).unwrap().lines().count() == lines);
    let said = fs::read_to_string(log).unwrap();
    let client =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["client"].as_str().unwrap().to_owned();
    said.lines().map(client).collect()
}

#[test]
fn the_access_log_names_the_client_behind_a_proxy() {
    let folder = setting("");
    let (serving, log) = logging(&folder, &["--trust-proxy", "10.0.0.0/8"]);
    for header in [
        "",
        "x-forwarded-for: 198.51.100.1, 203.0.113.1, 10.1.1.1\r\n",
        "forwarded: for=\"[2001:db8::1]:99\";proto=https\r\n",
        "x-forwarded-for: unknown\r\n",
    ] {
        assert_eq!(status(&serving, "/open.txt", header), "200");
    }
    assert_eq!(clients(&log, 4), ["127.0.0.1", "203.0.113.1", "2001:db8::1", "127.0.0.1"]);
}

#[test]
fn the_proxy_protocol_comes_before_tls() {
    let folder = setting("");
    let at = |name: &str| path(&folder, name);
    let status = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-out", &at("cert.pem"), "-keyout", &at("key.pem")])
        .stderr(Stdio::null())
        .status_within();
    assert!(status.success());
    let (serving, log) =
        logging(&folder, &["--proxy-protocol", "--tls-cert", &at("cert.pem"), "--tls-key", &at("key.pem")]);
    let curl = |address: SocketAddr, more: &[&str]| {
        let url = format!("https://{address}/open.txt");
        let args = [&["--silent", "--insecure", "--http2", &url], more].concat();
        text(&Command::new("curl").args(args).output_within().stdout)
    };
    assert_eq!(curl(serving.addr, &["--haproxy-protocol"]), "open");
    assert_eq!(curl(relay(serving.addr, b"PROXY TCP4 203.0.113.7 192.0.2.1 5000 443\r\n"), &[]), "open");
    assert_eq!(curl(serving.addr, &[]), "", "no header");
    assert_eq!(clients(&log, 2), ["127.0.0.1", "203.0.113.7"]);
}

/// A proxy of connections, which writes this header before what the client sends.
fn relay(server: SocketAddr, header: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let mut server = TcpStream::connect(server).unwrap();
            server.write_all(header).unwrap();
            let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || io::copy(&mut from, &mut to));
            let mut client = client;
            thread::spawn(move || io::copy(&mut server, &mut client));
        }
    });
    address
}
