//! A server that is killed at any moment leaves a valid history with every version that it has answered.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use driblet::{BuildError, HistoryError, HistoryLimits, Server, ServerBuilder, Version};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout_at};

use crate::support::{TestSite, apply, get, joined, within};

const PLACE: &str = "DRIBLET_TEST_PUBLISHES_IN";
const VERSIONS: &str = "DRIBLET_TEST_PUBLISHES_VERSIONS";
const ROUNDS: usize = 15;
/// A limit of versions that no test reaches.
const MANY: usize = 1000;
const FEW: usize = 4;

fn release(number: u64) -> Vec<u8> {
    format!("{number:015}\n").repeat(3_000).into_bytes()
}

fn number_of(bytes: &[u8]) -> u64 {
    std::str::from_utf8(&bytes[..15]).unwrap().parse().unwrap()
}

fn limited(versions: usize) -> impl FnOnce(ServerBuilder) -> ServerBuilder {
    move |builder| builder.history_limits(HistoryLimits::default().versions(versions))
}

/// Not a test, but the process that is killed. It publishes one release after the other at two paths, and prints each
/// number and counter that was answered.
#[tokio::test]
#[ignore = "the child process of the tests below"]
async fn publishes_for_ever() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let versions = std::env::var(VERSIONS).unwrap().parse().unwrap();
    let mut site = TestSite::at(place.into());
    site.start(limited(versions)).await;
    let start = fs::read(site.root().join("a.js")).map_or(0, |bytes| number_of(&bytes) + 1);
    for number in start.. {
        // For a while both paths share a version: the second path gets what the first had before.
        site.publish("a.js", &release(number)).await;
        site.publish("b.js", &release(number.saturating_sub(2))).await;
        let head = site.get("/a.js.driblet/head").await.json();
        println!("\npublished {number} {}", head["counter"]);
    }
}

/// This test program, running only the endless test above.
struct Publishing {
    child: Child,
    /// Numbers and counters that were answered.
    answered: UnboundedReceiver<(u64, u64)>,
    reader: JoinHandle<()>,
}

impl Publishing {
    fn start(site: &TestSite, versions: usize) -> Publishing {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::publishes_for_ever", "--ignored", "--nocapture"])
            .env(PLACE, site.outside())
            .env(VERSIONS, versions.to_string())
            .stdout(Stdio::piped())
            // Where it says why it ended, if it did before it was killed.
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        // Waiting must not keep the runtime from ending the last tasks of the server before, which hold the history.
        let (send, answered) = unbounded_channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let published = output.lines().map_while(Result::ok).filter_map(|line| published(&line));
            published.for_each(|line| send.send(line).unwrap());
        });
        Publishing { child, answered, reader }
    }

    async fn next(&mut self) -> (u64, u64) {
        within(self.answered.recv()).await.expect("an answered release")
    }

    /// Kills the process. Gives what was answered last, if that was not taken yet.
    fn kill(mut self) -> Option<(u64, u64)> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        joined(self.reader);
        std::iter::from_fn(|| self.answered.try_recv().ok()).last()
    }
}

fn published(line: &str) -> Option<(u64, u64)> {
    let (number, counter) = line.strip_prefix("published ")?.split_once(' ')?;
    Some((number.parse().ok()?, counter.parse().ok()?))
}

#[tokio::test]
async fn killed_at_any_moment() {
    let mut site = TestSite::stopped(&[]);
    let mut answered = Vec::new();
    for round in 0..ROUNDS {
        let mut publishing = Publishing::start(&site, MANY);
        for _ in 0..1 + round % 4 {
            answered.push(publishing.next().await.0);
        }
        publishing.kill();
    }
    assert!(ROUNDS < answered.len());
    site.start(limited(MANY)).await;
    let head = fs::read(site.root().join("a.js")).unwrap();
    assert_eq!(site.get("/a.js").await.body, head);
    for number in answered {
        let version = Version::of(&release(number));
        let answer = site.ask(get(&format!("/a.js.driblet/{version}"))).await;
        assert_eq!(answer.status, 200, "release {number} is lost");
        assert_eq!(apply(Some(&release(number)), &answer.body).unwrap(), head);
    }
    are_whole(&site);
}

#[tokio::test]
async fn killed_at_random_moments_beyond_its_limits() {
    let mut site = TestSite::stopped(&[]);
    let (mut last, mut counters) = (None, 0);
    for round in 0..ROUNDS {
        let mut publishing = Publishing::start(&site, FEW);
        // Some rounds end before the history is open. The others end at a random moment after the first response.
        if round % 4 != 3 {
            last = Some(publishing.next().await);
            let error = Server::builder(site.root()).history(site.history()).build().await.expect_err("a refusal");
            assert!(matches!(error, BuildError::History(HistoryError::InUse { .. })), "{error}");
        }
        let moment = getrandom::u32().unwrap() % 120_000;
        let end = Instant::now() + Duration::from_micros(moment.into());
        while let Ok(Some(line)) = timeout_at(end, publishing.answered.recv()).await {
            last = Some(line);
        }
        last = publishing.kill().or(last);
        counters = whole_after_a_kill(&mut site, last, counters).await;
    }
    assert!(last.is_some() && ROUNDS as u64 / 2 < counters);
}

/// Opens the history of a killed server. Every version in it must be complete, and no answered release may be lost.
async fn whole_after_a_kill(site: &mut TestSite, last: Option<(u64, u64)>, before: u64) -> u64 {
    site.start(limited(FEW)).await;
    site.indexed().await;
    are_whole(site);
    assert!(site.kept_versions().len() <= 2 * FEW, "{} versions of two paths", site.kept_versions().len());
    assert_eq!(fs::read_dir(site.history().join("tmp")).unwrap().count(), 0);
    let mut counter = before;
    if let Some((number, answered)) = last {
        let head = fs::read(site.root().join("a.js")).unwrap();
        assert!(number <= number_of(&head), "an answered release went back");
        counter = site.get("/a.js.driblet/head").await.json()["counter"].as_u64().unwrap();
        assert!(answered <= counter && before <= counter, "{counter} after {answered} and {before}");
        for held in [number_of(&head) - 1, number] {
            let held = release(held);
            let answer = site.get(&format!("/a.js.driblet/{}", Version::of(&held))).await;
            assert_eq!(answer.status, 200);
            assert!(apply(Some(&held), &answer.body).unwrap() == head);
        }
    }
    site.stop().await;
    counter
}

/// Checks that each version has the bytes that its name says.
fn are_whole(site: &TestSite) {
    for name in site.kept_versions() {
        let bytes = fs::read(site.history().join("versions").join(&name)).unwrap();
        assert_eq!(name, Version::of(&bytes).to_string());
    }
}
