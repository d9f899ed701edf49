//! Pulls of directories over networks that cut, stall and lead to different servers.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use support::{Random, Serving, Tap, code, driblet, files, path, random_bytes, text};
use tempfile::TempDir;

/// Sends a request to a server. Gives the connection, on which the server sends the answer and the end.
fn forward(server: &str, head: &str) -> io::Result<TcpStream> {
    let mut answer = TcpStream::connect(server)?;
    answer.write_all(format!("{head}\r\nconnection: close\r\n\r\n").as_bytes())?;
    Ok(answer)
}

/// Has a server look at its folder, and publish it.
fn look(server: &str) -> io::Result<u64> {
    io::copy(&mut forward(server, "GET /.driblet/head HTTP/1.1\r\nhost: localhost")?, &mut io::sink())
}

#[test]
fn a_cold_pull_that_is_cut_two_hundred_times() {
    let folder = files(&[]);
    let mut whole = 0;
    for number in 0..600 {
        let bytes = random_bytes(number, if number == 0 { 20 << 20 } else { 80_000 });
        whole += bytes.len();
        let place = folder.path().join(format!("root/{}/{number}", number % 9));
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, bytes).unwrap();
    }
    assert!(64 << 20 < whole);
    let serving = Serving::start(&folder.path().join("root"), &folder.path().join("history"), &[]);
    let (server, random) = (serving.addr.to_string(), Mutex::new(Random::new(1)));
    let (sent, cuts) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (all_sent, all_cuts) = (sent.clone(), cuts.clone());
    let tap = Tap::speaking(None, move |_, head, client| {
        let mut answer = forward(&server, head)?;
        // Some 300 KB each time.
        let limit = 100_000 + random.lock().unwrap().below(400_000);
        let passed = io::copy(&mut (&mut answer).take(limit as u64), client)? as usize;
        all_sent.fetch_add(passed, Ordering::Relaxed);
        all_cuts.fetch_add(usize::from(passed == limit), Ordering::Relaxed);
        Ok(true)
    });
    let (url, app) = (format!("http://{}/", tap.address), path(&folder, "app"));
    // The part that follows the directory delta cannot be continued: the next pull fetches it by itself.
    let cut_off = driblet(&["pull", &url, &app]);
    assert!(text(&cut_off.stderr).contains("was cut off"), "{}", text(&cut_off.stderr));
    assert!(!Path::new(&app).exists() || fs::read_dir(&app).unwrap().count() == 0);
    let pulled = driblet(&["pull", &url, &app]);
    assert_eq!(code(&pulled), 0, "{}", text(&pulled.stderr));
    let (sent, cuts) = (sent.load(Ordering::Relaxed), cuts.load(Ordering::Relaxed));
    assert!(200 <= cuts, "{cuts} cuts");
    // At most what came on four connections before the first pull ended is sent once more.
    assert!(sent <= whole + whole / 20, "{sent} bytes sent for {whole}, {cuts} cuts");
}

/// Versions of a directory, each in a folder, and a link `root` to one of them.
struct Versions {
    folder: TempDir,
    count: usize,
}

impl Versions {
    /// Each version has long files, so that there are several parts, and short ones.
    fn new(count: usize) -> Versions {
        let folder = files(&[]);
        for version in 0..count {
            for number in 0..4 {
                // Half of the long files change each time.
                let age = (version + number % 2) / 2;
                let line = format!("line of {number} with {age}\n");
                let mut bytes = line.repeat((9 << 20) / line.len()).into_bytes();
                bytes.extend(random_bytes((10 * age + number) as u64, 20_000));
                write(&folder, version, &format!("long/{number}"), &bytes);
            }
            for number in 0..30 {
                let mut bytes = random_bytes(100 + number as u64, 20_000);
                bytes[version] ^= 1;
                write(&folder, version, &format!("short/{number}"), &bytes);
            }
            write(&folder, version, &format!("only/{version}"), b"only here");
        }
        let versions = Versions { folder, count };
        versions.publish(0);
        versions
    }

    /// Has `root` lead to a version.
    fn publish(&self, version: usize) {
        link(self.folder.path(), version);
    }

    fn serve(&self, history: &str, more: &[&str]) -> Serving {
        Serving::start(&self.folder.path().join("root"), &self.folder.path().join(history), more)
    }

    /// Pulls into a folder. Gives what it cost.
    fn pull(&self, url: &str, dest: &str) -> serde_json::Value {
        let pulled = driblet(&["pull", url, &path(&self.folder, dest), "--stats", "json"]);
        assert_eq!(code(&pulled), 0, "{}", text(&pulled.stderr));
        serde_json::from_slice(&pulled.stdout).unwrap()
    }

    /// The version that a folder holds whole.
    fn held(&self, dest: &str) -> usize {
        let held = tree(&self.folder.path().join(dest));
        let is_held = |version: &usize| tree(&self.folder.path().join(format!("version{version}"))) == held;
        (0..self.count).find(is_held).unwrap_or_else(|| panic!("a mixed tree: {:?}", held.keys()))
    }
}

fn write(folder: &TempDir, version: usize, name: &str, bytes: &[u8]) {
    let place = folder.path().join(format!("version{version}")).join(name);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, bytes).unwrap();
}

fn link(folder: &Path, version: usize) {
    symlink(format!("version{version}"), folder.join("new")).unwrap();
    fs::rename(folder.join("new"), folder.join("root")).unwrap();
}

/// All files below a folder.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => {
                    let path = entry.path().strip_prefix(folder).unwrap().to_path_buf();
                    files.insert(path, fs::read(entry.path()).unwrap());
                }
            }
        }
    }
    files
}

#[test]
fn two_servers_behind_one_name_with_different_histories() {
    let versions = Versions::new(5);
    let one = versions.serve("one", &["--no-watch"]);
    versions.pull(&one.url, "app");
    for version in 1..versions.count {
        versions.publish(version);
        // This server knows no version before.
        let other = versions.serve(&format!("other{version}"), &["--no-watch"]);
        for server in [&one, &other] {
            look(&server.addr.to_string()).unwrap();
        }
        // Each request goes to another server than the one before.
        let [first, second] = if version % 2 == 0 { [&one, &other] } else { [&other, &one] };
        let tap = Tap::between(&[&first.url, &second.url]);
        let url = format!("http://{}/", tap.address);
        versions.pull(&url, "app");
        assert_eq!(versions.held("app"), version);
        versions.pull(&url, &format!("new{version}"));
        assert_eq!(versions.held(&format!("new{version}")), version);
    }
}

#[test]
fn a_root_that_is_rolled_back() {
    let versions = Versions::new(2);
    let serving = versions.serve("history", &["--no-watch"]);
    versions.pull(&serving.url, "stays");
    versions.pull(&serving.url, "app");
    versions.publish(1);
    versions.pull(&serving.url, "app");
    assert_eq!(versions.held("app"), 1);
    versions.publish(0);
    let back = versions.pull(&serving.url, "app");
    assert_eq!(versions.held("app"), 0);
    assert!(back["received"].as_u64().unwrap() < 100_000, "{back}");
    let same = versions.pull(&serving.url, "stays");
    assert_eq!((&same["same"], versions.held("stays")), (&true.into(), 0));
}

#[test]
fn a_version_is_published_with_every_request_of_a_slow_pull() {
    let versions = Versions::new(9);
    let serving = versions.serve("history", &["--no-watch", "--history-versions", "1"]);
    let (server, folder, count) = (serving.addr.to_string(), versions.folder.path().to_path_buf(), versions.count);
    let next = Mutex::new(1);
    let tap = Tap::speaking(None, move |_, head, client| {
        let mut answer = forward(&server, head)?;
        // The client has the start of the answer when the next version is published.
        io::copy(&mut (&mut answer).take(2_000), client)?;
        {
            let mut next = next.lock().unwrap();
            if *next < count {
                link(&folder, *next);
                *next += 1;
            }
            look(&server)?;
        }
        io::copy(&mut answer, client)?;
        Ok(true)
    });
    let url = format!("http://{}/", tap.address);
    let mut held = Vec::new();
    for _ in 0..4 {
        versions.pull(&url, "app");
        held.push(versions.held("app"));
    }
    assert!(held.is_sorted() && held[0] < held[1], "{held:?}");
}
