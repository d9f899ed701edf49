//! Servers and pulls of directories that are killed at random moments.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use support::{LIMIT, Random, Serving, code, command, driblet, finished, path, random_bytes, text};
use tempfile::TempDir;

/// How many processes are killed, in each of both tests of pulls, and in the test of servers.
const PULLS: usize = 75;
const SERVERS: usize = 50;

/// A folder's files: bytes, and whether they may be executed.
type Files = BTreeMap<String, (Vec<u8>, bool)>;

/// A version of the directory. From one to the next, files change, move, come and go, and a file becomes a folder.
fn version(number: usize) -> Files {
    let mut files = Files::new();
    for index in 0..40 {
        let age = number / (1 + index % 4);
        let mut bytes = random_bytes(index as u64, 5_000);
        bytes.splice(2_000..2_000, format!("change {age}").into_bytes());
        let path = match index % 10 {
            6 if number.is_multiple_of(2) => format!("turns{index}"),
            6 => format!("turns{index}/deep/file"),
            7 => format!("moves/{number}/{index}"),
            8 if (number + index / 10).is_multiple_of(2) => continue,
            9 => format!("copies/{}", index + number % 2),
            _ => format!("folder{}/{index}", index % 3),
        };
        files.insert(path, (bytes, (index + age).is_multiple_of(3)));
    }
    files
}

/// The versions, each in a folder, and a link to one of them, which is published.
struct Setting {
    folder: TempDir,
    versions: Vec<Files>,
    published: usize,
    random: Random,
}

impl Setting {
    /// After the last version comes the first one again.
    fn new(seed: u64, versions: usize) -> Setting {
        let folder = TempDir::new().unwrap();
        let versions: Vec<Files> = (0..versions).map(version).collect();
        for (number, files) in versions.iter().enumerate() {
            for (path, (bytes, executable)) in files {
                let path = folder.path().join(format!("version{number}")).join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, bytes).unwrap();
                fs::set_permissions(path, fs::Permissions::from_mode(if *executable { 0o755 } else { 0o644 })).unwrap();
            }
        }
        let setting = Setting { folder, versions, published: 0, random: Random::new(seed) };
        setting.link();
        setting
    }

    fn link(&self) {
        let new = self.folder.path().join("new");
        symlink(format!("version{}", self.published), &new).unwrap();
        fs::rename(new, self.root()).unwrap();
    }

    /// Has the root lead to the next version. The server sees it at the next request.
    fn publish_next(&mut self) {
        self.published = (self.published + 1) % self.versions.len();
        self.link();
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn serve(&self) -> Serving {
        Serving::start(&self.root(), &self.folder.path().join("history"), &["--no-watch"])
    }

    fn dest(&self) -> PathBuf {
        self.folder.path().join("app")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join(".app.driblet")
    }

    fn head(&self) -> &Files {
        &self.versions[self.published]
    }

    /// Pulls everything, and checks it. Gives what it cost.
    fn pull_whole(&self, url: &str, more: &[&str]) -> serde_json::Value {
        let app = path(&self.folder, "app");
        let pulled = driblet(&[&["pull", url, &app, "--stats", "json"], more].concat());
        assert_eq!(code(&pulled), 0, "{}", text(&pulled.stderr));
        assert!(held(&self.dest()) == *self.head(), "the folder is not the head");
        serde_json::from_slice(&pulled.stdout).unwrap()
    }

    fn start_pull(&self, url: &str, more: &[&str]) -> Child {
        let app = path(&self.folder, "app");
        let mut pull = command(&[&["pull", url, &app], more].concat());
        pull.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    fn remove(&self) {
        let _ = fs::remove_file(self.dest());
        let _ = fs::remove_dir_all(self.dest());
        fs::remove_dir_all(self.state()).unwrap();
    }
}

/// When a pull is killed.
#[derive(Debug)]
enum Moment {
    /// After this time.
    After(Duration),
    /// Once so many files are staged.
    Staged(usize),
    /// While the folder is changed: after its first file, some looks later.
    Switching(usize),
}

impl Moment {
    /// `longest` is how long a pull takes.
    fn random(random: &mut Random, longest: Duration) -> Moment {
        match random.below(3) {
            0 => Moment::After(longest.mul_f64(random.below(1_000) as f64 / 1_000.0)),
            1 => Moment::Staged(1 + random.below(20)),
            _ => Moment::Switching(random.below(60)),
        }
    }

    fn has_come(&self, since: Instant, state: &Path, looks: &mut usize) -> bool {
        match self {
            Moment::After(time) => *time <= since.elapsed(),
            Moment::Staged(count) => *count <= fs::read_dir(state.join("staging")).map_or(0, Iterator::count),
            Moment::Switching(later) => {
                let is_tree = |name: &str| name.ends_with(".incomplete");
                let mut names = fs::read_dir(state).into_iter().flatten().flatten().map(|entry| entry.file_name());
                let has_begun = names.any(|name| name == "journal" || name.to_str().is_some_and(is_tree));
                *looks += usize::from(has_begun);
                *later < *looks
            }
        }
    }
}

/// Kills a pull at that moment, unless it ends before. Gives whether it was killed.
fn kill_at(mut pull: Child, moment: &Moment, state: &Path) -> bool {
    let (start, mut looks) = (Instant::now(), 0);
    while pull.try_wait().unwrap().is_none() && !moment.has_come(start, state, &mut looks) {
        assert!(start.elapsed() < LIMIT, "{moment:?}");
        yield_now();
    }
    pull.kill().unwrap();
    let status = finished(pull).status;
    assert!(status.success() || status.signal() == Some(9), "{status}");
    status.signal().is_some()
}

fn held(folder: &Path) -> Files {
    fn collect(folder: &Path, path: &str, files: &mut Files) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{path}{}", entry.file_name().to_str().unwrap());
            match entry.file_type().unwrap().is_dir() {
                true => collect(&entry.path(), &format!("{path}/"), files),
                false => {
                    let executable = entry.metadata().unwrap().permissions().mode() & 0o100 != 0;
                    files.insert(path, (fs::read(entry.path()).unwrap(), executable));
                }
            }
        }
    }
    let mut files = Files::new();
    if folder.exists() {
        collect(folder, "", &mut files);
    }
    files
}

/// Kills pulls. `check` gets what the folder holds after each kill, and the versions that it may hold.
fn kill_pulls(setting: &mut Setting, more: &[&str], check: impl Fn(&Files, &[Files])) {
    let serving = setting.serve();
    let mut longest = Duration::ZERO;
    for _ in 0..3 {
        let start = Instant::now();
        setting.pull_whole(&serving.url, more);
        longest = longest.max(start.elapsed());
        setting.publish_next();
    }
    let (mut killed, mut possible) = (0, vec![held(&setting.dest())]);
    while killed < PULLS {
        possible.push(setting.head().clone());
        let moment = Moment::random(&mut setting.random, longest);
        killed += usize::from(kill_at(setting.start_pull(&serving.url, more), &moment, &setting.state()));
        check(&held(&setting.dest()), &possible);
        match setting.random.below(4) {
            // The next pull is of another version, and is killed too.
            0 => setting.publish_next(),
            // The next pull is of the same version, and is killed too.
            1 => {}
            place => {
                setting.pull_whole(&serving.url, more);
                possible = vec![setting.head().clone()];
                if place == 2 && setting.random.below(5) == 0 {
                    setting.remove();
                    possible = vec![Files::new()];
                }
                setting.publish_next();
            }
        }
    }
    setting.pull_whole(&serving.url, more);
    let left = fs::read_dir(setting.state()).unwrap().count();
    // The lock and two empty folders; the record, or the tree and its record.
    assert_eq!(left, if more.is_empty() { 4 } else { 5 });
}

#[test]
fn every_file_is_old_or_new_after_a_pull_is_killed() {
    kill_pulls(&mut Setting::new(1, 8), &[], |held, possible| {
        for path in possible.iter().chain([held]).flat_map(BTreeMap::keys) {
            // The flag of a file that moves is set after the file has its place.
            let bytes = |files: &Files| files.get(path).map(|(bytes, _)| bytes.clone());
            assert!(possible.iter().any(|files| bytes(files) == bytes(held)), "{path} is of no version");
        }
    });
}

#[test]
fn no_tree_is_mixed_after_an_atomic_pull_is_killed() {
    kill_pulls(&mut Setting::new(2, 8), &["--atomic"], |held, possible| {
        let is_whole = possible.contains(held);
        assert!(is_whole, "a mixed tree: {:?}", held.keys());
    });
}

#[test]
fn a_killed_server_still_has_its_last_version() {
    // Each version is new to the server.
    let mut setting = Setting::new(3, SERVERS + 4);
    let mut serving = setting.serve();
    setting.pull_whole(&serving.url, &[]);
    // How long a request waits until a version is published.
    let mut shortest = LIMIT;
    for _ in 0..3 {
        setting.publish_next();
        let start = Instant::now();
        assert_ne!(serving.ask("/.driblet/head").read(&mut [0]).unwrap(), 0);
        shortest = shortest.min(start.elapsed());
        setting.pull_whole(&serving.url, &[]);
    }
    for round in 0..SERVERS {
        setting.publish_next();
        // Nobody waits for the answer.
        let request = serving.ask("/.driblet/head");
        let end = Instant::now() + shortest.mul_f64(setting.random.below(1_500) as f64 / 1_000.0);
        while Instant::now() < end {
            yield_now();
        }
        drop(request);
        // A server that is dropped is killed.
        drop(serving);
        serving = setting.serve();
        let pulled = setting.pull_whole(&serving.url, &[]);
        // The delta is from the version that was pulled before the kill.
        assert_eq!(pulled["requests"], 1, "{round}: {pulled}");
        assert!(pulled["received"].as_u64().unwrap() < 40_000, "{round}: {pulled}");
        if round % 5 == 0 {
            // Every file is whole.
            setting.remove();
            setting.pull_whole(&serving.url, &[]);
        }
    }
}
