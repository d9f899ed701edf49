//! Certificates by ACME, from a real authority for tests: pebble, of Let's Encrypt.
#![cfg(feature = "acme")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use support::{Limited, Serving, certify, code, driblet, eventually_on_thread, files, path, text};
use tempfile::TempDir;

const DOMAIN: &str = "driblet.test";

/// An authority that checks domains at a server's port, and a name server that sends all names here.
struct Authority {
    processes: Vec<Child>,
}

/// Ports that were free a moment ago: the authority cannot be asked which ones it took.
struct Ports {
    directory: u16,
    management: u16,
    names: u16,
    names_management: u16,
}

impl Ports {
    fn free() -> Ports {
        let sockets = [(); 4].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [directory, management, names, names_management] =
            sockets.map(|socket| socket.local_addr().unwrap().port());
        Ports { directory, management, names, names_management }
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.directory)
    }
}

impl Authority {
    /// The certificate `authority.pem` is that of the authority's own server.
    fn start(folder: &TempDir, ports: &Ports, checked: u16) -> Authority {
        let config = format!(
            r#"{{"pebble": {{
                "listenAddress": "127.0.0.1:{}", "managementListenAddress": "127.0.0.1:{}",
                "certificate": "{}", "privateKey": "{}", "httpPort": 1, "tlsPort": {checked}
            }}}}"#,
            ports.directory,
            ports.management,
            path(folder, "authority.pem"),
            path(folder, "authority-key.pem"),
        );
        fs::write(folder.path().join("pebble.json"), config).unwrap();
        let names = format!("127.0.0.1:{}", ports.names);
        let management = format!("127.0.0.1:{}", ports.names_management);
        let mut resolver = Command::new("pebble-challtestsrv");
        resolver.args(["-dns01", &names, "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "", "-management", &management]);
        resolver.args(["-http01", "", "-https01", "", "-tlsalpn01", ""]);
        let mut pebble = Command::new("pebble");
        pebble.args(["-config", &path(folder, "pebble.json"), "-dnsserver", &names]);
        pebble.envs([("PEBBLE_VA_NOSLEEP", "1"), ("PEBBLE_WFE_NONCEREJECT", "0")]);
        let processes = [resolver, pebble].map(|mut process| {
            process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        });
        Authority { processes: processes.into() }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A server that gets its certificate from an authority. It trusts `authority.pem`.
fn serving(folder: &TempDir, ports: &Ports) -> Serving {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driblet"));
    command.args(["serve", &path(folder, "root"), "--history", &path(folder, "history"), "--listen", "127.0.0.1:0"]);
    command.args([
        "--acme-domain",
        DOMAIN,
        "--acme-folder",
        &path(folder, "acme"),
        "--acme-contact",
        "me@driblet.test",
    ]);
    command.args(["--acme-directory", &ports.url()]).env("SSL_CERT_FILE", path(folder, "authority.pem"));
    command.env("RUST_LOG", "driblet::serve::acme=info");
    Serving::of(&mut command)
}

/// Asks a server for `/app.js` by its domain, as a client that trusts a file's certificates.
fn fetched(serving: &Serving, trusted: &Path) -> Option<String> {
    let port = serving.addr.port();
    let output = Command::new("curl")
        .args(["--silent", "--cacert", trusted.to_str().unwrap(), "--write-out", " %{http_version}"])
        .args(["--resolve", &format!("{DOMAIN}:{port}:127.0.0.1"), &format!("https://{DOMAIN}:{port}/app.js")])
        .output_within();
    output.status.success().then(|| text(&output.stdout))
}

/// The root certificate of what an authority gives.
fn root_of(folder: &TempDir, ports: &Ports) -> bool {
    let url = format!("https://127.0.0.1:{}/roots/0", ports.management);
    let (trusted, root) = (path(folder, "authority.pem"), path(folder, "root.pem"));
    Command::new("curl").args(["--silent", "--cacert", &trusted, "--output", &root, &url]).status_within().success()
}

#[test]
fn an_authority_gives_the_certificate_which_is_kept() {
    let folder = files(&[("root/app.js", b"let app")]);
    certify(folder.path(), "authority.pem", "authority-key.pem");
    let ports = Ports::free();
    let server = serving(&folder, &ports);
    assert!(server.url.starts_with("https://"), "{}", server.url);
    // The authority is there only later.
    let authority = Authority::start(&folder, &ports, server.addr.port());
    eventually_on_thread(|| root_of(&folder, &ports));
    let root = folder.path().join("root.pem");
    eventually_on_thread(|| fetched(&server, &root).is_some());
    assert_eq!(fetched(&server, &root).as_deref(), Some("let app 2"));
    let kept = folder.path().join("acme");
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o700, "it holds private keys");

    // Only the authority speaks that protocol, and only while it checks.
    let checked = Command::new("openssl")
        .args(["s_client", "-connect", &server.addr.to_string(), "-servername", DOMAIN, "-alpn", "acme-tls/1"])
        .stdin(Stdio::null())
        .output_within();
    assert!(!text(&checked.stdout).contains("-----BEGIN"), "{}", text(&checked.stdout));

    drop(authority);
    server.signal("TERM");
    let (status, log) = server.end();
    assert!(status.success());
    assert!(log.contains("a new certificate is in use") && log.contains(DOMAIN), "{log}");

    // The next run needs no authority.
    let server = serving(&folder, &ports);
    eventually_on_thread(|| fetched(&server, &root).is_some());
    server.signal("TERM");
    assert!(server.end().1.contains("the certificate of an earlier run is in use"));
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let folder = files(&[("root/app.js", b"let app"), ("file", b"")]);
    certify(folder.path(), "cert.pem", "key.pem");
    let (root, acme, below_file) = (path(&folder, "root"), path(&folder, "acme"), path(&folder, "file/acme"));
    let tried = |more: &[&str]| driblet(&[&["serve", &root, "--listen", "127.0.0.1:0"], more].concat());
    let alone = tried(&["--acme-domain", DOMAIN]);
    assert_eq!(code(&alone), 2);
    assert!(text(&alone.stderr).contains("--acme-folder"), "{}", text(&alone.stderr));
    let (certificate, key) = (path(&folder, "cert.pem"), path(&folder, "key.pem"));
    let files = ["--tls-cert", &certificate, "--tls-key", &key, "--acme-domain", DOMAIN, "--acme-folder", &acme];
    let both = tried(&files);
    assert_eq!(code(&both), 2);
    assert!(text(&both.stderr).contains("--acme-domain"), "{}", text(&both.stderr));
    let no_folder = tried(&["--acme-domain", DOMAIN, "--acme-folder", &below_file]);
    assert_eq!(code(&no_folder), 1);
    assert!(text(&no_folder.stderr).contains("cannot make the folder"), "{}", text(&no_folder.stderr));
}
