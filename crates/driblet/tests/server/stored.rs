//! Artifacts that outlive the server: complete, verified, within the budget, and removed with their version.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use driblet::{HistoryLimits, ServerBuilder, Version};

use crate::support::{Answer, TestSite, apply, eventually, get, random_bytes, text};

const NONE: &str = "/app.js.driblet/none";

/// Bytes that compress to half their length: nothing repeats.
fn digits(number: u64, len: usize) -> Vec<u8> {
    random_bytes(number, len).iter().map(|byte| b"0123456789abcdef"[usize::from(byte & 15)]).collect()
}

async fn encoded(site: &TestSite, coding: &str) -> Answer {
    site.ask(get("/app.js").header("accept-encoding", coding)).await
}

/// The background forms, once they are made.
async fn better(site: &TestSite) -> [Answer; 3] {
    for coding in ["br", "zstd"] {
        encoded(site, coding).await;
    }
    site.get(NONE).await;
    site.prepared().await;
    forms(site).await
}

/// The forms that are there now.
async fn forms(site: &TestSite) -> [Answer; 3] {
    [site.get(NONE).await, encoded(site, "br").await, encoded(site, "zstd").await]
}

fn are_equal(ours: &[Answer], theirs: &[Answer]) -> bool {
    ours.iter().zip(theirs).all(|(a, b)| a.status == 200 && a.body == b.body && a.etag() == b.etag())
}

/// The files that outlive the server.
fn stored(site: &TestSite) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(site.history().join("artifacts")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_restart_makes_nothing_anew() {
    let bytes = text(1, 100_000);
    let mut site = TestSite::new(&[("app.js", &bytes)]).await;
    let before = better(&site).await;
    assert_eq!(stored(&site).len(), 3);
    for _ in 0..2 {
        site.restart().await;
        assert!(are_equal(&forms(&site).await, &before));
        site.prepared().await;
        assert_eq!(site.server().stats().encodes, 0);
    }
}

#[tokio::test]
async fn what_was_damaged_meanwhile_is_dropped_and_made_anew() {
    let bytes = text(2, 60_000);
    let mut site = TestSite::new(&[("app.js", &bytes)]).await;
    let before = better(&site).await;
    let flip = |path: &PathBuf| {
        let mut bytes = fs::read(path).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let cut = |path: &PathBuf| fs::write(path, &fs::read(path).unwrap()[..1000]).unwrap();
    let grow = |path: &PathBuf| fs::write(path, [&fs::read(path).unwrap()[..], b"more"].concat()).unwrap();
    let empty = |path: &PathBuf| fs::write(path, b"").unwrap();
    let remove = |path: &PathBuf| fs::remove_file(path).unwrap();
    let swap = |path: &PathBuf| fs::rename(path, path.with_extension("aa".repeat(32))).unwrap();
    let damages: [&dyn Fn(&PathBuf); 6] = [&flip, &cut, &grow, &empty, &remove, &swap];
    for (number, damage) in damages.into_iter().enumerate() {
        for running in [true, false] {
            if !running {
                site.stop().await;
            }
            stored(&site).iter().for_each(damage);
            if !running {
                site.start(|builder| builder).await;
            }
            let answers = forms(&site).await;
            assert!(apply(None, &answers[0].body).unwrap() == bytes, "{number}, {running}");
            assert!(are_equal(&better(&site).await, &before), "{number}, {running}");
            // The next start removes files with wrong names.
            assert!(stored(&site).len() == 3 || running && stored(&site).len() == 6);
        }
    }
}

#[tokio::test]
async fn what_has_no_business_there_is_removed() {
    let bytes = text(3, 60_000);
    let mut site = TestSite::new(&[("app.js", &bytes)]).await;
    let before = better(&site).await;
    site.stop().await;
    let folder = site.history().join("artifacts");
    let (version, stranger) = (Version::of(&bytes), Version::of(b"never published"));
    let hash = "ab".repeat(32);
    for name in [
        "x".into(),
        ".tmpabc".into(),
        format!("{version}.none2.xyz"),
        format!("{version}.none1.{hash}"),
        format!("{version}.none2.{hash}.more"),
        format!("{stranger}.none2.{hash}"),
        "..none2.".into(),
    ] {
        fs::write(folder.join(name), b"what nobody made").unwrap();
    }
    fs::create_dir_all(folder.join("a folder/in it")).unwrap();
    site.start(|builder| builder).await;
    assert!(are_equal(&forms(&site).await, &before));
    assert_eq!(stored(&site).len(), 3);
}

#[tokio::test]
async fn what_is_made_of_a_version_goes_with_it() {
    let limits = HistoryLimits::default().versions(1);
    let options = |builder: ServerBuilder| builder.history_limits(limits);
    let mut site = TestSite::with(&[("app.js", &text(4, 50_000))], options).await;
    better(&site).await;
    let old = stored(&site);
    site.publish("app.js", &text(5, 50_000)).await;
    assert_eq!(stored(&site), [] as [PathBuf; 0]);
    better(&site).await;
    assert!(stored(&site).len() == 3 && stored(&site) != old);
    site.stop().await;
    site.write("app.js", &text(6, 50_000));
    site.start(options).await;
    site.indexed().await;
    assert_eq!(stored(&site), [] as [PathBuf; 0], "also of what changed while nobody looked");
}

#[tokio::test]
async fn the_budget_holds_and_what_was_used_last_stays() {
    // Each takes some 50,000 bytes. The half of the budget that outlives the server has room for three.
    let options = |builder: ServerBuilder| builder.artifact_bytes(400_000);
    let mut site = TestSite::with(&[], options).await;
    let name = |number: u64| format!("/{number}.js.driblet/none");
    for number in 0..6 {
        site.publish(&format!("{number}.js"), &digits(number, 100_000)).await;
        site.get(&name(number)).await;
        site.prepared().await;
    }
    let len = |site: &TestSite| stored(site).iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
    assert!(stored(&site).len() == 3 && len(&site) <= 200_000, "{:?}", stored(&site));
    site.stop().await;
    site.start(options).await;
    for number in [3, 4, 5, 0, 1, 2] {
        assert!(apply(None, &site.get(&name(number)).await.body).unwrap() == digits(number, 100_000));
        if 3 <= number {
            assert_eq!(site.server().stats().encodes, 0, "the last three are there");
        }
    }
    site.prepared().await;
    site.stop().await;
    site.start(|builder| builder.artifact_bytes(120_000)).await;
    assert!(len(&site) <= 60_000, "also a smaller budget than before");
}

/// A file system of its own, which can be filled.
struct Disk(PathBuf);

impl Disk {
    /// `None` if mounting is not allowed.
    fn mount(at: PathBuf, megabytes: u32) -> Option<Disk> {
        fs::create_dir_all(&at).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Disk(at));
        }
        eprintln!("not tested: mounting a file system is not allowed here");
        None
    }

    /// Fills it to its last byte.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("tmp/filler");
        let mut file = fs::File::create(&path).unwrap();
        let full = std::io::copy(&mut std::io::repeat(1), &mut file).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// Waits until the file is indexed and quiet, so that the server does not read it again. A file is quiet by its time
/// stamp, so there is no other event to wait for.
async fn rested(site: &TestSite) {
    site.indexed().await;
    let changed = fs::metadata(site.root().join("app.js")).unwrap().modified().unwrap();
    eventually(async || std::time::Duration::from_millis(50) <= changed.elapsed().unwrap()).await;
    assert_eq!(site.get("/app.js.driblet/head").await.status, 200);
}

#[tokio::test]
async fn a_full_disk_takes_nothing_away() {
    let bytes = digits(7, 400_000);
    let mut site = TestSite::stopped(&[("app.js", &bytes)]);
    let Some(disk) = Disk::mount(site.history(), 16) else { return };
    site.start(|builder| builder).await;
    rested(&site).await;
    let filler = disk.fill();
    for _ in 0..2 {
        let delta = site.get(NONE).await;
        assert!(delta.status == 200 && apply(None, &delta.body).unwrap() == bytes, "made in memory");
        let plain = encoded(&site, "br").await;
        let mut whole = Vec::new();
        match plain.header("content-encoding") {
            Some(_) => brotli::BrotliDecompress(&mut &plain.body[..], &mut whole).unwrap(),
            None => whole = plain.body,
        }
        assert!(plain.status == 200 && whole == bytes);
        site.prepared().await;
    }
    assert_eq!(stored(&site), [] as [PathBuf; 0]);
    fs::remove_file(filler).unwrap();
    let answers = better(&site).await;
    assert!(apply(None, &answers[0].body).unwrap() == bytes);
    assert_eq!(stored(&site).len(), 3, "all is well when there is room: {:?}", stored(&site));
    site.stop().await;
}

#[tokio::test]
async fn what_fits_neither_disk_nor_memory_is_refused_and_the_file_is_there() {
    let bytes = digits(8, 40 << 20);
    let mut site = TestSite::stopped(&[("app.js", &bytes)]);
    let Some(disk) = Disk::mount(site.history(), 100) else { return };
    site.start(|builder| builder).await;
    rested(&site).await;
    let filler = disk.fill();
    let refused = site.get(NONE).await;
    assert!(refused.refuses(503, "busy") && refused.header("retry-after").is_some());
    for coding in ["identity", "br", "zstd"] {
        let plain = encoded(&site, coding).await;
        assert!(plain.status == 200 && plain.header("content-encoding").is_none() && plain.body == bytes, "{coding}");
    }
    fs::remove_file(filler).unwrap();
    assert!(apply(None, &site.get(NONE).await.body).unwrap() == bytes);
    site.stop().await;
}
