//! Many short files that are published together lie in one file of the history.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use driblet::{HistoryLimits, Version};

use crate::support::{TestSite, get, text};

const FILES: u64 = 40;

fn name(number: u64) -> String {
    format!("d{}/f{number}.txt", number % 3)
}

fn content(number: u64, build: u64) -> Vec<u8> {
    [format!("file {number} of build {build}\n").into_bytes(), text(number, 300 + 10 * number as usize)].concat()
}

/// Writes a build, in which some files are as before.
fn write(site: &TestSite, build: u64, changed: impl Fn(u64) -> bool) {
    for number in (0..FILES).filter(|number| changed(*number)) {
        site.write(&name(number), &content(number, build));
    }
}

async fn site(versions: usize) -> TestSite {
    let mut site = TestSite::stopped(&[]);
    site.start(|builder| builder.directory("").history_limits(HistoryLimits::default().versions(versions))).await;
    // The index at the start would publish files one by one that are being written.
    site.indexed().await;
    write(&site, 0, |_| true);
    site.server().publish(None).await.unwrap();
    site
}

/// Waits until all files are old enough to be published together at the start. Only time makes them so.
async fn rested(site: &TestSite) {
    let youngest =
        (0..FILES).map(|number| fs::metadata(site.root().join(name(number))).unwrap().modified().unwrap()).max();
    let age = SystemTime::now().duration_since(youngest.unwrap()).unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(150).saturating_sub(age)).await;
}

/// The segments of a site's history, and their lengths.
fn segments(site: &TestSite) -> BTreeMap<PathBuf, u64> {
    let entries = fs::read_dir(site.history().join("segments")).unwrap().map(Result::unwrap);
    entries.map(|entry| (entry.path(), entry.metadata().unwrap().len())).collect()
}

fn bytes_of(build: u64, numbers: impl Iterator<Item = u64>) -> u64 {
    numbers.map(|number| content(number, build).len() as u64).sum()
}

async fn assert_served(site: &TestSite, build: impl Fn(u64) -> u64) {
    for number in 0..FILES {
        let expected = content(number, build(number));
        assert_eq!(site.get(&format!("/{}", name(number))).await.body, expected, "{number}");
        let delta = site.get(&format!("/{}.driblet/none", name(number))).await;
        assert_eq!(crate::support::apply(None, &delta.body).unwrap(), expected, "{number}");
    }
}

#[tokio::test]
async fn many_files_are_one_segment() {
    let mut site = site(8).await;
    assert_eq!(segments(&site).into_values().collect::<Vec<_>>(), [bytes_of(0, 0..FILES)]);
    // The manifest has a file of its own.
    assert_eq!(site.kept_versions().len(), 1);
    assert_served(&site, |_| 0).await;
    // A range of a file is a range of its own bytes.
    let part = site.ask(get(&format!("/{}", name(7))).header("range", "bytes=5-9")).await;
    assert_eq!((part.status, &part.body[..]), (206, &content(7, 0)[5..10]));
    let readings = site.server().stats().readings;
    site.restart().await;
    site.indexed().await;
    assert_served(&site, |_| 0).await;
    assert_eq!((readings, site.server().stats().readings), (FILES, 0), "an unchanged file is not read again");
}

#[tokio::test]
async fn a_version_of_the_directory_needs_its_files() {
    let site = site(1).await;
    write(&site, 1, |_| true);
    site.server().publish(None).await.unwrap();
    // The directory's version before has the old files.
    assert_eq!(site.server().versions(Some("/")).await.unwrap()[0].versions.len(), 2);
    assert_eq!(segments(&site).into_values().collect::<Vec<_>>(), [bytes_of(0, 0..FILES), bytes_of(1, 0..FILES)]);
    let file = site.server().versions(Some(&name(1))).await.unwrap();
    assert_eq!(file[0].versions.len(), 1);
    assert_served(&site, |_| 1).await;
}

#[tokio::test]
async fn what_is_left_of_a_sparse_segment_is_moved() {
    // No directory keeps old versions here.
    let mut site = TestSite::stopped(&[]);
    write(&site, 0, |_| true);
    rested(&site).await;
    site.start(|builder| builder.history_limits(HistoryLimits::default().versions(1))).await;
    site.indexed().await;
    let [first]: [PathBuf; 1] = segments(&site).into_keys().collect::<Vec<_>>().try_into().unwrap();
    let is_changed = |number: u64| !number.is_multiple_of(4);
    for number in (0..FILES).filter(|number| is_changed(*number)) {
        site.publish(&name(number), &content(number, 1)).await;
    }
    // At least half of what is on the disk is needed.
    let moved = segments(&site);
    let needed = bytes_of(0, (0..FILES).filter(|number| !is_changed(*number)));
    assert!(moved.values().sum::<u64>() <= 2 * needed && !moved.contains_key(&first), "{moved:?}, {needed} needed");
    for number in 0..FILES {
        site.publish(&name(number), &content(number, 2)).await;
    }
    assert_eq!(segments(&site), BTreeMap::new());
    write(&site, 1, is_changed);
    write(&site, 0, |number| !is_changed(number));
    assert_served(&site, |number| u64::from(is_changed(number))).await;
    site.restart().await;
    site.indexed().await;
    assert_served(&site, |number| u64::from(is_changed(number))).await;
}

#[tokio::test]
async fn a_damaged_segment_costs_readings_and_nothing_else() {
    let site = site(8).await;
    let path = segments(&site).into_keys().next().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes.iter_mut().step_by(100).for_each(|byte| *byte ^= 1);
    fs::write(&path, &bytes).unwrap();
    assert_served(&site, |_| 0).await;
    assert!(site.server().stats().readings <= 3 * FILES, "{:?}", site.server().stats());
}

#[tokio::test]
async fn a_segment_that_is_lost_stops_no_publication() {
    let site = site(1).await;
    fs::remove_file(segments(&site).into_keys().next().unwrap()).unwrap();
    // The lost segment becomes sparse, and cannot be moved.
    for build in 1..4 {
        for number in 0..FILES - 4 {
            site.publish(&name(number), &content(number, build)).await;
        }
        write(&site, build, |number| number < FILES - 4);
        site.server().publish(None).await.unwrap();
    }
    assert_served(&site, |number| if number < FILES - 4 { 3 } else { 0 }).await;
}

#[tokio::test]
async fn a_segment_that_is_lost_at_the_start_is_made_again() {
    let mut site = site(8).await;
    site.stop().await;
    let path = segments(&site).into_keys().next().unwrap();
    for lose in [|path: &PathBuf| fs::remove_file(path).unwrap(), |path: &PathBuf| fs::write(path, b"short").unwrap()] {
        lose(&path);
        fs::write(path.with_file_name("stranger"), b"a file that is no segment").unwrap();
        site.restart().await;
        site.indexed().await;
        assert_served(&site, |_| 0).await;
        assert!(segments(&site).keys().all(|path| !path.ends_with("stranger")));
        site.stop().await;
    }
}

#[tokio::test]
async fn a_forgotten_version_leaves_its_segment() {
    let site = site(8).await;
    site.server().publish(None).await.unwrap();
    fs::remove_file(site.root().join(name(5))).unwrap();
    site.server().forget(&name(5), Some(Version::of(&content(5, 0)))).await.unwrap();
    for (path, len) in segments(&site) {
        assert_eq!(len, bytes_of(0, (0..FILES).filter(|number| *number != 5)));
        let needle = b"file 5 of build 0\n";
        assert!(!fs::read(path).unwrap().windows(needle.len()).any(|window| window == needle));
    }
    assert_eq!(site.get(&format!("/{}", name(6))).await.body, content(6, 0));
}
