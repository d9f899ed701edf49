//! Deltas that are made before any request asks for them.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use driblet::{Codec, HistoryLimits, ServerBuilder, Stats, Version};

use crate::support::{Answer, TestSite, apply, eventually, get, random_bytes, text};

const DENSE: &str = "application/vnd.driblet.delta;codec=dense";
/// A link so slow that the smallest delta arrives first.
const SMALLEST: Codec = Codec::Auto { bits_per_second: 10_000 };

/// Releases of a file, each of which renames an identifier of the last one.
fn release(number: usize, len: usize) -> Vec<u8> {
    String::from_utf8(text(1, len)).unwrap().replace("value", &format!("value{number}")).into_bytes()
}

/// A site that makes deltas ahead from this many versions.
async fn site(heads: usize, codec: Codec) -> TestSite {
    TestSite::with(&[], |builder| builder.ahead(heads).codec(codec)).await
}

/// What a server has made and has to make.
#[derive(PartialEq, Eq, Debug)]
struct Work {
    encodes: u64,
    ahead: u64,
    waiting: usize,
}

fn stats(site: &TestSite) -> Work {
    let Stats { encodes, ahead, waiting, .. } = site.server().stats();
    Work { encodes, ahead, waiting }
}

async fn ask(site: &TestSite, name: &str, accept: &str) -> Answer {
    site.ask(get(&format!("/app.js.driblet/{name}")).header("accept", accept)).await
}

/// Waits until this many deltas were begun.
async fn begun(site: &TestSite, encodes: u64) {
    eventually(async || encodes <= stats(site).encodes).await;
}

/// Stops the background worker: a version in the history becomes a pipe, and opening it waits for a writer.
struct Gate {
    pipe: PathBuf,
}

impl Gate {
    /// Returns when the worker waits for the pipe. This many deltas of the same file are queued behind, and will not be
    /// made.
    async fn close(site: &TestSite, behind: usize) -> Gate {
        let pipe = site.outside().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let gate = Gate { pipe };
        let version = site.publish("gate.bin", &random_bytes(1, 20_000)).await;
        fs::remove_file(site.kept(version)).unwrap();
        fs::hard_link(&gate.pipe, site.kept(version)).unwrap();
        site.publish("gate.bin", &random_bytes(2, 20_000)).await;
        // The worker has taken the fast delta between the two versions from the queue.
        eventually(async || stats(site).waiting == behind).await;
        gate
    }
}

impl Drop for Gate {
    /// Opens the gate, even if a test fails.
    fn drop(&mut self) {
        // The writer stays open, so that a later opening does not wait.
        std::mem::forget(fs::File::options().read(true).write(true).open(&self.pipe));
    }
}

#[tokio::test]
async fn the_first_request_finds_the_better_delta_from_each_of_the_last_heads() {
    let site = site(2, SMALLEST).await;
    let releases: Vec<Vec<u8>> = (0..4).map(|number| release(number, 60_000)).collect();
    for (number, expected) in [0, 2, 6, 10].into_iter().enumerate() {
        site.publish("app.js", &releases[number]).await;
        site.prepared().await;
        assert_eq!(stats(&site), Work { encodes: expected, ahead: expected, waiting: 0 }, "release {number}");
    }
    let head = &releases[3];
    for held in &releases[1..3] {
        let name = Version::of(held).to_string();
        let (better, fast) = (ask(&site, &name, DENSE).await, ask(&site, &name, "*/*").await);
        assert!(apply(Some(held), &better.body).unwrap() == *head && apply(Some(held), &fast.body).unwrap() == *head);
        assert!(better.body.len() < fast.body.len() && better.etag() != fast.etag());
        assert_eq!(stats(&site).encodes, 10, "both were ready");
    }
    let beyond = ask(&site, &Version::of(&releases[0]).to_string(), "*/*").await;
    assert!(apply(Some(&releases[0]), &beyond.body).unwrap() == *head);
    site.prepared().await;
    assert_eq!(stats(&site).encodes, 12, "from an older head when it is asked for: at once, then at leisure");
}

#[tokio::test]
async fn a_long_file_is_followed_in_the_background_too() {
    let site = site(3, Codec::Fast).await;
    let rest = random_bytes(7, 65 << 20);
    let [held, head] = [0, 1].map(|number| [&release(number, 900_000)[..], &rest].concat());
    site.publish("model.bin", &held).await;
    site.publish("model.bin", &head).await;
    site.prepared().await;
    let made = Work { encodes: 1, ahead: 1, waiting: 0 };
    assert_eq!(stats(&site), made);
    let answer = site.get(&format!("/model.bin.driblet/{}", Version::of(&held))).await;
    assert!(apply(Some(&held), &answer.body).unwrap() == head);
    assert!(answer.body.len() < 100_000, "{} bytes", answer.body.len());
    assert_eq!(stats(&site), made, "it was ready");
}

#[tokio::test]
async fn a_receiver_that_decodes_all_codecs_gets_what_changed_inside_a_container() {
    let site = site(1, SMALLEST).await;
    let [held, head] = [0, 1].map(|number| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&release(number, 200_000)).unwrap();
        encoder.finish().unwrap()
    });
    site.publish("app.js", &held).await;
    site.publish("app.js", &head).await;
    site.prepared().await;
    let name = Version::of(&held).to_string();
    let (inside, fast) = (ask(&site, &name, DENSE).await, ask(&site, &name, "*/*").await);
    assert!(apply(Some(&held), &inside.body).unwrap() == head && apply(Some(&held), &fast.body).unwrap() == head);
    assert!(inside.body.len() * 10 < fast.body.len(), "{} and {} bytes", inside.body.len(), fast.body.len());
}

#[tokio::test]
async fn none_is_made_from_none_of_the_heads() {
    let site = site(0, SMALLEST).await;
    for number in 0..3 {
        site.publish("app.js", &release(number, 60_000)).await;
    }
    site.prepared().await;
    assert_eq!(stats(&site), Work { encodes: 0, ahead: 0, waiting: 0 });
}

#[tokio::test]
async fn what_nobody_may_get_is_not_made() {
    let site = site(3, Codec::Fast).await;
    site.publish("app.js", &release(0, 60_000)).await;
    site.publish("app.js", &release(1, 60_000)).await;
    site.prepared().await;
    assert_eq!(stats(&site).encodes, 1, "the server sends fast ones only");
    let first = stats(&site);
    site.publish("short.js", b"short").await;
    site.publish("short.js", b"and another").await;
    site.prepared().await;
    assert_eq!(stats(&site), first, "too short to matter");
}

#[tokio::test]
async fn a_head_that_comes_back_has_its_deltas_already() {
    let site = site(1, Codec::Fast).await;
    for number in [0, 1, 0, 1, 0, 1] {
        site.publish("app.js", &release(number, 60_000)).await;
        site.prepared().await;
    }
    assert_eq!(stats(&site).encodes, 2, "one in each direction");
}

#[tokio::test]
async fn what_changed_while_nobody_looked_is_made_at_the_start() {
    let options = |builder: ServerBuilder| builder.ahead(3).codec(SMALLEST);
    let mut site = TestSite::with(&[], options).await;
    let held = release(0, 60_000);
    site.publish("app.js", &held).await;
    site.publish("same.js", &held).await;
    site.stop().await;
    let head = release(1, 60_000);
    site.write("app.js", &head);
    site.start(options).await;
    site.indexed().await;
    site.prepared().await;
    assert_eq!(stats(&site), Work { encodes: 2, ahead: 2, waiting: 0 }, "of the file that changed, without a request");
    let delta = ask(&site, &Version::of(&held).to_string(), DENSE).await;
    assert!(apply(Some(&held), &delta.body).unwrap() == head);
    assert_eq!(stats(&site).encodes, 2);
}

#[tokio::test]
async fn what_is_superseded_before_its_turn_is_not_made() {
    let site = site(1, Codec::Fast).await;
    let gate = Gate::close(&site, 0).await;
    let releases: Vec<Vec<u8>> = (0..4).map(|number| release(number, 60_000)).collect();
    for bytes in &releases {
        site.publish("app.js", bytes).await;
    }
    assert_eq!(stats(&site).waiting, 1, "only what leads to the head");
    drop(gate);
    site.prepared().await;
    assert_eq!(stats(&site), Work { encodes: 1, ahead: 1, waiting: 0 });
    let versions: Vec<Version> = releases.iter().map(|bytes| Version::of(bytes)).collect();
    assert_eq!(ask(&site, &versions[2].to_string(), "*/*").await.status, 200);
    assert_eq!(stats(&site).encodes, 1, "the one that was made");
    assert_eq!(ask(&site, &format!("{}-{}", versions[0], versions[1]), "*/*").await.status, 200);
    site.prepared().await;
    assert_eq!(stats(&site).encodes, 3, "one that was not: at once, then at leisure");
}

#[tokio::test]
async fn what_is_asked_for_is_made_once_and_nobody_waits_for_the_background() {
    let site = site(2, SMALLEST).await;
    let gate = Gate::close(&site, 1).await;
    let releases: Vec<Vec<u8>> = (0..3).map(|number| release(number, 60_000)).collect();
    for bytes in &releases {
        site.publish("app.js", bytes).await;
    }
    assert_eq!(stats(&site), Work { encodes: 0, ahead: 0, waiting: 5 });
    let name = Version::of(&releases[0]).to_string();
    let fast = ask(&site, &name, DENSE).await;
    assert!(apply(Some(&releases[0]), &fast.body).unwrap() == releases[2]);
    assert_eq!(stats(&site), Work { encodes: 1, ahead: 0, waiting: 5 }, "fast at once; the better one waits already");
    drop(gate);
    site.prepared().await;
    assert_eq!(stats(&site), Work { encodes: 5, ahead: 3, waiting: 0 }, "each once; what was asked for is not ahead");
    assert!(ask(&site, &name, DENSE).await.body.len() < fast.body.len());
    assert_eq!(stats(&site).encodes, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_for_what_is_being_made_share_one_at_once() {
    let site = site(1, Codec::Fast).await;
    let (old, new) = (release(0, 8 << 20), release(1, 8 << 20));
    let has = site.publish("app.js", &old).await;
    site.publish("app.js", &new).await;
    begun(&site, 1).await;
    let name = format!("/app.js.driblet/{has}");
    let asks: Vec<_> = (0..20).map(|_| tokio::spawn(get(&name).send(site.addr()))).collect();
    for ask in asks {
        assert!(apply(Some(&old), &ask.await.unwrap().body).unwrap() == new);
    }
    site.prepared().await;
    assert_eq!(stats(&site), Work { encodes: 2, ahead: 1, waiting: 0 });
}

#[tokio::test]
async fn a_basis_that_is_evicted_before_its_turn_is_passed_over() {
    let limits = HistoryLimits::default().bytes(300_000);
    let site = TestSite::with(&[], |builder| builder.ahead(1).history_limits(limits)).await;
    let gate = Gate::close(&site, 1).await;
    let old = site.publish("app.js", &random_bytes(3, 100_000)).await;
    let head = random_bytes(4, 100_000);
    site.publish("app.js", &head).await;
    assert_eq!(stats(&site).waiting, 3);
    site.publish("other.bin", &random_bytes(5, 150_000)).await;
    assert!(!site.kept(old).exists(), "room was needed");
    drop(gate);
    site.prepared().await;
    assert_eq!(stats(&site), Work { encodes: 0, ahead: 0, waiting: 0 });
    assert!(site.get(&format!("/app.js.driblet/{old}")).await.refuses(404, "unknown-version"));
    assert!(site.get("/app.js").await.body == head);
}

#[tokio::test]
async fn a_basis_that_is_evicted_while_it_is_read_stays_readable() {
    let limits = HistoryLimits::default().bytes(20 << 20);
    let site = TestSite::with(&[], |builder| builder.ahead(1).codec(Codec::Fast).history_limits(limits)).await;
    let old = site.publish("app.js", &release(0, 8 << 20)).await;
    site.publish("app.js", &release(1, 8 << 20)).await;
    begun(&site, 1).await;
    site.publish("other.bin", &random_bytes(5, 8 << 20)).await;
    assert!(!site.kept(old).exists(), "room was needed");
    site.prepared().await;
    assert_eq!(stats(&site).ahead, 1, "made to its end");
}

#[tokio::test]
async fn a_server_that_ends_does_not_wait_for_what_is_being_made() {
    let options = |builder: ServerBuilder| builder.ahead(1).codec(SMALLEST);
    let mut site = TestSite::with(&[], options).await;
    let old = site.publish("app.js", &release(0, 6 << 20)).await;
    site.publish("app.js", &release(1, 6 << 20)).await;
    begun(&site, 2).await;
    site.stop().await;
    site.start(options).await;
    // The dense delta of 6 MiB takes far longer than this test. Its thread has the basis mapped meanwhile.
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    assert!(maps.contains(&old.to_string()), "still being made, and yet the history is open again");
    assert_eq!(site.get("/app.js").await.body, release(1, 6 << 20));
}
