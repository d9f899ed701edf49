//! TLS, HTTP/2, redirections, Unix sockets, and sockets of systemd, with real certificates and curl.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use driblet::Version;
use support::{
    Limited, Serving, certify, code, command, driblet, eventually_on_thread, files, finished, path, refused, text,
    within_on_thread,
};
use tempfile::TempDir;

/// A folder with a file to serve, and a certificate.
fn setting() -> TempDir {
    let folder = files(&[("root/app.js", b"let app"), ("root/index.html", b"<title>app</title>")]);
    certify(folder.path(), "cert.pem", "key.pem");
    folder
}

/// A server with TLS.
fn serving(folder: &TempDir, more: &[&str]) -> Serving {
    let (certificate, key) = (path(folder, "cert.pem"), path(folder, "key.pem"));
    let more = [&["--tls-cert", &certificate, "--tls-key", &key], more].concat();
    Serving::start(&folder.path().join("root"), &folder.path().join("history"), &more)
}

/// Runs curl, which trusts the certificates in `trusted.pem`.
fn curl(folder: &TempDir, args: &[&str]) -> Output {
    Command::new("curl")
        .args(["--silent", "--show-error", "--cacert", &path(folder, "trusted.pem")])
        .args(args)
        .output_within()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// The certificate that a new connection gets.
fn presented(serving: &Serving) -> String {
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &serving.addr.to_string(), "-servername", "localhost"])
        .stdin(Stdio::null())
        .output_within();
    let said = text(&output.stdout);
    let start = said.find("-----BEGIN").unwrap_or_else(|| panic!("{said}"));
    said[start..said.find("-----END").unwrap()].to_owned()
}

fn is_in_file(presented: &str, folder: &TempDir) -> bool {
    fs::read_to_string(folder.path().join("cert.pem")).unwrap().contains(presented)
}

#[test]
fn clients_use_tls_with_http_2_and_http_1() {
    let folder = setting();
    fs::copy(folder.path().join("cert.pem"), folder.path().join("trusted.pem")).unwrap();
    let serving = serving(&folder, &[]);
    assert!(serving.url.starts_with("https://127.0.0.1:"), "{}", serving.url);
    let url = format!("{}app.js", serving.url);
    let version = "\n%{http_version} %{http_code}";
    assert_eq!(said(&curl(&folder, &[&url, "--http2", "--write-out", version])), "let app\n2 200");
    assert_eq!(said(&curl(&folder, &[&url, "--http1.1", "--write-out", version])), "let app\n1.1 200");
    // The command line trusts what the system trusts.
    let copy = path(&folder, "copy.js");
    let pulled = command(&["pull", &url, &copy]).env("SSL_CERT_FILE", path(&folder, "cert.pem")).output_within();
    assert_eq!(code(&pulled), 0, "{}", text(&pulled.stderr));
    assert_eq!(fs::read(&copy).unwrap(), b"let app");
    refused(&driblet(&["pull", &url, &copy]), &["certificate"]);
    serving.signal("TERM");
    assert!(serving.end().0.success());
}

#[test]
fn what_is_no_certificate_is_refused_by_name() {
    let folder = setting();
    certify(folder.path(), "other.pem", "other-key.pem");
    fs::write(folder.path().join("text"), "no certificate").unwrap();
    let root = path(&folder, "root");
    let tried = |certificate: &str, key: &str| {
        let (certificate, key) = (path(&folder, certificate), path(&folder, key));
        driblet(&["serve", &root, "--listen", "127.0.0.1:0", "--tls-cert", &certificate, "--tls-key", &key])
    };
    refused(&tried("none.pem", "key.pem"), &["cannot use TLS", "none.pem is no certificate", "No such file"]);
    refused(&tried("cert.pem", "none"), &["none is no private key"]);
    refused(&tried("text", "key.pem"), &["text is no certificate in PEM form"]);
    refused(&tried("cert.pem", "text"), &["text is no private key in PEM form"]);
    refused(&tried("cert.pem", "other-key.pem"), &["cannot be used with the key", "use the key that it was made for"]);
    let alone = driblet(&["serve", &root, "--tls-cert", &path(&folder, "cert.pem")]);
    assert_eq!(code(&alone), 2);
    assert!(text(&alone.stderr).contains("--tls-key"), "{}", text(&alone.stderr));
}

#[test]
fn a_certificate_is_replaced_while_a_hundred_live_streams_run() {
    let folder = setting();
    let serving = serving(&folder, &[]);
    fs::copy(folder.path().join("cert.pem"), folder.path().join("trusted.pem")).unwrap();
    let streams = Streams::open(&folder, &serving, 100);

    // On a signal.
    let before = presented(&serving);
    assert!(is_in_file(&before, &folder));
    certify(folder.path(), "cert.pem", "key.pem");
    serving.signal("HUP");
    eventually_on_thread(|| is_in_file(&presented(&serving), &folder));
    // By itself. Meanwhile the files do not fit together.
    certify(folder.path(), "cert.pem", "key.pem.new");
    let now = presented(&serving);
    fs::rename(folder.path().join("key.pem.new"), folder.path().join("key.pem")).unwrap();
    assert!(now != before && !is_in_file(&now, &folder));
    eventually_on_thread(|| is_in_file(&presented(&serving), &folder));
    // Files that are no pair change nothing, and are named.
    fs::write(folder.path().join("key.pem"), "no key").unwrap();
    serving.signal("HUP");
    assert!(is_in_file(&presented(&serving), &folder));

    // A stream that was closed would not have the event: curl does not connect again.
    fs::write(folder.path().join("root/app.js"), "let app = 2").unwrap();
    let version = Version::of(b"let app = 2").to_string();
    eventually_on_thread(|| streams.all_have(&version));
    serving.signal("TERM");
    assert_eq!(said(&finished(streams.curl)), "200\n".repeat(100));
    let (status, log) = serving.end();
    assert!(status.success());
    assert!(log.contains("the certificate from before stays in use") && log.contains("key.pem"), "{log}");
}

/// Live streams of one curl, a connection and a file each.
struct Streams {
    curl: Child,
    files: Vec<PathBuf>,
}

impl Streams {
    /// Opens streams, and waits until each has its first event.
    fn open(folder: &TempDir, serving: &Serving, count: usize) -> Streams {
        let files: Vec<PathBuf> = (0..count).map(|number| folder.path().join(format!("stream{number}"))).collect();
        let url = format!("{}app.js.driblet/live", serving.url);
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--no-buffer", "--cacert", &path(folder, "trusted.pem"), "--http1.1"]);
        curl.args(["--parallel", "--parallel-immediate", "--parallel-max", "100", "--write-out", "%{http_code}\n"]);
        for file in &files {
            curl.arg("--output").arg(file).arg(&url);
        }
        let curl = curl.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let streams = Streams { curl, files };
        eventually_on_thread(|| streams.all_have("event: head"));
        streams
    }

    fn all_have(&self, text: &str) -> bool {
        self.files.iter().all(|file| fs::read_to_string(file).is_ok_and(|read| read.contains(text)))
    }
}

/// The URL of a request that is answered when the file changes.
fn waiting(folder: &TempDir, serving: &Serving) -> String {
    let url = format!("{}app.js.driblet/head", serving.url);
    let head: serde_json::Value = serde_json::from_str(&said(&curl(folder, &[&url]))).unwrap();
    format!("{url}?since={}&wait=60", head["counter"])
}

/// Starts curl, and waits until it has sent its request.
fn request(folder: &TempDir, args: &[&str]) -> Child {
    let mut child = Command::new("curl")
        .args(["--silent", "--verbose", "--cacert", &path(folder, "trusted.pem")])
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = within_on_thread(move || {
        while !said.next().expect("curl goes on").unwrap().contains("> GET ") {}
        said
    });
    // It would wait for a reader.
    std::thread::spawn(move || said.for_each(drop));
    child
}

#[test]
fn clients_without_tls_are_redirected() {
    let folder = setting();
    fs::copy(folder.path().join("cert.pem"), folder.path().join("trusted.pem")).unwrap();
    let mut serving = serving(&folder, &["--redirect-http", "127.0.0.1:0"]);
    let line = serving.line();
    let plain = line.trim_end().strip_prefix("redirecting from ").unwrap_or_else(|| panic!("{line}")).to_owned();
    let asked = ["--include", "--header", "host: localhost:1", &format!("{plain}app.js?a=b")];
    let answer = said(&curl(&folder, &asked));
    assert!(answer.starts_with("HTTP/1.1 308 "), "{answer}");
    let place = format!("location: https://localhost:{}/app.js?a=b", serving.addr.port());
    assert!(answer.lines().any(|line| line == place), "{place} in {answer}");
    let followed = ["--location", "--write-out", "%{http_version}", &format!("{plain}app.js")];
    assert_eq!(said(&curl(&folder, &followed)), "let app2");
    for host in ["host:", "host: a b", "host: /evil"] {
        let refused = said(&curl(&folder, &["--write-out", "%{http_code}", "--header", host, &plain]));
        assert!(refused.ends_with("400"), "{host}: {refused}");
    }
    serving.signal("TERM");
    assert!(serving.end().0.success());
}

#[test]
fn a_unix_socket_is_made_replaced_and_removed() {
    let folder = files(&[("root/app.js", b"let app")]);
    let (root, socket) = (path(&folder, "root"), path(&folder, "http.sock"));
    let listen = format!("unix:{socket}");
    let start = || Serving::start(&folder.path().join("root"), &folder.path().join("history"), &["--listen", &listen]);
    let ask =
        || Command::new("curl").args(["--silent", "--unix-socket", &socket, "http://localhost/app.js"]).output_within();
    let serving = start();
    assert_eq!(said(&ask()), "let app");
    let history = path(&folder, "other-history");
    refused(
        &driblet(&["serve", &root, "--history", &history, "--listen", &listen]),
        &["cannot listen on unix:", "in use"],
    );
    // What a process leaves behind that was killed is replaced.
    serving.signal("KILL");
    serving.end();
    assert!(fs::symlink_metadata(&socket).is_ok());
    let serving = start();
    assert_eq!(said(&ask()), "let app");
    serving.signal("TERM");
    assert!(serving.end().0.success());
    assert!(fs::symlink_metadata(&socket).is_err());
    // No other file is.
    fs::write(&socket, "a file").unwrap();
    refused(&driblet(&["serve", &root, "--history", &history, "--listen", &listen]), &["cannot listen on unix:"]);
    assert_eq!(fs::read(&socket).unwrap(), b"a file");
    for listen in ["unix:", "8080", "localhost:8080"] {
        assert_eq!(code(&driblet(&["serve", &root, "--listen", listen])), 2, "{listen}");
    }
}

/// Waits until systemd is told this.
fn notifies(notified: UnixDatagram, what: &str) -> UnixDatagram {
    let (notified, said) = within_on_thread(move || {
        let mut bytes = [0; 100];
        let len = notified.recv(&mut bytes).unwrap();
        (notified, text(&bytes[..len]))
    });
    assert_eq!(said.trim_end(), what);
    notified
}

/// Passes sockets as systemd does: from the third descriptor on.
const PASSING: &str = r#"
import os, socket, sys
network = socket.create_server(("127.0.0.1", 0))
machine = socket.socket(socket.AF_UNIX)
machine.bind(sys.argv[1])
machine.listen()
# Copies, for a descriptor may have its number already.
copies = [os.dup(passed.fileno()) for passed in (network, machine)]
for number, passed in enumerate(copies):
    os.dup2(passed, 3 + number)
os.environ.update(LISTEN_FDS="2", LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[2], sys.argv[2:])
"#;

#[test]
fn systemd_passes_sockets_and_is_told_when_the_server_is_ready() {
    let folder = files(&[("root/app.js", b"let app")]);
    let (socket, told) = (path(&folder, "http.sock"), path(&folder, "notify.sock"));
    let notified = UnixDatagram::bind(&told).unwrap();
    let mut process = Command::new("python3")
        .args(["-c", PASSING, &socket, env!("CARGO_BIN_EXE_driblet"), "serve", &path(&folder, "root")])
        .args(["--history", &path(&folder, "history")])
        .env("NOTIFY_SOCKET", &told)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let notified = notifies(notified, "READY=1");
    let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let network = lines.next().unwrap().unwrap();
    let url = network.strip_prefix("listening on ").unwrap_or_else(|| panic!("{network}"));
    assert_eq!(lines.next().unwrap().unwrap(), format!("listening on unix:{socket}"));
    assert_eq!(said(&Command::new("curl").args(["--silent", &format!("{url}app.js")]).output_within()), "let app");
    let local = ["--silent", "--unix-socket", &socket, "http://localhost/app.js"];
    assert_eq!(said(&Command::new("curl").args(local).output_within()), "let app");
    support::send("TERM", process.id());
    notifies(notified, "STOPPING=1");
    assert!(finished(process).status.success());
    // systemd keeps what it has made.
    assert!(fs::symlink_metadata(&socket).is_ok());
}

#[test]
fn a_stop_lets_requests_over_http_2_finish() {
    let folder = setting();
    fs::copy(folder.path().join("cert.pem"), folder.path().join("trusted.pem")).unwrap();
    let serving = serving(&folder, &["--grace", "60"]);
    let waiting = waiting(&folder, &serving);
    let poll = request(&folder, &["--http2", &waiting, "--write-out", "\n%{http_version} %{http_code}"]);
    serving.signal("TERM");
    // A response that only waits ends when the server stops.
    let answer = said(&finished(poll));
    assert!(answer.ends_with("\n2 200"), "{answer}");
    assert!(serving.end().0.success());
}
