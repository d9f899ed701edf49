use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use tempfile::TempDir;

use super::{Limited, Serving, certify, files, path, random_bytes, send, text};

/// KiB of one MiB, the unit of `/proc`.
pub(crate) const MIB: u64 = 1 << 10;

/// A server that hostile clients attack.
pub(crate) struct Attacked {
    pub(crate) serving: Serving,
    /// Resident memory before the attack, in KiB.
    before: u64,
}

impl Attacked {
    /// A server of `app.js`, and of `big.bin` with 10 MB.
    pub(crate) fn start(more: &[&str]) -> Attacked {
        let big = random_bytes(1, 10_000_000);
        Attacked::in_folder(files(&[("root/app.js", b"let app"), ("root/big.bin", &big)]), more)
    }

    /// A server with TLS.
    pub(crate) fn with_tls() -> Attacked {
        let folder = files(&[("root/app.js", b"let app")]);
        certify(folder.path(), "cert.pem", "key.pem");
        let (certificate, key) = (path(&folder, "cert.pem"), path(&folder, "key.pem"));
        Attacked::in_folder(folder, &["--tls-cert", &certificate, "--tls-key", &key])
    }

    /// A server of the folder `root`, which has `app.js`.
    pub(crate) fn in_folder(folder: TempDir, more: &[&str]) -> Attacked {
        let (root, history) = (folder.path().join("root"), folder.path().join("history"));
        let serving = Serving::start(&root, &history, more).keeping(folder);
        let mut attacked = Attacked { serving, before: 0 };
        // Publishes all files.
        for file in fs::read_dir(root).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                attacked.fetched(file.file_name().to_str().unwrap());
            }
        }
        attacked.before = attacked.memory("VmRSS");
        attacked
    }

    /// Others are served.
    pub(crate) fn serves(&self) {
        assert_eq!(self.fetched("app.js"), b"let app");
    }

    /// What a client that behaves well gets.
    fn fetched(&self, name: &str) -> Vec<u8> {
        let url = format!("{}{name}", self.serving.url);
        let answer =
            Command::new("curl").args(["--silent", "--show-error", "--fail", "--insecure", &url]).output_within();
        assert!(answer.status.success(), "{}", text(&answer.stderr));
        answer.stdout
    }

    /// Sends bytes on a connection of their own. Gives all that the server answers until it closes the connection.
    pub(crate) fn ask(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.serving.connect();
        // The server may close the connection before it has read everything.
        let _ = stream.write_all(bytes.as_ref());
        all(&mut stream)
    }

    pub(crate) fn connections(&self, count: usize) -> Vec<TcpStream> {
        (0..count).map(|_| self.serving.connect()).collect()
    }

    /// The most memory that the server ever had, above what it had before the attack, in KiB.
    pub(crate) fn growth(&self) -> u64 {
        self.memory("VmHWM").saturating_sub(self.before)
    }

    /// Sockets that the server has open.
    pub(crate) fn sockets(&self) -> usize {
        let links = fs::read_dir(format!("/proc/{}/fd", self.serving.process())).unwrap();
        let targets = links.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
        targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
    }

    /// Stops the server, and gives its log. It must not have panicked.
    pub(crate) fn end(self) -> String {
        self.serves();
        send("TERM", self.serving.process());
        let (status, log) = self.serving.end();
        assert!(status.success() && !log.contains("panicked"), "{status}: {log}");
        log
    }

    fn memory(&self, what: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.serving.process())).unwrap();
        let line = status.lines().find(|line| line.starts_with(what)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

/// What is read until the end of the stream, or until it fails.
pub(crate) fn all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}
