//! `driblet pull --watch`: real servers, and proxies that do harm.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use support::{
    LIMIT, Limited, Serving, Tap, code, driblet, eventually_on_thread, files, finished, http, path, random_bytes, send,
    text, within_on_thread,
};
use tempfile::TempDir;

/// A site, and a place to pull into.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Site {
        let site = Site { folder: files(&[("root/app.js", b"0"), ("root/app/a.js", b"a"), ("root/app/b.js", b"0")]) };
        site.publish("app.js", 0);
        site.publish("app/b.js", 0);
        site
    }

    fn serve(&self, more: &[&str]) -> Serving {
        let (root, history) = (self.folder.path().join("root"), self.folder.path().join("history"));
        Serving::start(&root, &history, &[&["--directory", "app"], more].concat())
    }

    /// A server at a certain address, with a history of its own. No other test takes ports of such an address.
    fn serve_at(&self, address: &str, history: &str) -> Serving {
        let (root, history) = (path(&self.folder, "root"), path(&self.folder, history));
        let mut command = Command::new(env!("CARGO_BIN_EXE_driblet"));
        Serving::of(command.args(["serve", &root, "--history", &history, "--directory", "app", "--listen", address]))
    }

    /// Replaces a file in one step.
    fn publish(&self, name: &str, number: u64) {
        let next = self.folder.path().join("next");
        fs::write(&next, content(number)).unwrap();
        fs::rename(next, self.folder.path().join("root").join(name)).unwrap();
    }

    fn dest(&self) -> PathBuf {
        self.folder.path().join("dest")
    }

    /// Waits until a pulled file is a version.
    fn pulled(&self, name: &str, number: u64) {
        let place = if name.is_empty() { self.dest() } else { self.dest().join(name) };
        eventually_on_thread(|| fs::read(&place).is_ok_and(|bytes| bytes == content(number)));
    }

    fn watch(&self, url: &str, more: &[&str]) -> Watching {
        Watching::start(url, &self.dest(), more)
    }
}

/// Some text that has little in common with others.
fn content(number: u64) -> Vec<u8> {
    [format!("version {number}\n").into_bytes(), random_bytes(number, 3000), random_bytes(100, 3000)].concat()
}

/// A pull that runs. It ends with the test.
struct Watching {
    process: Option<Child>,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Watching {
    fn start(url: &str, dest: &Path, more: &[&str]) -> Watching {
        let mut command = Command::new(env!("CARGO_BIN_EXE_driblet"));
        command.args(["pull", "--watch", url, dest.to_str().unwrap()]).args(more).stdin(Stdio::null());
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (process.stdout.take().unwrap(), process.stderr.take().unwrap());
        Watching { process: Some(process), stdout: lines_of(stdout), stderr: lines_of(stderr) }
    }

    fn id(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// The next line on stdout.
    fn line(&self) -> String {
        self.stdout.recv_timeout(LIMIT).expect("a line on stdout")
    }

    /// The next line on stderr.
    fn complaint(&self) -> String {
        self.stderr.recv_timeout(LIMIT).expect("a line on stderr")
    }

    /// Waits for the end. Gives the exit code, and the lines on stderr that were not read.
    fn end(mut self) -> (i32, Vec<String>) {
        let output = finished(self.process.take().unwrap());
        (code(&output), self.stderr.iter().collect())
    }

    /// Ends it by a signal, which is no failure.
    fn stop(self, signal: &str) {
        send(signal, self.id());
        assert_eq!(self.end(), (0, Vec::new()), "{signal}");
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (lines, received) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                return;
            }
        }
    });
    received
}

#[test]
fn a_file_and_a_directory_are_followed_through_their_versions() {
    let site = Site::new();
    let serving = site.serve(&[]);
    for (asset, file, dest, signal) in [("app.js", "app.js", "dest", "TERM"), ("app/", "app/b.js", "app/b.js", "INT")] {
        let place = site.folder.path().join(dest);
        let whole = site.folder.path().join(dest.trim_end_matches("/b.js"));
        let watching = Watching::start(&format!("{}{asset}", serving.url), &whole, &[]);
        for number in 0..5 {
            assert!(watching.line().contains("up to date"));
            assert!(fs::read(&place).unwrap() == content(number), "{file} {number}");
            site.publish(file, number + 1);
        }
        assert!(watching.line().contains("up to date"));
        watching.stop(signal);
    }
}

#[test]
fn each_version_is_told_once() {
    let site = Site::new();
    let serving = site.serve(&[]);
    let watching = site.watch(&format!("{}app.js", serving.url), &["--stats", "json"]);
    for number in 0..5 {
        let told: serde_json::Value = serde_json::from_str(&watching.line()).unwrap();
        assert_eq!(told["version"], driblet::Version::of(&content(number)).to_string());
        site.publish("app.js", number + 1);
    }
    watching.line();
    watching.stop("TERM");
}

#[test]
fn a_server_that_is_killed_and_comes_back_is_followed() {
    let site = Site::new();
    let serving = site.serve_at("127.0.0.2:0", "history");
    let address = serving.addr.to_string();
    let watching = site.watch(&format!("http://{address}/app.js"), &[]);
    site.pulled("", 0);
    let mut running = Some(serving);
    // The same history, another one, and the first one again.
    for (number, history) in [(1, "history"), (2, "another"), (3, "history")] {
        watching.line();
        let serving = running.take().unwrap();
        serving.signal("KILL");
        serving.end();
        let complaint = watching.complaint();
        assert!(complaint.ends_with("; trying again"), "{complaint}");
        site.publish("app.js", number);
        running = Some(site.serve_at(&address, history));
        site.pulled("", number);
    }
    watching.line();
    watching.stop("TERM");
}

#[test]
fn a_server_that_starts_later_is_waited_for() {
    let site = Site::new();
    let serving = site.serve_at("127.0.0.3:0", "history");
    let address = serving.addr.to_string();
    serving.signal("TERM");
    serving.end();
    let watching = site.watch(&format!("http://{address}/app/"), &[]);
    assert!(watching.complaint().contains("cannot reach"));
    let _serving = site.serve_at(&address, "history");
    site.pulled("b.js", 0);
    watching.line();
    watching.stop("INT");
}

#[test]
fn proxies_that_cut_and_hold_back_and_answer_themselves() {
    let site = Site::new();
    let serving = site.serve(&[]);
    let streams = Arc::new(AtomicUsize::new(0));
    let counted = streams.clone();
    let tap = Tap::speaking(Some(&serving.url), move |_, head, client| {
        if !head.contains("/app.js.driblet/live") {
            return Ok(false);
        }
        match counted.fetch_add(1, Ordering::Relaxed) + 1 {
            1 => Ok(true),
            2 => client.write_all(&http("200 OK", &["content-type: text/html"], "<p>sign in</p>")).map(|()| true),
            3 => client.write_all(&http("200 OK", &["content-type: text/event-stream"], "data: cut")).map(|()| true),
            4 => client.write_all(&http("502 Bad Gateway", &[], "")).map(|()| true),
            // Never answers.
            _ => {
                while client.read(&mut [0; 100])? != 0 {}
                Ok(true)
            }
        }
    });
    let watching = site.watch(&format!("http://{}/app.js", tap.address), &[]);
    for number in 1..5 {
        watching.line();
        site.publish("app.js", number);
    }
    watching.line();
    site.pulled("", 4);
    // By now the receiver asks for the head.
    eventually_on_thread(|| 5 <= streams.load(Ordering::Relaxed));
    site.publish("app.js", 5);
    site.pulled("", 5);
}

#[test]
fn a_server_without_room_for_a_stream_is_polled() {
    let site = Site::new();
    let serving = site.serve(&["--max-live", "1"]);
    let mut other = serving.ask("/app.js.driblet/live");
    other.read_exact(&mut [0; 12]).unwrap();
    let watching = site.watch(&format!("{}app.js", serving.url), &[]);
    for number in 1..3 {
        watching.line();
        site.publish("app.js", number);
        site.pulled("", number);
    }
    watching.line();
    watching.stop("TERM");
}

#[test]
fn a_refusal_ends_it() {
    let site = Site::new();
    let serving = site.serve(&[]);
    let refuses = Arc::new(AtomicBool::new(false));
    let told = refuses.clone();
    let tap = Tap::new(Some(&serving.url), move |_, _| {
        told.load(Ordering::Relaxed).then(|| http("401 Unauthorized", &[], ""))
    });
    let url = format!("http://user:secret@{}/app.js", tap.address);
    let watching = site.watch(&url, &[]);
    watching.line();
    refuses.store(true, Ordering::Relaxed);
    site.publish("app.js", 1);
    // The stream tells of it. Where the delta is not in the event, the pull is refused; otherwise the next stream.
    serving.signal("TERM");
    let (code, said) = watching.end();
    let said = said.last().unwrap();
    assert_eq!(code, 1, "{said}");
    assert!(said.starts_with("driblet: cannot pull") && said.contains("401") && !said.contains("secret"), "{said}");
    // From the beginning.
    let (code, said) = site.watch(&url, &[]).end();
    assert_eq!((code, said.len()), (1, 1), "{said:?}");
}

#[test]
fn errors_that_do_not_pass_end_it() {
    let site = Site::new();
    let serving = site.serve(&[]);
    let url = |name: &str| format!("{}{name}", serving.url);
    for (asset, dest, says) in [
        ("missing.js", "dest", "404"),
        ("app.js", "no folder/dest", "no folder/dest"),
        ("app.js/", "folder", "snapshot"),
        ("app", "dest", "app"),
    ] {
        let watching = Watching::start(&url(asset), &site.folder.path().join(dest), &[]);
        let (code, said) = watching.end();
        assert_eq!((code, said.len()), (1, 1), "{said:?}");
        assert!(said[0].contains(says), "{}", said[0]);
    }
    // A destination that becomes a folder.
    let watching = site.watch(&url("app.js"), &[]);
    watching.line();
    fs::remove_file(site.dest()).unwrap();
    fs::create_dir(site.dest()).unwrap();
    site.publish("app.js", 1);
    let (code, said) = watching.end();
    assert_eq!((code, said.len()), (1, 1), "{said:?}");
    assert!(said[0].contains("cannot write"), "{}", said[0]);
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let site = Site::new();
    let dest = path(&site.folder, "dest");
    for (line, says) in [
        (&["--watch", "ws://127.0.0.1/app.js", &dest][..], "--watch is for http: and https: URLs"),
        (&["--watch", "http://127.0.0.1/app.js", "-"], "--watch needs a DEST that is a file or a folder"),
        (&["--watch", "http://127.0.0.1/app.js", "/dev/null"], "--watch needs a DEST that is a file or a folder"),
        (&["--watch", "--dry-run", "http://127.0.0.1/app/", &dest], "--dry-run changes nothing"),
        (&["--exec", "true", "http://127.0.0.1/app.js", &dest], "--watch"),
        (&["--watch", "--delete", "http://127.0.0.1/app.js", &dest], "--delete is for directories"),
    ] {
        let refused = driblet(&[&["pull"], line].concat());
        let said = text(&refused.stderr);
        assert_eq!(code(&refused), 2, "{said}");
        assert!(said.contains(says), "{said}");
    }
}

#[test]
fn a_command_runs_after_each_version_one_at_a_time() {
    let site = Site::new();
    let serving = site.serve(&[]);
    let (log, go) = (path(&site.folder, "log"), path(&site.folder, "go"));
    assert!(Command::new("mkfifo").arg(&go).status_within().success());
    let url = format!("http://user:secret@{}/app.js", serving.addr);
    let command = format!(
        "echo \"$DRIBLET_VERSION $DRIBLET_URL $DRIBLET_DEST\" >>'{log}'; read line <'{go}'; echo end >>'{log}'; exit 3"
    );
    let watching = site.watch(&url, &["--exec", &command]);
    let logged = || fs::read_to_string(&log).unwrap_or_default();
    let release = || {
        let go = go.clone();
        within_on_thread(move || fs::write(go, "go\n").unwrap());
    };
    eventually_on_thread(|| logged().lines().count() == 1);
    // Both come while the command runs.
    site.publish("app.js", 1);
    site.publish("app.js", 2);
    release();
    assert_eq!(watching.complaint(), "driblet: the command of --exec failed: exit status: 3");
    let newest = driblet::Version::of(&content(2)).to_string();
    let mut count = 1;
    while !logged().contains(&newest) {
        count += 2;
        eventually_on_thread(|| count <= logged().lines().count());
        if !logged().contains(&newest) {
            release();
        }
    }
    let said = logged();
    let lines: Vec<&str> = said.lines().collect();
    for (number, line) in lines.iter().enumerate() {
        assert_eq!(number % 2 == 1, *line == "end", "{said}");
    }
    let first = driblet::Version::of(&content(0));
    assert_eq!(lines[0], format!("{first} http://{}/app.js {}", serving.addr, site.dest().display()));
    send("TERM", watching.id());
    assert_eq!(watching.end().0, 0);
}

#[test]
fn a_signal_ends_the_command_too() {
    for signal in ["TERM", "INT"] {
        let site = Site::new();
        let serving = site.serve(&[]);
        let (begun, ended) = (path(&site.folder, "begun"), path(&site.folder, "ended"));
        // The shell waits for a process of its own.
        let command = format!("trap 'echo >\"{ended}\"; exit 1' TERM; sleep 1000 & echo $! >'{begun}'; wait");
        let watching = site.watch(&format!("{}app.js", serving.url), &["--exec", &command]);
        let process = || fs::read_to_string(&begun).ok()?.trim().parse::<u32>().ok();
        eventually_on_thread(|| process().is_some());
        watching.stop(signal);
        assert!(Path::new(&ended).exists());
        let sleeping = process().unwrap();
        eventually_on_thread(|| !Path::new(&format!("/proc/{sleeping}")).exists() || is_zombie(sleeping));
    }
}

/// Whether a process has ended, and nobody has asked how.
fn is_zombie(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}

#[test]
fn a_command_that_ignores_a_signal_is_ended_by_the_second() {
    let site = Site::new();
    let serving = site.serve(&[]);
    let begun = path(&site.folder, "begun");
    let command = format!("trap '' TERM; echo >'{begun}'; sleep 1000");
    let watching = site.watch(&format!("{}app.js", serving.url), &["--exec", &command]);
    eventually_on_thread(|| Path::new(&begun).exists());
    send("TERM", watching.id());
    watching.stop("INT");
}
