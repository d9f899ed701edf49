//! Directories as snapshots: what a receiver gets is always one published version, whole.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use driblet::Version;
use driblet_core::directory::{DirectoryDelta, FileEntry, Have, Manifest, ManifestLimits, PlannedPart};
use driblet_core::{Basis, Decoder, Limits};

use crate::support::{Answer, TestSite, get, post, random_bytes, text, within};

type Files = BTreeMap<String, Vec<u8>>;

/// A receiver: the manifest and the files that it holds.
#[derive(Default)]
struct Receiver {
    manifest: Option<Manifest>,
    files: Files,
    /// Bytes of all response bodies.
    received: usize,
    requests: usize,
}

impl Receiver {
    fn version(&self) -> String {
        self.manifest.as_ref().map_or_else(|| "none".to_owned(), |manifest| manifest.version().to_string())
    }

    async fn get(&mut self, site: &TestSite, path: &str) -> Answer {
        let answer = site.get(path).await;
        self.received += answer.body.len();
        self.requests += 1;
        answer
    }

    async fn pull(&mut self, site: &TestSite, path: &str) {
        let answer = self.get(site, &format!("{path}.driblet/{}", self.version())).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        self.apply(site, path, self.version(), &answer.body).await;
    }

    /// Applies a directory delta, and fetches its further parts.
    async fn apply(&mut self, site: &TestSite, path: &str, from: String, body: &[u8]) {
        let (delta, head) = DirectoryDelta::parse(body).unwrap().expect("a whole directory delta");
        if delta.manifest_delta.is_empty() {
            assert_eq!((delta.target.to_string(), delta.parts.len()), (from, 0));
            return;
        }
        let old = self.manifest.as_ref().map(Manifest::encode).unwrap_or_default();
        let new = driblet_core::patch(&old, &delta.manifest_delta).unwrap();
        let new = Manifest::parse(&new, ManifestLimits::default()).unwrap();
        let parts = delta.plan(self.manifest.as_ref(), &new).unwrap();
        let mut contents: BTreeMap<Version, Vec<u8>> = BTreeMap::from([(Version::EMPTY, Vec::new())]);
        contents.extend(self.files.values().map(|bytes| (Version::of(bytes), bytes.clone())));
        for (number, part) in parts.iter().enumerate() {
            let bytes = match number {
                0 => body[head..].to_vec(),
                _ => {
                    let name = match part.bases.is_empty() {
                        true => format!("{path}.driblet/part/{}", part.name),
                        false => format!("{path}.driblet/{from}-{}/{number}", delta.target),
                    };
                    let answer = self.get(site, &name).await;
                    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
                    answer.body
                }
            };
            let target = self.decode(part, &bytes);
            let mut at = 0;
            for index in &part.files {
                let entry = new.entry(*index);
                let file = &target[at..at + entry.len as usize];
                assert_eq!(Version::of(file), entry.version);
                contents.insert(entry.version, file.to_vec());
                at += file.len();
            }
            assert_eq!(at, target.len());
        }
        let file =
            |entry: driblet_core::directory::Entry<'_>| (entry.path.to_owned(), contents[&entry.version].clone());
        self.files = new.entries().map(file).collect();
        self.manifest = Some(new);
    }

    fn decode(&self, part: &PlannedPart, delta: &[u8]) -> Vec<u8> {
        let old = self.manifest.as_ref();
        let bases = part.bases.iter().map(|index| old.unwrap().entry(*index));
        let basis: Vec<u8> = bases.flat_map(|entry| self.files[entry.path].clone()).collect();
        assert_eq!(basis.len() as u64, part.basis_len);
        let known = if part.bases.is_empty() { Basis::EMPTY } else { Basis::of(&part.basis, part.basis_len) };
        let mut decoder = Decoder::new(known, Limits::new());
        decoder.handle_input(delta);
        decoder.handle_end();
        let mut out = Vec::new();
        loop {
            match decoder.poll_event().unwrap() {
                driblet_core::Event::NeedBasis(range) => {
                    decoder.handle_basis(&basis[range.start as usize..range.end as usize]);
                }
                driblet_core::Event::Output(bytes) => out.extend_from_slice(bytes),
                driblet_core::Event::Done => return out,
                other => panic!("{other:?}"),
            }
        }
    }
}

/// The files below a folder as a receiver should have them.
fn on_disk(root: &Path) -> Files {
    fn walk(root: &Path, folder: &Path, files: &mut Files) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, files);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    let mut files = Files::new();
    walk(root, root, &mut files);
    files
}

async fn site(files: &[(&str, &[u8])]) -> TestSite {
    TestSite::with(files, |builder| builder.directory("")).await
}

#[tokio::test]
async fn a_tree_is_pulled_and_follows_every_change() {
    let (app, page, lib) = (text(1, 90_000), text(2, 30_000), random_bytes(3, 200_000));
    let site = site(&[
        ("index.html", b"<p>"),
        ("assets/app-a1b2c3d4.js", &app),
        ("assets/page.js", &page),
        ("lib.wasm", &lib),
        ("empty", b""),
    ])
    .await;
    let mut receiver = Receiver::default();
    receiver.pull(&site, "/").await;
    assert_eq!(receiver.files, on_disk(&site.root()));
    assert_eq!(receiver.requests, 1);

    // Nothing changed.
    receiver.received = 0;
    receiver.pull(&site, "/").await;
    assert!(receiver.received < 60, "{} bytes", receiver.received);

    // A bundler gives the changed file a new name; a file moves; one goes; one comes.
    let mut changed = app.clone();
    changed[50_000] ^= 1;
    fs::remove_file(site.root().join("assets/app-a1b2c3d4.js")).unwrap();
    site.write("assets/app-ffee9911.js", &changed);
    fs::create_dir(site.root().join("moved")).unwrap();
    fs::rename(site.root().join("lib.wasm"), site.root().join("moved/lib.wasm")).unwrap();
    fs::remove_file(site.root().join("assets/page.js")).unwrap();
    site.write("new.txt", b"new");
    receiver.received = 0;
    receiver.pull(&site, "/").await;
    assert_eq!(receiver.files, on_disk(&site.root()));
    assert!(receiver.received < 700, "{} bytes", receiver.received);

    // Only a flag changes.
    let run = site.root().join("new.txt");
    fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
    receiver.pull(&site, "/").await;
    let manifest = receiver.manifest.as_ref().unwrap();
    assert!(manifest.entry(manifest.find("new.txt").unwrap()).executable);
}

#[tokio::test]
async fn many_parts_and_a_long_file() {
    let site = site(&[("long.bin", &random_bytes(1, 20 << 20))]).await;
    for number in 0..300u64 {
        site.write(&format!("d{}/f{number}.bin", number % 7), &random_bytes(number, 60_000));
    }
    let mut receiver = Receiver::default();
    receiver.pull(&site, "/").await;
    assert_eq!(receiver.files, on_disk(&site.root()));
    assert!(3 <= receiver.requests, "{} requests", receiver.requests);
    let mut long = random_bytes(1, 20 << 20);
    long[10 << 20] ^= 1;
    site.write("long.bin", &long);
    site.write("d0/f0.bin", b"changed");
    receiver.received = 0;
    receiver.pull(&site, "/").await;
    assert_eq!(receiver.files, on_disk(&site.root()));
    assert!(receiver.received < 100_000, "{} bytes", receiver.received);
}

#[tokio::test]
async fn what_a_receiver_holds_of_an_unknown_version_is_not_sent_again() {
    let (a, b, c) = (random_bytes(1, 50_000), text(2, 80_000), random_bytes(3, 40_000));
    let site = site(&[("a", &a), ("b", &b), ("c", &c)]).await;
    let mut receiver = Receiver::default();
    receiver.pull(&site, "/").await;
    let mut changed = b.clone();
    changed[40_000] ^= 1;
    site.write("b", &changed);
    site.write("d", b"d");
    let answer = site.get(&format!("/.driblet/{}", Version::of(b"lost"))).await;
    assert_eq!((answer.status, answer.json()["code"].as_str().unwrap().to_owned()), (404, "unknown-version".into()));
    let head = answer.json()["head"].as_str().unwrap().to_owned();
    let manifest = site.get(&format!("/.driblet/manifest/{head}")).await.body;
    let manifest = Manifest::parse(&manifest, ManifestLimits::default()).unwrap();
    assert_eq!(manifest.version().to_string(), head);
    // a and c are held, b in an older version; the receiver also says so of d, falsely.
    let have = Have {
        target: manifest.version(),
        held: vec![0, 2],
        others: vec![(1, Version::of(&b)), (3, Version::of(b"never published"))],
    };
    let answer = site.ask(post("/.driblet/have", have.encode(manifest.len()))).await;
    assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.body[0], 0b01);
    let old = receiver.manifest.as_ref().unwrap().version().to_string();
    receiver.received = 0;
    receiver.apply(&site, "/", old, &answer.body[1..]).await;
    assert_eq!(receiver.files, on_disk(&site.root()));
    assert!(answer.body.len() < 1_000, "{} bytes", answer.body.len());
    for (bad, code) in [(&b"x"[..], "bad-have"), (&have.encode(4)[..40], "bad-have")] {
        let answer = site.ask(post("/.driblet/have", bad.to_vec())).await;
        assert_eq!((answer.status, answer.json()["code"].as_str().unwrap().to_owned()), (400, code.into()));
    }
}

#[tokio::test]
async fn versions_and_their_files_survive_a_restart_and_further_versions() {
    let mut site = site(&[("app.js", &text(1, 50_000)), ("page.js", &text(2, 50_000))]).await;
    let mut receiver = Receiver::default();
    receiver.pull(&site, "/").await;
    let first = receiver.version();
    // Each file's own history keeps fewer versions than that.
    for round in 0..12 {
        let mut bytes = text(1, 50_000);
        bytes[1_000 * round] ^= 1;
        site.write("app.js", &bytes);
        let answer = site.get("/.driblet/head").await;
        assert_eq!(answer.json()["counter"], 2 + round as u64);
    }
    site.stop().await;
    site.start(|builder| builder.directory("")).await;
    receiver.received = 0;
    receiver.pull(&site, "/").await;
    assert_eq!(receiver.files, on_disk(&site.root()));
    assert!(receiver.received < 1_000, "{} bytes from {first}", receiver.received);
}

#[tokio::test]
async fn what_is_no_snapshot_or_left_out() {
    let files: [(&str, &[u8]); 5] =
        [("app/a.js", b"a"), ("app/a.map", b"map"), ("app/.env", b"secret"), ("app/private/key", b"key"), ("b", b"b")];
    let site = TestSite::with(&files, |builder| builder.directory("app/").exclude("*.map").exclude("private/")).await;
    let mut receiver = Receiver::default();
    receiver.pull(&site, "/app/").await;
    assert_eq!(receiver.files.keys().collect::<Vec<_>>(), ["a.js"]);
    let answer = site.get("/.driblet/head").await;
    assert_eq!((answer.status, answer.json()["code"].as_str().unwrap().to_owned()), (404, "no-such-file".into()));
    for path in ["/app/.driblet/none-none/0", "/app/.driblet/part", "/app/.driblet/part/x", "/app/.driblet/live/0"] {
        let answer = site.get(path).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
    let unknown = format!("/app/.driblet/part/{}", Version::of(b"x"));
    assert_eq!(site.get(&unknown).await.json()["code"], "unknown-part");
}

#[tokio::test]
async fn a_part_is_resumed_by_its_etag() {
    let site = site(&[("a", &random_bytes(1, 15 << 20)), ("b", &random_bytes(2, 9 << 20))]).await;
    let body = site.get("/.driblet/none").await.body;
    let (delta, _) = DirectoryDelta::parse(&body).unwrap().unwrap();
    let new = driblet_core::patch(&[], &delta.manifest_delta).unwrap();
    let new = Manifest::parse(&new, ManifestLimits::default()).unwrap();
    let parts = delta.plan(None, &new).unwrap();
    let path = format!("/.driblet/part/{}", parts[1].name);
    let whole = site.get(&path).await;
    let etag = whole.header("etag").unwrap().to_owned();
    let rest = site.ask(get(&path).header("range", "bytes=1000-").header("if-range", &etag)).await;
    assert_eq!(rest.status, 206);
    assert_eq!(rest.body, whole.body[1000..]);
}

#[tokio::test]
async fn a_watched_directory_is_published_without_a_request() {
    let mut site = TestSite::stopped(&[("a", b"1"), ("sub/b", b"2")]);
    site.start(|builder| builder.directory("").watch(true)).await;
    let counter = async |site: &TestSite, since: u64| {
        let head = within(site.get(&format!("/.driblet/head?since={since}&wait=60"))).await.json();
        head["counter"].as_u64().unwrap()
    };
    let first = counter(&site, 0).await;
    site.write("sub/b", b"changed");
    let second = counter(&site, first).await;
    assert_eq!(second, first + 1);
    // The root is removed and built again.
    fs::rename(site.root(), site.outside().join("old")).unwrap();
    site.write("a", b"new");
    let third = counter(&site, second).await;
    assert!(second < third);
    let mut receiver = Receiver::default();
    receiver.pull(&site, "/").await;
    assert_eq!(receiver.files, on_disk(&site.root()));
    // The new folder is watched too.
    site.write("deep/er/c", b"c");
    assert!(third < counter(&site, third).await);
    site.restart().await;
}

#[tokio::test]
async fn service_workers_are_told_to_unregister() {
    for unregister in [false, true] {
        let site = TestSite::with(&[("a", b"1")], |builder| builder.directory("").unregister(unregister)).await;
        let head = site.get("/.driblet/head").await.json();
        assert_eq!(head.get("unregister").is_some_and(|told| told == true), unregister);
    }
}

#[tokio::test]
async fn a_file_that_was_published_alone_is_in_the_next_version() {
    for watched in [false, true] {
        let mut site = TestSite::stopped(&[("a", b"1"), ("b", b"2")]);
        site.start(|builder| builder.directory("").watch(watched)).await;
        let mut receiver = Receiver::default();
        receiver.pull(&site, "/").await;
        site.write("a", b"changed");
        let file = site.get("/a.driblet/head").await.json();
        assert_eq!(file["version"], Version::of(b"changed").to_string());
        until_published(&site).await;
        receiver.pull(&site, "/").await;
        assert_eq!(receiver.files, on_disk(&site.root()), "watched: {watched}");
    }
}

/// Waits until the directory's head is what the disk has.
async fn until_published(site: &TestSite) {
    let entry = |(path, bytes): (String, Vec<u8>)| {
        let mode = fs::metadata(site.root().join(&path)).unwrap().permissions().mode();
        FileEntry { path, executable: mode & 0o100 != 0, len: bytes.len() as u64, version: Version::of(&bytes) }
    };
    let expected = Manifest::new(on_disk(&site.root()).into_iter().map(entry).collect()).unwrap().version().to_string();
    let mut since = 0;
    within(async {
        loop {
            let head = site.get(&format!("/.driblet/head?since={since}&wait=60")).await.json();
            if head["version"] == expected {
                break;
            }
            since = head["counter"].as_u64().unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_watched_tree_follows_whatever_changes() {
    let mut site = TestSite::stopped(&[("a/b/c", b"1"), ("a/d", b"2"), ("e", b"3"), ("f/g", b"4")]);
    site.start(|builder| builder.directory("").watch(true)).await;
    until_published(&site).await;
    let root = site.root();
    let at = |path: &str| root.join(path);
    for round in 0..6 {
        // A file in place, one by a rename, one in new folders, and one that goes.
        let bytes = format!("round {round}");
        let (from, to) = if round % 2 == 0 { ("a", "moved") } else { ("moved", "a") };
        fs::write(at(from).join("d"), &bytes).unwrap();
        fs::write(at(".new"), &bytes).unwrap();
        fs::rename(at(".new"), at("e")).unwrap();
        site.write(&format!("new/folder{round}/file"), bytes.as_bytes());
        if round % 2 == 0 {
            fs::remove_file(at("f/g")).unwrap()
        } else {
            site.write("f/g", bytes.as_bytes())
        }
        until_published(&site).await;
        // A folder is moved, and a file in it is changed after that.
        fs::rename(at(from), at(to)).unwrap();
        until_published(&site).await;
        fs::write(at(to).join("b/c"), &bytes).unwrap();
        until_published(&site).await;
        fs::set_permissions(at("e"), fs::Permissions::from_mode(0o755)).unwrap();
        until_published(&site).await;
        fs::remove_dir_all(at(&format!("new/folder{round}"))).unwrap();
        until_published(&site).await;
        // A link, whose target then changes, needs a look at everything.
        symlink("f", at("link")).unwrap();
        until_published(&site).await;
        site.write("f/h", bytes.as_bytes());
        until_published(&site).await;
        fs::remove_file(at("link")).unwrap();
        until_published(&site).await;
    }
}

#[tokio::test]
async fn a_directory_delta_is_resumed_by_its_etag() {
    let site = site(&[("a", &random_bytes(1, 300_000)), ("b", b"b")]).await;
    let head = site.get("/.driblet/head").await.json()["version"].as_str().unwrap().to_owned();
    let path = format!("/.driblet/none-{head}");
    let whole = site.get(&path).await;
    let etag = whole.header("etag").unwrap().to_owned();
    let rest = site.ask(get(&path).header("range", "bytes=100-").header("if-range", &etag)).await;
    assert_eq!((rest.status, rest.body == whole.body[100..]), (206, true));
    let again = site.ask(get(&path).header("range", "bytes=100-").header("if-range", "\"other\"")).await;
    assert_eq!((again.status, again.body == whole.body), (200, true));
}

#[tokio::test]
async fn a_folder_that_goes_becomes_a_file_and_comes_back() {
    let site = TestSite::with(&[("app/a", b"1"), ("b", b"2")], |builder| builder.directory("app")).await;
    let mut receiver = Receiver::default();
    receiver.pull(&site, "/app/").await;
    fs::remove_dir_all(site.root().join("app")).unwrap();
    assert!(site.get("/app/.driblet/none").await.refuses(404, "no-such-file"));
    site.write("app", b"a file now");
    assert!(site.get("/app/.driblet/none").await.refuses(404, "no-such-file"));
    fs::remove_file(site.root().join("app")).unwrap();
    site.write("app/c", b"3");
    receiver.pull(&site, "/app/").await;
    assert_eq!(receiver.files, on_disk(&site.root().join("app")));
}

#[tokio::test]
async fn parts_and_manifests_cost_no_look_at_the_disk() {
    let site = site(&[("a", &random_bytes(1, 15 << 20)), ("b", &random_bytes(2, 9 << 20))]).await;
    let mut receiver = Receiver::default();
    receiver.pull(&site, "/").await;
    let version = receiver.version();
    // What was published is served although the folder is away.
    fs::rename(site.root(), site.outside().join("away")).unwrap();
    assert!(site.get("/.driblet/none").await.refuses(503, "busy"));
    assert_eq!(site.get(&format!("/.driblet/manifest/{version}")).await.status, 200);
    let mut again = Receiver::default();
    let body = site.get(&format!("/.driblet/none-{version}")).await.body;
    again.apply(&site, "/", "none".into(), &body).await;
    assert_eq!(again.files, receiver.files);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_left_out() {
    let site = site(&[("a", b"1"), ("b", b"2")]).await;
    // An absolute link is not followed, although it leads into the root.
    symlink(site.root().join("a"), site.root().join("link")).unwrap();
    let mut receiver = Receiver::default();
    within(receiver.pull(&site, "/")).await;
    assert_eq!(receiver.files.keys().collect::<Vec<_>>(), ["a", "b"]);
    // It is tried again when it is another one.
    fs::remove_file(site.root().join("link")).unwrap();
    symlink("a", site.root().join("link")).unwrap();
    receiver.pull(&site, "/").await;
    assert_eq!(receiver.files.keys().collect::<Vec<_>>(), ["a", "b", "link"]);
}

#[tokio::test]
async fn what_is_guarded_is_in_no_manifest_part_or_delta() {
    // Random bytes are not compressed, so they can be seen in every answer that has them.
    let (shown, secrets) = (random_bytes(1, 20_000), [2, 3, 4].map(|number| random_bytes(number, 5_000)));
    let paths = ["app/private/key", "app/sub/key.pem", "app/.env"];
    let files: [(&str, &[u8]); 6] = [
        ("app/a.js", &shown),
        ("app/sub/b.js", &text(5, 20_000)),
        ("app/.dribletignore", b"*.pem\n"),
        (paths[0], &secrets[0]),
        (paths[1], &secrets[1]),
        (paths[2], &secrets[2]),
    ];
    let site = TestSite::with(&files, |builder| builder.directory("app").exclude("private/")).await;
    let mut answers = Vec::new();
    let head = async || site.get("/app/.driblet/head").await.json()["version"].as_str().unwrap().to_owned();
    // The server publishes these two as files, so it holds their bytes.
    for (path, secret) in paths.iter().zip(&secrets).take(2) {
        assert_eq!(site.get(&format!("/{path}")).await.body, *secret);
    }
    let old = head().await;
    answers.push(site.get("/app/.driblet/none").await.body);
    assert!(has_bytes_of(&answers[0], &shown));

    // All secrets change, and a file that is shown gets the name of one.
    let changed = secrets.clone().map(|secret| [&secret[..2_000], b"changed", &secret[2_000..]].concat());
    paths.iter().zip(&changed).for_each(|(path, secret)| site.write(path, secret));
    site.write("app/key", &random_bytes(6, 5_000));
    site.write("app/sub/b.js", &text(6, 20_000));
    let new = head().await;
    let manifest = site.get(&format!("/app/.driblet/manifest/{new}")).await.body;
    let names = Manifest::parse(&manifest, ManifestLimits::default()).unwrap();
    assert_eq!(names.entries().map(|entry| entry.path).collect::<Vec<_>>(), ["a.js", "key", "sub/b.js"]);
    for resource in ["none", "{old}", "none-{new}", "{old}-{new}", "{old}-{new}/0", "none-{new}/0", "manifest/{old}"] {
        let resource = resource.replace("{old}", &old).replace("{new}", &new);
        let answer = site.get(&format!("/app/.driblet/{resource}")).await;
        assert_eq!(answer.status, 200, "{resource}");
        answers.push(answer.body);
    }
    answers.push(manifest);

    // A receiver that says it holds a secret gets no delta from it.
    for secret in secrets.iter().chain(&changed) {
        let others = (0..names.len()).map(|index| (index, Version::of(secret))).collect();
        let have = Have { target: names.version(), held: vec![], others };
        let answer = site.ask(post("/app/.driblet/have", have.encode(names.len()))).await;
        assert_eq!((answer.status, answer.body[0]), (200, 0), "a secret was taken for a version of a shown path");
        answers.push(answer.body);
        let part = Version::of(Version::of(secret).as_bytes());
        assert!(site.get(&format!("/app/.driblet/part/{part}")).await.refuses(404, "unknown-part"));
    }
    for (number, answer) in answers.iter().enumerate() {
        assert!(secrets.iter().all(|secret| !has_bytes_of(answer, secret)), "answer {number} has bytes of a secret");
    }
}

/// Whether any sixteen bytes of `secret` are in `answer`.
fn has_bytes_of(answer: &[u8], secret: &[u8]) -> bool {
    let pieces: HashSet<&[u8]> = secret.windows(16).collect();
    answer.windows(16).any(|piece| pieces.contains(piece))
}
