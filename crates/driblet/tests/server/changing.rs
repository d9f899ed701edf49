//! Files that change while they are read: a response has a complete file, or says to try again.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use driblet::Version;

use crate::support::{Answer, TestSite, eventually, get, joined, random_bytes};

/// Changes a file repeatedly, on a thread of its own, until it is stopped.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(path: PathBuf, mut change: impl FnMut(&PathBuf, u64) + Send + 'static) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::spawn(move || {
            for round in 0.. {
                if told.load(Ordering::Relaxed) {
                    break;
                }
                change(&path, round);
            }
        });
        Writer { stop, thread }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        joined(self.thread);
    }
}

fn is_whole(answer: &Answer) -> bool {
    answer.status == 200
        && answer.etag() == format!("\"{}\"", Version::of(&answer.body))
        && answer.header("content-length") == Some(&answer.body.len().to_string())
}

#[tokio::test]
async fn a_file_that_never_rests_is_unstable() {
    let mut site = TestSite::stopped(&[("log.bin", &random_bytes(1, 64 << 20))]);
    let path = site.root().join("log.bin");
    let writer = Writer::start(path, |path, round| {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(round)).unwrap();
    });
    site.start(|builder| builder).await;
    let answer = site.get("/log.bin.driblet/none").await;
    assert!(answer.refuses(503, "unstable"));
    assert!(answer.header("retry-after").is_some());
    writer.end();
    assert!(is_whole(&site.get("/log.bin").await), "it rests, and is served");
}

#[tokio::test]
async fn a_file_that_grows_shrinks_and_vanishes() {
    let site = TestSite::new(&[("a.bin", b"")]).await;
    let path = site.root().join("a.bin");
    let writer = Writer::start(path.clone(), |path, round| {
        match round % 4 {
            0 => fs::write(path, random_bytes(round, 300_000)).unwrap(),
            1 => fs::OpenOptions::new().write(true).open(path).unwrap().set_len(100_000).unwrap(),
            2 => fs::OpenOptions::new().write(true).open(path).unwrap().set_len(900_000).unwrap(),
            _ => fs::remove_file(path).unwrap(),
        };
    });
    for _ in 0..60 {
        let answer = site.get("/a.bin").await;
        match answer.status {
            200 => assert!(is_whole(&answer)),
            503 => assert!(answer.header("retry-after").is_some()),
            status => assert_eq!(status, 404),
        }
    }
    writer.end();
    fs::write(&path, "and rests").unwrap();
    assert_eq!(site.get("/a.bin").await.text(), "and rests");
}

#[tokio::test]
async fn a_file_that_is_replaced_is_one_of_its_versions() {
    let site = TestSite::new(&[("a.bin", &random_bytes(0, 200_000))]).await;
    let beside = site.outside().join("next");
    let versions: Vec<Vec<u8>> = (0..4).map(|number| random_bytes(number, 200_000)).collect();
    let published = versions.clone();
    let writer = Writer::start(site.root().join("a.bin"), move |path, round| {
        fs::write(&beside, &published[round as usize % 4]).unwrap();
        fs::rename(&beside, path).unwrap();
    });
    for _ in 0..60 {
        let answer = site.get("/a.bin").await;
        assert!(answer.status == 503 || versions.contains(&answer.body), "{}", answer.status);
    }
    writer.end();
    let last = fs::read(site.root().join("a.bin")).unwrap();
    assert!(site.get("/a.bin").await.body == last);
}

#[tokio::test]
async fn a_reading_that_takes_longer_than_the_deadline() {
    let mut site = TestSite::stopped(&[("a.bin", &random_bytes(1, 64 << 20))]);
    site.start(|builder| builder.deadline(Duration::ZERO)).await;
    let answer = site.get("/a.bin.driblet/none").await;
    assert!(answer.refuses(503, "busy"));
    assert!(answer.header("retry-after").is_some());
    // The server continues to read the file after the request has ended.
    site.indexed().await;
    eventually(async || site.ask(get("/a.bin").method("HEAD")).await.status != 503).await;
    assert!(is_whole(&site.get("/a.bin").await));
}
