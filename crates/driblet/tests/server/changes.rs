//! Files that change while the server runs: every response is one published state, and no older than the request.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use driblet::{HistoryLimits, Version};

use crate::support::{TestSite, apply, get, joined, text};

/// A release with its number in every line.
fn release(number: u64) -> Vec<u8> {
    format!("{number:015}\n").repeat(2_000 + 1_000 * (number % 7) as usize).into_bytes()
}

/// The number of the release that some bytes are; `None` if they are no complete release.
fn number_of(bytes: &[u8]) -> Option<u64> {
    let number = std::str::from_utf8(bytes.get(..15)?).ok()?.parse().ok()?;
    (bytes == release(number)).then_some(number)
}

/// A thread that changes a file until it is stopped, and counts what it has written.
struct Writer {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(mut write: impl FnMut(u64) + Send + 'static) -> Writer {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (told, done) = (stop.clone(), written.clone());
        let thread = std::thread::spawn(move || {
            for number in 1.. {
                if told.load(Ordering::SeqCst) {
                    break;
                }
                write(number);
                done.store(number, Ordering::SeqCst);
            }
        });
        Writer { stop, written, thread }
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::SeqCst)
    }

    /// Stops the thread, and gives the last number that it has written.
    fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        joined(self.thread);
        self.written.load(Ordering::SeqCst)
    }
}

fn replace(beside: &PathBuf, path: &PathBuf, bytes: &[u8]) {
    fs::write(beside, bytes).unwrap();
    fs::rename(beside, path).unwrap();
}

#[tokio::test]
async fn a_file_that_is_replaced_all_the_time() {
    let limits = HistoryLimits::default().versions(100_000);
    let site = TestSite::with(&[], |builder| builder.history_limits(limits)).await;
    let first = site.publish("app.js", &release(0)).await;
    let (beside, path) = (site.outside().join("beside"), site.root().join("app.js"));
    let writer = Writer::start(move |number| replace(&beside, &path, &release(number)));
    let mut answered = 0;
    for _ in 0..40 {
        for resource in ["", ".driblet/none", &format!(".driblet/{first}")] {
            let before = writer.written();
            let answer = site.get(&format!("/app.js{resource}")).await;
            let file = match answer.status {
                200 if resource.is_empty() => answer.body,
                200 if resource.ends_with("none") => apply(None, &answer.body).unwrap(),
                200 => apply(Some(&release(0)), &answer.body).unwrap(),
                status => {
                    assert_eq!(status, 503);
                    assert!(answer.header("retry-after").is_some());
                    continue;
                }
            };
            let number = number_of(&file).expect("one whole release");
            assert!(before <= number, "release {number} was sent when {before} was there");
            answered += 1;
        }
    }
    let last = writer.end();
    assert_eq!(number_of(&site.get("/app.js").await.body), Some(last));
    assert!(0 < answered, "nothing was answered");
}

#[tokio::test]
async fn a_file_that_is_written_over_in_place() {
    const LEN: usize = 1 << 20;
    let site = TestSite::new(&[("a.bin", &[0; LEN])]).await;
    let file = File::options().write(true).open(site.root().join("a.bin")).unwrap();
    let writer = Writer::start(move |number| {
        file.write_all_at(&number.to_le_bytes().repeat(LEN / 8), 0).unwrap();
    });
    let mut answered = 0;
    while answered < 40 && writer.written() < 40_000 {
        let answer = site.get("/a.bin").await;
        if answer.status == 503 {
            continue;
        }
        assert_eq!((answer.status, answer.body.len()), (200, LEN));
        answered += 1;
        // At each moment the file is one release, or begins as the next one.
        let mut numbers: Vec<u64> =
            answer.body.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap())).collect();
        numbers.dedup();
        assert!(matches!(numbers[..], [_]) || matches!(numbers[..], [new, old] if new == old + 1), "{numbers:?}");
    }
    let last = writer.end();
    let rests = site.get("/a.bin").await;
    assert!(rests.status == 200 && rests.body == last.to_le_bytes().repeat(LEN / 8));
}

/// The first lines of a log.
fn log(lines: u64) -> String {
    (1..=lines).map(log_line).collect()
}

fn log_line(number: u64) -> String {
    format!("line {number:08}\n")
}

#[tokio::test]
async fn a_log_that_only_grows() {
    let site = TestSite::new(&[("log.txt", b"")]).await;
    let path = site.root().join("log.txt");
    let writer = Writer::start(move |number| {
        use std::io::Write;
        let mut file = File::options().append(true).open(&path).unwrap();
        // One call, since `writeln!` makes several.
        file.write_all(log_line(number).as_bytes()).unwrap();
    });
    for _ in 0..60 {
        let before = writer.written();
        let answer = site.get("/log.txt").await;
        if answer.status == 503 {
            continue;
        }
        assert_eq!(answer.status, 200);
        // Readers may see half of a write that crosses a page of memory, so the last line may be incomplete.
        let (len, now) = (answer.body.len(), writer.written());
        assert!(log(before).len() <= len, "{len} bytes; {before} lines were there before the request, {now} now");
        assert!(log(now + 1).starts_with(answer.text()), "not how the log begins");
    }
    let last = writer.end();
    assert_eq!(site.get("/log.txt").await.text(), log(last));
}

#[tokio::test]
async fn another_file_of_equal_size_and_time() {
    let site = TestSite::new(&[("a.txt", b"before")]).await;
    let stamp = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let times = FileTimes::new().set_modified(stamp).set_accessed(stamp);
    for bytes in ["after!", "before", "again!"] {
        // As `cp -p` and archives do: size and time stay the same.
        let beside = site.outside().join("beside");
        fs::write(&beside, bytes).unwrap();
        File::options().write(true).open(&beside).unwrap().set_times(times).unwrap();
        fs::rename(&beside, site.root().join("a.txt")).unwrap();
        assert_eq!(site.get("/a.txt").await.text(), bytes);
        let head = site.get("/a.txt.driblet/head").await.json();
        assert_eq!(head["version"], version(bytes));
        // In place, too.
        let path = site.root().join("a.txt");
        fs::write(&path, "placed").unwrap();
        File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        assert_eq!(site.get("/a.txt").await.text(), "placed");
        fs::write(&path, bytes).unwrap();
        File::options().write(true).open(&path).unwrap().set_times(times).unwrap();
        assert_eq!(site.get("/a.txt").await.text(), bytes);
        fs::rename(&path, site.outside().join("away")).unwrap();
        assert_eq!(site.get("/a.txt").await.status, 404);
        fs::rename(site.outside().join("away"), &path).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_becomes_a_folder_and_a_file_again() {
    let site = TestSite::new(&[("a", b"a file")]).await;
    fs::remove_file(site.root().join("a")).unwrap();
    site.write("a/index.html", b"a folder");
    assert_eq!(site.get("/a").await.status, 308);
    assert!(site.get("/a.driblet/none").await.refuses(404, "no-such-file"));
    assert_eq!(site.get("/a/").await.text(), "a folder");
    fs::remove_dir_all(site.root().join("a")).unwrap();
    site.write("a", b"a file");
    assert_eq!(site.get("/a").await.text(), "a file");
    assert_eq!(site.get("/a/index.html").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn equal_requests_on_a_cold_server_share_one_reading_and_their_diffs() {
    let (old, new) = (text(1, 600_000), [text(1, 500_000), text(2, 300_000)].concat());
    let mut site = TestSite::new(&[]).await;
    let has = site.publish("app.js", &old).await;
    site.publish("app.js", &new).await;
    site.restart().await;
    for (resource, held) in [(has.to_string(), Some(&old[..])), ("none".into(), None)] {
        let before = site.server().stats().encodes;
        let name = format!("/app.js.driblet/{resource}");
        let asks: Vec<_> = (0..200).map(|_| tokio::spawn(get(&name).send(site.addr()))).collect();
        for ask in asks {
            let answer = ask.await.unwrap();
            assert_eq!(answer.status, 200);
            assert!(apply(held, &answer.body).unwrap() == new);
        }
        site.prepared().await;
        assert_eq!(site.server().stats().encodes - before, 2, "{resource}: one at once, one at leisure");
    }
}

#[tokio::test]
async fn all_who_wait_wake() {
    let site = TestSite::new(&[]).await;
    site.publish("app.js", b"first").await;
    let poll = "/app.js.driblet/head?since=1&wait=60";
    let waiting: Vec<_> = (0..20).map(|_| tokio::spawn(get(poll).send(site.addr()))).collect();
    let gone = tokio::spawn(get("/app.js.driblet/head?since=3&wait=60").send(site.addr()));
    assert_eq!(gone.await.unwrap().json()["counter"], 1, "a counter that never was is not the head's");
    site.publish("other.js", b"wakes nobody for good").await;
    site.publish("app.js", b"second").await;
    for poll in waiting {
        let head = poll.await.unwrap().json();
        assert_eq!((&head["counter"], head["version"].as_str()), (&2.into(), Some(&*version("second"))));
    }
    let vanishing = tokio::spawn(get("/app.js.driblet/head?since=2&wait=60").send(site.addr()));
    fs::remove_file(site.root().join("app.js")).unwrap();
    assert!(vanishing.await.unwrap().refuses(404, "no-such-file"));
}

#[tokio::test]
async fn a_poll_with_numbers_that_are_none() {
    let site = TestSite::new(&[("app.js", b"let a;")]).await;
    for query in [
        "since=",
        "wait=",
        "since=1.5",
        "since=+%201",
        "since=0x1",
        "since=18446744073709551616",
        "wait=18446744073709551616",
        "since=1&wait=-1",
        "since=1&since=x",
    ] {
        let answer = site.get(&format!("/app.js.driblet/head?{query}")).await;
        assert!(answer.refuses(400, "bad-name"), "{query}");
        let detail = answer.json()["detail"].to_string();
        assert!(detail.contains("since") || detail.contains("wait"), "{detail}");
    }
    for query in ["", "since=0", "wait=60", "since=7&wait=18446744073709551615", "unknown=x"] {
        let answer = site.get(&format!("/app.js.driblet/head?{query}")).await;
        assert_eq!((answer.status, &answer.json()["counter"]), (200, &1.into()), "{query}");
    }
}

fn version(text: &str) -> String {
    Version::of(text.as_bytes()).to_string()
}
