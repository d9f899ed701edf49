//! What the server keeps: through restarts, limits, damage and kill -9.

use std::fs;
use std::os::unix::fs::FileExt;

use driblet::{BuildError, HistoryError, HistoryLimits, Server, Version};

use crate::support::{Site, apply, get, random_bytes, text};

#[tokio::test]
async fn versions_and_counters_survive_a_restart() {
    let mut site = Site::new(&[]).await;
    let (old, new) = (text(1, 50_000), text(2, 50_000));
    let a = site.publish("app.js", &old).await;
    site.publish("app.js", &new).await;
    site.restart().await;
    assert_eq!(site.get("/app.js.driblet/head").await.json()["counter"], 2);
    let delta = site.get(&format!("/app.js.driblet/{a}")).await.body;
    assert_eq!(apply(Some(&old), &delta).unwrap(), new);
    site.stop().await;
    site.write("app.js", b"changed while nobody looked");
    site.start(|builder| builder).await;
    assert_eq!(site.get("/app.js.driblet/head").await.json()["counter"], 3);
}

#[tokio::test]
async fn what_stands_in_a_second_path_is_kept_once() {
    let site = Site::new(&[]).await;
    let version = site.publish("a.txt", b"the same").await;
    site.publish("b.txt", b"the same").await;
    assert_eq!(kept(&site), [version.to_string()]);
}

#[tokio::test]
async fn the_oldest_versions_go_beyond_the_limit_of_each_path() {
    let limits = HistoryLimits::default().versions(3);
    let site = Site::with(&[], |builder| builder.history_limits(limits)).await;
    let mut versions = Vec::new();
    for round in 0..5 {
        versions.push(site.publish("a.txt", format!("round {round}").as_bytes()).await);
    }
    for (round, version) in versions.iter().enumerate() {
        let expected = if round < 2 { 404 } else { 200 };
        assert_eq!(site.get(&format!("/a.txt.driblet/{version}")).await.status, expected, "round {round}");
    }
    assert_eq!(kept(&site).len(), 3);
}

#[tokio::test]
async fn the_oldest_versions_of_all_go_beyond_the_limit_of_bytes_but_no_head() {
    let limits = HistoryLimits::default().bytes(250_000);
    let site = Site::with(&[], |builder| builder.history_limits(limits)).await;
    let a = site.publish("a.bin", &random_bytes(1, 100_000)).await;
    let b = site.publish("b.bin", &random_bytes(2, 100_000)).await;
    let b2 = site.publish("b.bin", &random_bytes(3, 100_000)).await;
    assert_eq!(site.get(&format!("/b.bin.driblet/{b}")).await.status, 404, "the oldest that is no head");
    let a2 = site.publish("a.bin", &random_bytes(4, 200_000)).await;
    assert_eq!(site.get(&format!("/a.bin.driblet/{a}")).await.status, 404);
    let mut heads = [a2.to_string(), b2.to_string()];
    heads.sort();
    assert_eq!(kept(&site), heads, "heads stay beyond the limit");
    assert_eq!(site.get("/a.bin").await.body, random_bytes(4, 200_000));
}

#[tokio::test]
async fn what_is_being_read_outlives_its_eviction() {
    let limits = HistoryLimits::default().versions(1);
    let site = Site::with(&[], |builder| builder.history_limits(limits)).await;
    let bytes = random_bytes(1, 32 << 20);
    let version = site.publish("a.bin", &bytes).await;
    let reader = crate::support::Slow::start(get("/a.bin"), site.addr()).await;
    site.publish("a.bin", b"the next version").await;
    assert!(!site.kept(version).exists());
    let answer = reader.rest().await;
    assert!(answer.body == bytes);
}

#[tokio::test]
async fn a_flipped_bit_is_noticed_and_healed() {
    let mut site = Site::new(&[]).await;
    let (old, new) = (text(1, 50_000), text(2, 50_000));
    let a = site.publish("app.js", &old).await;
    let b = site.publish("app.js", &new).await;
    site.stop().await;
    flip(&site, a);
    flip(&site, b);
    site.start(|builder| builder).await;
    let healed = site.get("/app.js").await;
    assert!(healed.status == 200 && healed.body == new, "the head is read anew: {}", healed.status);
    assert!(site.get(&format!("/app.js.driblet/{a}")).await.refuses(404, "unknown-version"));
    assert_eq!(kept(&site), [b.to_string()]);
}

#[tokio::test]
async fn a_flipped_bit_is_noticed_while_the_server_runs() {
    let site = Site::new(&[]).await;
    let (old, new) = (text(1, 50_000), text(2, 50_000));
    let a = site.publish("app.js", &old).await;
    let b = site.publish("app.js", &new).await;
    assert_eq!(site.get("/app.js").await.body, new);
    assert_eq!(site.get(&format!("/app.js.driblet/{a}")).await.status, 200);
    flip(&site, a);
    flip(&site, b);
    for resource in ["", ".driblet/none"] {
        let answer = site.get(&format!("/app.js{resource}")).await;
        assert_eq!(answer.status, 200, "{resource}");
        let file = if resource.is_empty() { answer.body } else { apply(None, &answer.body).unwrap() };
        assert!(file == new, "{resource}");
    }
    for name in [format!("{a}"), format!("{a}-{b}")] {
        assert!(site.get(&format!("/app.js.driblet/{name}")).await.refuses(404, "unknown-version"));
    }
}

#[tokio::test]
async fn missing_and_shortened_files_are_dropped_and_read_anew() {
    let mut site = Site::new(&[]).await;
    let (old, new) = (text(1, 50_000), text(2, 50_000));
    let a = site.publish("app.js", &old).await;
    let b = site.publish("app.js", &new).await;
    site.stop().await;
    fs::remove_file(site.kept(b)).unwrap();
    fs::write(site.kept(a), &old[..40_000]).unwrap();
    fs::write(site.history().join("tmp/left"), "over").unwrap();
    fs::write(site.kept(Version::of(b"unnamed")), "unnamed").unwrap();
    site.start(|builder| builder).await;
    assert_eq!(site.get("/app.js").await.body, new);
    assert!(site.get(&format!("/app.js.driblet/{a}")).await.refuses(404, "unknown-version"));
    assert_eq!(kept(&site), [b.to_string()]);
    assert_eq!(fs::read_dir(site.history().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_history_inside_the_root_is_refused() {
    let site = Site::stopped(&[("app.js", b"let a;")]);
    std::os::unix::fs::symlink(site.root(), site.outside().join("link")).unwrap();
    for folder in [
        site.root().join("history"),
        site.root(),
        site.root().join("a/b/c"),
        site.outside().join("link/h"),
        site.outside().join("new/../root/h"),
    ] {
        let error = Server::builder(site.root()).history(&folder).build().await.expect_err("a refusal");
        assert!(matches!(error, BuildError::History(HistoryError::InsideRoot { .. })), "{error}");
        assert!(error.to_string().contains("--history"), "{error}");
    }
    assert_eq!(fs::read_dir(site.root()).unwrap().count(), 1, "nothing was made");
}

#[tokio::test]
async fn a_history_in_use_is_refused() {
    let site = Site::new(&[("app.js", b"let a;")]).await;
    let error = Server::builder(site.root()).history(site.history()).build().await.expect_err("a refusal");
    assert!(matches!(error, BuildError::History(HistoryError::InUse { .. })), "{error}");
    assert_eq!(site.get("/app.js").await.text(), "let a;", "the first goes on");
}

#[tokio::test]
async fn a_folder_of_other_files_is_no_history() {
    let site = Site::stopped(&[("app.js", b"let a;")]);
    for name in ["tmp/draft.txt", "versions/1.0/app.js"] {
        let path = site.history().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "years of work").unwrap();
    }
    let refused = Server::builder(site.root()).history(site.history()).build().await;
    assert!(refused.is_err());
    for name in ["tmp/draft.txt", "versions/1.0/app.js"] {
        assert_eq!(fs::read_to_string(site.history().join(name)).unwrap(), "years of work");
    }
}

#[tokio::test]
async fn heads_of_files_that_are_gone_make_room() {
    let limits = HistoryLimits::default().bytes(250_000);
    let site = Site::with(&[], |builder| builder.history_limits(limits)).await;
    // A bundler's output: each build brings a new name, and removes the last.
    for build in 0..6 {
        let name = format!("app-{build}.js");
        site.publish(&name, &random_bytes(build, 100_000)).await;
        fs::remove_file(site.root().join(&name)).unwrap();
        assert_eq!(site.get(&format!("/{name}")).await.status, 404);
    }
    assert!(kept(&site).len() <= 3, "{} builds are kept", kept(&site).len());
}

#[tokio::test]
async fn files_that_went_while_nobody_looked_make_room() {
    let limits = HistoryLimits::default().bytes(250_000);
    let mut site = Site::with(&[], |builder| builder.history_limits(limits)).await;
    let gone = site.publish("old.js", &random_bytes(1, 200_000)).await;
    site.stop().await;
    fs::remove_file(site.root().join("old.js")).unwrap();
    site.start(|builder| builder.history_limits(limits)).await;
    site.server().indexed().await;
    let new = site.publish("new.js", &random_bytes(2, 200_000)).await;
    assert!(!site.kept(gone).exists());
    assert_eq!(kept(&site), [new.to_string()]);
}

#[tokio::test]
async fn a_version_whose_file_is_removed_while_the_server_runs() {
    let site = Site::new(&[]).await;
    let (old, new) = (text(1, 50_000), text(2, 50_000));
    let a = site.publish("app.js", &old).await;
    let b = site.publish("app.js", &new).await;
    fs::remove_file(site.kept(a)).unwrap();
    fs::remove_file(site.kept(b)).unwrap();
    assert_eq!(site.get("/app.js").await.body, new);
    assert!(site.get(&format!("/app.js.driblet/{a}")).await.refuses(404, "unknown-version"));
}

#[tokio::test]
async fn a_history_that_was_killed_at_its_very_first_step() {
    let mut site = Site::stopped(&[("app.js", b"let a;")]);
    fs::create_dir_all(site.history().join("versions")).unwrap();
    site.start(|builder| builder).await;
    assert_eq!(site.get("/app.js").await.text(), "let a;");
}

/// The names in the history's folder of versions.
fn kept(site: &Site) -> Vec<String> {
    let entries = fs::read_dir(site.history().join("versions")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn flip(site: &Site, version: Version) {
    let file = fs::File::options().read(true).write(true).open(site.kept(version)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 20_000).unwrap();
    file.write_all_at(&[byte[0] ^ 4], 20_000).unwrap();
    // However coarse the clock: the file does not look as it did.
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
}
