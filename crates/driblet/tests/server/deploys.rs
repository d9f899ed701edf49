//! A root, folder or file that a deploy replaces, writes slowly or removes, and a history that cannot store it: the
//! next response has the complete present file, or says when to ask again.

use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use driblet::{ServeOptions, Server, Version};
use driblet_core::directory::{Manifest, ManifestLimits};
use tempfile::TempDir;

use crate::support::{Answer, apply, eventually, get, joined, let_pass, random_bytes, serving, text, within};

/// A server of a path that is a link, a file or a mount point.
struct Deployed {
    folder: TempDir,
    addr: SocketAddr,
    server: Server,
}

impl Deployed {
    /// Serves `root`, a path in a fresh folder that `make` fills.
    async fn new(root: &str, make: impl FnOnce(&Path)) -> Deployed {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        Deployed::serve(folder, root, "history").await
    }

    async fn serve(folder: TempDir, root: &str, history: &str) -> Deployed {
        let builder = Server::builder(folder.path().join(root)).history(folder.path().join(history)).ahead(0);
        let server = builder.build().await.unwrap();
        let addr = serving(server.router(), ServeOptions::default()).await;
        within(server.indexed()).await;
        Deployed { folder, addr, server }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    async fn get(&self, path: &str) -> Answer {
        get(path).send(self.addr).await
    }

    async fn is_away(&self, path: &str) {
        for resource in ["", ".driblet/none", ".driblet/head"] {
            let answer = self.get(&format!("{path}{resource}")).await;
            assert_eq!(answer.status, 503, "{resource}: {answer:?}");
            assert!(answer.header("retry-after").is_some());
        }
    }

    /// Checks that the path serves these bytes, plainly and as a delta from each of the former ones.
    async fn serves(&self, path: &str, bytes: &[u8], before: &[&[u8]]) {
        assert!(self.get(path).await.body == bytes);
        let head = self.get(&format!("{path}.driblet/head")).await.json();
        assert_eq!(head["version"], Version::of(bytes).to_string());
        for held in before {
            let answer = self.get(&format!("{path}.driblet/{}", Version::of(held))).await;
            assert_eq!(answer.status, 200, "the history stays");
            assert!(apply(Some(held), &answer.body).unwrap() == bytes);
        }
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Changes the target of a link in one step, as deploys do.
fn repoint(link: &Path, target: impl AsRef<Path>) {
    let beside = link.with_file_name("beside");
    symlink(target, &beside).unwrap();
    fs::rename(beside, link).unwrap();
}

#[tokio::test]
async fn a_root_that_is_removed_and_made_anew() {
    let (a, b, c) = (text(1, 50_000), text(2, 60_000), text(3, 40_000));
    let site = Deployed::new("dist", |folder| write(&folder.join("dist/app.js"), &a)).await;
    site.serves("/app.js", &a, &[]).await;
    for (now, before) in [(&b, vec![&a[..]]), (&c, vec![&a, &b])] {
        fs::remove_dir_all(site.at("dist")).unwrap();
        site.is_away("/app.js").await;
        site.is_away("/other.js").await;
        fs::create_dir(site.at("dist")).unwrap();
        assert_eq!(site.get("/app.js").await.status, 404, "it is there, and empty");
        write(&site.at("dist/app.js"), now);
        site.serves("/app.js", now, &before).await;
    }
}

#[tokio::test]
async fn a_root_that_another_folder_takes_the_place_of() {
    let (a, b) = (text(1, 50_000), text(2, 60_000));
    let site = Deployed::new("dist", |folder| {
        write(&folder.join("dist/js/app.js"), &a);
        write(&folder.join("dist.new/js/app.js"), &b);
    })
    .await;
    site.serves("/js/app.js", &a, &[]).await;
    fs::rename(site.at("dist"), site.at("dist.old")).unwrap();
    site.is_away("/js/app.js").await;
    fs::rename(site.at("dist.new"), site.at("dist")).unwrap();
    site.serves("/js/app.js", &b, &[&a]).await;
    // A folder below the root, and back.
    fs::rename(site.at("dist/js"), site.at("js.new")).unwrap();
    assert_eq!(site.get("/js/app.js").await.status, 404);
    fs::rename(site.at("dist.old/js"), site.at("dist/js")).unwrap();
    site.serves("/js/app.js", &a, &[&b]).await;
    // A file replaces the root folder.
    fs::rename(site.at("dist"), site.at("dist.old2")).unwrap();
    fs::write(site.at("dist"), "a file").unwrap();
    site.is_away("/js/app.js").await;
}

#[tokio::test]
async fn a_root_that_is_a_link_and_is_pointed_elsewhere() {
    let (a, b) = (text(1, 50_000), text(2, 60_000));
    let site = Deployed::new("current", |folder| {
        write(&folder.join("releases/1/app.js"), &a);
        write(&folder.join("releases/2/app.js"), &b);
        symlink("releases/1", folder.join("current")).unwrap();
    })
    .await;
    site.serves("/app.js", &a, &[]).await;
    repoint(&site.at("current"), "releases/2");
    site.serves("/app.js", &b, &[&a]).await;
    repoint(&site.at("current"), site.at("releases/1"));
    site.serves("/app.js", &a, &[&b]).await;
    repoint(&site.at("current"), "releases/none");
    site.is_away("/app.js").await;
    repoint(&site.at("current"), "releases/2");
    site.serves("/app.js", &b, &[&a]).await;
}

/// Files that one release has and the other does not are no unreadable files, although the link is led elsewhere
/// between the look at them and their opening.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_whole_after_rollbacks_during_requests() {
    let folder = tempfile::tempdir().unwrap();
    // From one release to the next, all names are other ones. From one to that after the next, only the bytes are.
    let names = |release: usize| (0..40).map(move |file| format!("{file}-{}.js", release % 2));
    for release in 1..=4 {
        for (file, name) in names(release).enumerate() {
            let bytes = random_bytes((file * 4 + release) as u64, 1_000);
            write(&folder.path().join(format!("releases/{release}/{name}")), &bytes);
        }
    }
    symlink("releases/1", folder.path().join("current")).unwrap();
    let root = folder.path().join("current");
    let builder = Server::builder(&root).history(folder.path().join("history")).ahead(0);
    let server = builder.directory("").watch(false).build().await.unwrap();
    let addr = serving(server.router(), ServeOptions::default()).await;
    within(server.indexed()).await;
    let mut longest = Duration::ZERO;
    for round in 0..100_usize {
        // The link is led elsewhere while the request before has the directory published.
        let release = 1 + round % 4;
        repoint(&root, format!("releases/{release}"));
        let start = Instant::now();
        let asked = tokio::spawn(get("/.driblet/head").send(addr));
        if round < 4 {
            within(asked).await.unwrap();
            longest = longest.max(start.elapsed());
            continue;
        }
        while start.elapsed() < longest.mul_f64((round * 37 % 100) as f64 / 100.0) {
            tokio::task::yield_now().await;
        }
        let release = 1 + (round + 1) % 4;
        repoint(&root, format!("releases/{release}"));
        asked.await.unwrap();
        let version = get("/.driblet/head").send(addr).await.json()["version"].as_str().unwrap().to_owned();
        let manifest = get(&format!("/.driblet/manifest/{version}")).send(addr).await.body;
        let manifest = Manifest::parse(&manifest, ManifestLimits::default()).unwrap();
        let mut expected: Vec<String> = names(release).collect();
        expected.sort_unstable();
        let published: Vec<&str> = manifest.entries().map(|entry| entry.path).collect();
        assert_eq!(published, expected, "round {round}");
    }
}

#[tokio::test]
async fn links_below_the_root_as_mounted_configuration_has_them() {
    let (a, b) = (text(1, 50_000), text(2, 60_000));
    let site = Deployed::new("config", |folder| {
        write(&folder.join("config/..1/app.js"), &a);
        write(&folder.join("config/..2/app.js"), &b);
        symlink("..1", folder.join("config/..data")).unwrap();
        symlink("..data/app.js", folder.join("config/app.js")).unwrap();
    })
    .await;
    site.serves("/app.js", &a, &[]).await;
    repoint(&site.at("config/..data"), "..2");
    site.serves("/app.js", &b, &[&a]).await;
    assert_eq!(site.get("/..data/app.js").await.status, 404);
}

#[tokio::test]
async fn a_volume_that_is_mounted_over_the_root_and_goes() {
    let (a, b) = (text(1, 50_000), text(2, 60_000));
    let site = Deployed::new("dist", |folder| write(&folder.join("dist/app.js"), &a)).await;
    let Some(volume) = Mounted::tmpfs(&site.at("dist"), "8m") else { return };
    assert_eq!(site.get("/app.js").await.status, 404);
    write(&site.at("dist/app.js"), &b);
    site.serves("/app.js", &b, &[&a]).await;
    drop(volume);
    site.serves("/app.js", &a, &[&b]).await;
}

#[tokio::test]
async fn one_file_that_is_swapped() {
    let (a, b, c) = (text(1, 50_000), text(2, 60_000), text(3, 40_000));
    let site = Deployed::new("app.js", |folder| write(&folder.join("app.js"), &a)).await;
    site.serves("/app.js", &a, &[]).await;
    fs::remove_file(site.at("app.js")).unwrap();
    site.is_away("/app.js").await;
    site.is_away("/").await;
    assert_eq!(site.get("/other.js").await.status, 404);
    write(&site.at("app.js"), &b);
    site.serves("/app.js", &b, &[&a]).await;
    write(&site.at("releases/3/app-3.js"), &c);
    repoint(&site.at("app.js"), "releases/3/app-3.js");
    site.serves("/app.js", &c, &[&a, &b]).await;
    write(&site.at("releases/4/app-4.js"), &a);
    repoint(&site.at("app.js"), "releases/4/app-4.js");
    site.serves("/app.js", &a, &[&b, &c]).await;
    // The folder around the file is made again.
    fs::remove_dir_all(site.at("releases")).unwrap();
    site.is_away("/app.js").await;
    write(&site.at("releases/4/app-4.js"), &b);
    site.serves("/app.js", &b, &[&a, &c]).await;
}

#[tokio::test]
async fn a_slow_upload_is_published_once_it_is_done() {
    // On a machine that stops the upload for seconds, the upload looks complete before it is. Then another one follows.
    for _ in 0..10 {
        if slow_upload().await < Duration::from_secs(2) {
            return;
        }
    }
    panic!("the machine stopped each of ten uploads for seconds");
}

/// Uploads a file slowly while a client syncs it. Gives the longest pause of the upload.
async fn slow_upload() -> Duration {
    const STEPS: usize = 20;
    let (old, new) = (random_bytes(1, 100_000), random_bytes(2, 100_000));
    let site = Deployed::new("dist", |folder| write(&folder.join("dist/data.bin"), &old)).await;
    let (path, bytes) = (site.at("dist/data.bin"), new.clone());
    let upload = std::thread::spawn(move || {
        let (mut file, mut longest, mut last) = (File::create(path).unwrap(), Duration::ZERO, Instant::now());
        for step in bytes.chunks(bytes.len() / STEPS) {
            file.write_all(step).unwrap();
            // The pace of the upload is what is tested.
            let_pass(Duration::from_millis(50));
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        longest
    });
    let mut synced = Vec::new();
    while !upload.is_finished() {
        let answer = site.get("/data.bin.driblet/none").await;
        assert_eq!(answer.status, 200);
        synced.push(apply(None, &answer.body).unwrap());
    }
    let pause = joined(upload);
    if pause < Duration::from_secs(2) {
        site.serves("/data.bin", &new, &[&old]).await;
        assert!(synced.iter().all(|bytes| *bytes == old || *bytes == new));
        assert_eq!(site.get("/data.bin.driblet/head").await.json()["counter"], 2);
    }
    pause
}

#[tokio::test]
async fn a_time_in_the_future_costs_one_reading() {
    let bytes = random_bytes(1, 1 << 20);
    let site = Deployed::new("dist", |folder| {
        write(&folder.join("dist/a.bin"), &bytes);
        let file = File::options().write(true).open(folder.join("dist/a.bin")).unwrap();
        file.set_times(FileTimes::new().set_modified(SystemTime::now() + Duration::from_secs(86_400 * 365))).unwrap();
    })
    .await;
    site.serves("/a.bin", &bytes, &[]).await;
    let readings = site.server.stats().readings;
    assert!(readings <= 2, "{readings}");
    for _ in 0..20 {
        assert_eq!(get("/a.bin").header("range", "bytes=0-9").send(site.addr).await.body, bytes[..10]);
        assert_eq!(site.get("/a.bin.driblet/head").await.status, 200);
    }
    assert_eq!(site.server.stats().readings, readings);
    // The server still notices that the file changes.
    let file = File::options().write(true).open(site.at("dist/a.bin")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"changed", 0).unwrap();
    file.set_times(FileTimes::new().set_modified(SystemTime::now() + Duration::from_secs(86_400 * 365))).unwrap();
    drop(file);
    let changed = [b"changed", &bytes[7..]].concat();
    site.serves("/a.bin", &changed, &[&bytes]).await;
}

/// A file system in memory, until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// `None` if this process may not mount.
    fn tmpfs(path: &Path, size: &str) -> Option<Mounted> {
        fs::create_dir_all(path).unwrap();
        let options = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(path).status();
        if !mount.is_ok_and(|status| status.success()) {
            eprintln!("this process may not mount; the test is left out");
            return None;
        }
        Some(Mounted(path.to_path_buf()))
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // The path is free at once, and the file system ends when the last file is closed.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_history_without_room_takes_no_file_away() {
    let folder = tempfile::tempdir().unwrap();
    let (large, small) = (random_bytes(1, 5 << 20), random_bytes(2, 100_000));
    write(&folder.path().join("dist/large.bin"), &large);
    write(&folder.path().join("dist/small.bin"), &small);
    let Some(disk) = Mounted::tmpfs(&folder.path().join("disk"), "3m") else { return };
    let site = Deployed::serve(folder, "dist", "disk/history").await;
    for _ in 0..3 {
        let answer = site.get("/large.bin").await;
        assert!(answer.status == 200 && answer.body == large, "{}", answer.status);
        assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
        let head = get("/large.bin").method("HEAD").send(site.addr).await;
        assert_eq!((head.status, head.header("content-length")), (200, Some("5242880")));
        let delta = site.get("/large.bin.driblet/none").await;
        assert!(delta.refuses(503, "busy"));
        assert!(delta.header("retry-after").is_some());
    }
    site.serves("/small.bin", &small, &[]).await;
    // A published file that grows beyond the room in the history: the published version stays, and plain requests get
    // the file.
    let grown = random_bytes(3, 4 << 20);
    write(&site.at("dist/next"), &grown);
    fs::rename(site.at("dist/next"), site.at("dist/small.bin")).unwrap();
    assert!(site.get("/small.bin").await.body == grown);
    let head = site.get("/small.bin.driblet/head").await.json();
    assert_eq!(head["version"], Version::of(&small).to_string());
    disk.resize("64m");
    for (name, bytes) in [("large", &large), ("small", &grown)] {
        eventually(async || {
            let head = site.get(&format!("/{name}.bin.driblet/head")).await;
            assert!(head.status == 200 || head.status == 503);
            head.status == 200 && head.json()["version"] == Version::of(bytes).to_string()
        })
        .await;
        site.serves(&format!("/{name}.bin"), bytes, &[]).await;
    }
}

#[tokio::test]
async fn a_history_that_is_removed_takes_no_file_away() {
    let (a, b) = (text(1, 50_000), text(2, 60_000));
    let site = Deployed::new("dist", |folder| write(&folder.join("dist/app.js"), &a)).await;
    fs::remove_dir_all(site.at("history")).unwrap();
    assert!(site.get("/app.js").await.body == a);
    write(&site.at("dist/next"), &b);
    fs::rename(site.at("dist/next"), site.at("dist/app.js")).unwrap();
    site.serves("/app.js", &b, &[]).await;
    let c = text(3, 40_000);
    write(&site.at("dist/next"), &c);
    fs::rename(site.at("dist/next"), site.at("dist/app.js")).unwrap();
    site.serves("/app.js", &c, &[&b]).await;
}

#[tokio::test]
async fn many_small_files_are_indexed_at_once() {
    let content = |number: u64| format!("file {number}\n").repeat(40).into_bytes();
    let site = Deployed::new("dist", |folder| {
        (0..3_000)
            .for_each(|number| write(&folder.join(format!("dist/{}/{number}.txt", number % 7)), &content(number)));
    })
    .await;
    let readings = site.server.stats().readings;
    assert!((3_000..3_100).contains(&readings), "{readings}");
    for number in [0, 1, 1_499, 2_998, 2_999] {
        site.serves(&format!("/{}/{number}.txt", number % 7), &content(number), &[]).await;
    }
    assert!(site.server.stats().readings - readings < 10, "they need not be read again");
}
