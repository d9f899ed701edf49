//! A server that is killed at any moment leaves a valid history with every version that it has answered.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use driblet::Version;

use crate::support::{TestSite, apply, get};

const PLACE: &str = "DRIBLET_TEST_PUBLISHES_IN";
const ROUNDS: usize = 12;

fn release(number: u64) -> Vec<u8> {
    format!("release {number}\n").repeat(2_000).into_bytes()
}

/// Not a test, but the process that is killed. It publishes one release after the other, and prints each number that
/// was answered.
#[tokio::test]
#[ignore = "the child process of the test below"]
async fn publishes_for_ever() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let mut site = TestSite::at(place.into());
    site.start(|builder| builder.history_limits(driblet::HistoryLimits::default().versions(1000).bytes(1 << 30))).await;
    let first = site.get("/app.js.driblet/head").await;
    let counter = if first.status == 200 { first.json()["counter"].as_u64().unwrap() } else { 0 };
    for number in counter.. {
        site.publish("app.js", &release(number)).await;
        println!("\npublished {number}");
    }
}

#[tokio::test]
async fn killed_at_any_moment() {
    let mut site = TestSite::stopped(&[]);
    let mut answered = Vec::new();
    for round in 0..ROUNDS {
        let mut child = publishing(&site);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let published = lines.filter_map(|line| line.ok()?.strip_prefix("published ")?.parse::<u64>().ok());
        answered.extend(published.take(1 + round % 4));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(ROUNDS < answered.len());
    let limits = driblet::HistoryLimits::default().versions(1000).bytes(1 << 30);
    site.start(|builder| builder.history_limits(limits)).await;
    let head = std::fs::read(site.root().join("app.js")).unwrap();
    assert_eq!(site.get("/app.js").await.body, head);
    for number in answered {
        let version = Version::of(&release(number));
        let answer = site.ask(get(&format!("/app.js.driblet/{version}"))).await;
        assert_eq!(answer.status, 200, "release {number} is lost");
        assert_eq!(apply(Some(&release(number)), &answer.body).unwrap(), head);
    }
    for entry in std::fs::read_dir(site.history().join("versions")).unwrap() {
        let entry = entry.unwrap();
        let bytes = std::fs::read(entry.path()).unwrap();
        assert_eq!(entry.file_name().into_string().unwrap(), Version::of(&bytes).to_string());
    }
}

/// This test program, running only the endless test above.
fn publishing(site: &TestSite) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::publishes_for_ever", "--ignored", "--nocapture"])
        .env(PLACE, site.outside())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
