//! The history: restarts, limits and damage.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use driblet::{BuildError, HistoryError, HistoryLimits, Server, ServerBuilder, Version};

use crate::chain::chain;
use crate::support::{Slow, TestSite, apply, build, get, matched, post, random_bytes, sign, text, within};

#[tokio::test]
async fn versions_and_counters_survive_a_restart() {
    let mut site = TestSite::new(&[]).await;
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
    let site = TestSite::new(&[]).await;
    let version = site.publish("a.txt", b"the same").await;
    site.publish("b.txt", b"the same").await;
    assert_eq!(site.kept_versions(), [version.to_string()]);
}

#[tokio::test]
async fn the_oldest_versions_go_beyond_the_limit_of_each_path() {
    let limits = HistoryLimits::default().versions(3);
    let site = TestSite::with(&[], |builder| builder.history_limits(limits)).await;
    let mut versions = Vec::new();
    for round in 0..5 {
        versions.push(site.publish("a.txt", format!("round {round}").as_bytes()).await);
    }
    for (round, version) in versions.iter().enumerate() {
        let expected = if round < 2 { 404 } else { 200 };
        assert_eq!(site.get(&format!("/a.txt.driblet/{version}")).await.status, expected, "round {round}");
    }
    assert_eq!(site.kept_versions().len(), 3);
}

#[tokio::test]
async fn the_oldest_versions_of_all_go_beyond_the_limit_of_bytes_but_no_head() {
    let limits = HistoryLimits::default().bytes(250_000);
    let site = TestSite::with(&[], |builder| builder.history_limits(limits)).await;
    let a = site.publish("a.bin", &random_bytes(1, 100_000)).await;
    let b = site.publish("b.bin", &random_bytes(2, 100_000)).await;
    let b2 = site.publish("b.bin", &random_bytes(3, 100_000)).await;
    assert_eq!(site.get(&format!("/b.bin.driblet/{b}")).await.status, 404, "the oldest that is no head");
    let a2 = site.publish("a.bin", &random_bytes(4, 200_000)).await;
    assert_eq!(site.get(&format!("/a.bin.driblet/{a}")).await.status, 404);
    let mut heads = [a2.to_string(), b2.to_string()];
    heads.sort();
    assert_eq!(site.kept_versions(), heads, "heads stay beyond the limit");
    assert_eq!(site.get("/a.bin").await.body, random_bytes(4, 200_000));
}

#[tokio::test]
async fn what_is_being_read_outlives_its_eviction() {
    let limits = HistoryLimits::default().versions(1);
    let site = TestSite::with(&[], |builder| builder.history_limits(limits)).await;
    let bytes = random_bytes(1, 32 << 20);
    let version = site.publish("a.bin", &bytes).await;
    let reader = crate::support::Slow::start(get("/a.bin"), site.addr()).await;
    site.publish("a.bin", b"the next version").await;
    assert!(!site.kept(version).exists());
    let answer = reader.whole_answer().await;
    assert!(answer.body == bytes);
}

#[tokio::test]
async fn a_flipped_bit_is_noticed_and_healed() {
    let mut site = TestSite::new(&[]).await;
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
    assert_eq!(site.kept_versions(), [b.to_string()]);
}

#[tokio::test]
async fn a_flipped_bit_is_noticed_while_the_server_runs() {
    let site = TestSite::new(&[]).await;
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
    let mut site = TestSite::new(&[]).await;
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
    assert_eq!(site.kept_versions(), [b.to_string()]);
    assert_eq!(fs::read_dir(site.history().join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_history_inside_the_root_is_refused() {
    let site = TestSite::stopped(&[("app.js", b"let a;")]);
    std::os::unix::fs::symlink(site.root(), site.outside().join("link")).unwrap();
    for folder in [
        site.root().join("history"),
        site.root(),
        site.root().join("a/b/c"),
        site.outside().join("link/h"),
        site.outside().join("new/../root/h"),
    ] {
        let error = Server::builder(site.root()).history(&folder).build().await.expect_err("a refusal");
        assert!(matches!(error, BuildError::History(HistoryError::InsideRoot { .. })), "{}", chain(&error));
        assert!(error.to_string().contains("ServerBuilder::history"), "{error}");
    }
    assert_eq!(fs::read_dir(site.root()).unwrap().count(), 1, "nothing was made");
}

#[tokio::test]
async fn a_history_in_use_is_refused() {
    let site = TestSite::new(&[("app.js", b"let a;")]).await;
    let error = Server::builder(site.root()).history(site.history()).build().await.expect_err("a refusal");
    assert!(matches!(error, BuildError::History(HistoryError::InUse { .. })), "{error}");
    assert_eq!(site.get("/app.js").await.text(), "let a;", "the first goes on");
}

#[tokio::test]
async fn a_folder_of_other_files_is_no_history() {
    let site = TestSite::stopped(&[("app.js", b"let a;")]);
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
    let site = TestSite::with(&[], |builder| builder.history_limits(limits)).await;
    // As bundlers do: each build makes a new name, and removes the last one.
    for build in 0..6 {
        let name = format!("app-{build}.js");
        site.publish(&name, &random_bytes(build, 100_000)).await;
        fs::remove_file(site.root().join(&name)).unwrap();
        assert_eq!(site.get(&format!("/{name}")).await.status, 404);
    }
    assert!(site.kept_versions().len() <= 3, "{} builds are kept", site.kept_versions().len());
}

#[tokio::test]
async fn files_that_went_while_nobody_looked_make_room() {
    let limits = HistoryLimits::default().bytes(250_000);
    let mut site = TestSite::with(&[], |builder| builder.history_limits(limits)).await;
    let gone = site.publish("old.js", &random_bytes(1, 200_000)).await;
    site.stop().await;
    fs::remove_file(site.root().join("old.js")).unwrap();
    site.start(|builder| builder.history_limits(limits)).await;
    site.indexed().await;
    let new = site.publish("new.js", &random_bytes(2, 200_000)).await;
    assert!(!site.kept(gone).exists());
    assert_eq!(site.kept_versions(), [new.to_string()]);
}

#[tokio::test]
async fn a_version_whose_file_is_removed_while_the_server_runs() {
    let site = TestSite::new(&[]).await;
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
    let mut site = TestSite::stopped(&[("app.js", b"let a;")]);
    fs::create_dir_all(site.history().join("versions")).unwrap();
    site.start(|builder| builder).await;
    assert_eq!(site.get("/app.js").await.text(), "let a;");
}

fn flip(site: &TestSite, version: Version) {
    let file = fs::File::options().read(true).write(true).open(site.kept(version)).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 20_000).unwrap();
    file.write_all_at(&[byte[0] ^ 4], 20_000).unwrap();
    // However coarse the clock is, the file looks different now.
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
}

/// A way to damage a version's file, and its name.
type Damage<'a> = (&'a str, &'a dyn Fn(&Path));

#[tokio::test]
async fn an_evicted_version_is_told_how_to_sign_and_signs() {
    let limits = HistoryLimits::default().versions(2);
    let site = TestSite::with(&[], |builder| builder.history_limits(limits)).await;
    let releases: Vec<Vec<u8>> = (0..3).map(|number| [random_bytes(1, 80_000), text(number, 3_000)].concat()).collect();
    for release in &releases {
        site.publish("app.js", release).await;
    }
    let (held, head) = (&releases[0], &releases[2]);
    let answer = site.get(&format!("/app.js.driblet/{}", Version::of(held))).await;
    assert!(answer.refuses(404, "unknown-version"));
    let problem = answer.json();
    assert_eq!(problem["head"], Version::of(head).to_string());
    assert_eq!((&problem["length"], &problem["counter"]), (&head.len().into(), &3.into()));
    let (signature, chunks) = sign(held, head);
    let answer = site.ask(post("/app.js.driblet/signature", signature.encode())).await;
    let (file, basis) = matched(held, &chunks, &answer.body);
    assert!(file == *head && 70_000 < basis);
}

#[tokio::test]
async fn a_delta_that_is_being_read_outlives_the_eviction_of_both_its_versions() {
    let limits = HistoryLimits::default().versions(1).bytes(1 << 20);
    let site = TestSite::with(&[], |builder| builder.history_limits(limits).artifact_bytes(1 << 20)).await;
    let bytes = random_bytes(1, 24 << 20);
    site.publish("a.bin", &bytes).await;
    let reader = Slow::start(get("/a.bin.driblet/none"), site.addr()).await;
    site.publish("a.bin", b"the next version").await;
    site.get("/a.bin.driblet/none").await;
    assert!(apply(None, &reader.whole_answer().await.body).unwrap() == bytes);
}

#[tokio::test]
async fn a_counter_never_goes_back() {
    let limits = HistoryLimits::default().bytes(10_000);
    let mut site = TestSite::with(&[], |builder| builder.history_limits(limits)).await;
    site.publish("a.bin", &random_bytes(1, 4_000)).await;
    site.publish("a.bin", &random_bytes(2, 4_000)).await;
    fs::remove_file(site.root().join("a.bin")).unwrap();
    assert_eq!(site.get("/a.bin").await.status, 404);
    site.publish("b.bin", &random_bytes(3, 9_000)).await;
    assert_eq!(site.kept_versions().len(), 1, "no version of a.bin is left");
    site.publish("a.bin", &random_bytes(1, 4_000)).await;
    let counter = async |site: &TestSite| site.get("/a.bin.driblet/head").await.json()["counter"].as_u64().unwrap();
    assert_eq!(counter(&site).await, 3);
    site.stop().await;
    for entry in fs::read_dir(site.history().join("versions")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    site.start(|builder| builder).await;
    assert!(3 <= counter(&site).await);
    assert_eq!(site.get("/a.bin").await.body, random_bytes(1, 4_000));
}

#[tokio::test]
async fn whatever_happens_to_a_version_it_is_not_sent() {
    let (old, new) = (text(1, 50_000), text(2, 50_000));
    let write = |path: &Path, byte: u64| {
        let file = fs::File::options().read(true).write(true).open(path).unwrap();
        let mut was = [0];
        file.read_exact_at(&mut was, byte).unwrap();
        file.write_all_at(&[was[0] ^ 1], byte).unwrap();
    };
    let cut = |path: &Path, len: u64| fs::File::options().write(true).open(path).unwrap().set_len(len).unwrap();
    let damages: &[Damage] = &[
        ("first byte", &|path| write(path, 0)),
        ("last byte", &|path| write(path, 49_999)),
        ("emptied", &|path| cut(path, 0)),
        ("one byte short", &|path| cut(path, 49_999)),
        ("one byte more", &|path| cut(path, 50_001)),
        ("removed", &|path| fs::remove_file(path).unwrap()),
        ("another's bytes", &|path| fs::write(path, text(3, 50_000)).unwrap()),
    ];
    for (name, damage) in damages {
        for restarts in [false, true] {
            let mut site = TestSite::new(&[]).await;
            let a = site.publish("app.js", &old).await;
            let b = site.publish("app.js", &new).await;
            assert!(site.get(&format!("/app.js.driblet/{a}-{b}")).await.status == 200, "both are open once");
            site.prepared().await;
            if restarts {
                site.stop().await;
            }
            damage(&site.kept(a));
            damage(&site.kept(b));
            if restarts {
                site.start(|builder| builder).await;
            }
            let plain = site.get("/app.js").await;
            assert!(plain.status == 200 && plain.body == new, "{name}: the head heals");
            let cold = site.get("/app.js.driblet/none").await;
            assert!(apply(None, &cold.body).unwrap() == new, "{name}");
            for resource in [format!("{a}"), format!("{a}-{b}"), format!("none-{a}"), format!("{b}-{a}")] {
                let answer = site.get(&format!("/app.js.driblet/{resource}")).await;
                assert!(answer.refuses(404, "unknown-version"), "{name}: {resource}");
            }
            assert_eq!(site.kept_versions(), [b.to_string()], "{name}");
            assert!(fs::read(site.kept(b)).unwrap() == new, "{name}");
        }
    }
}

#[tokio::test]
async fn a_damaged_index_is_a_clear_error_or_a_new_start() {
    let mut site = TestSite::new(&[("app.js", b"let a;")]).await;
    site.stop().await;
    // The next start waits until the history is closed.
    site.start(|builder| builder).await;
    site.stop().await;
    // A server that still indexes would write to the files that are damaged below.
    within(reopened(&site, |builder| builder).await.unwrap().indexed()).await;
    let index = site.history().join("index.redb");
    let good = fs::read(&index).unwrap();
    let mut cases = vec![b"not an index".to_vec(), random_bytes(1, good.len()), Vec::new(), [&good[..], &[7]].concat()];
    cases.extend([1, 320, 4096, good.len() / 2, good.len() - 1].map(|len| good[..len].to_vec()));
    cases.extend((0..good.len()).step_by(good.len() / 40).map(|at| {
        let mut flipped = good.clone();
        flipped[at..good.len().min(at + 64)].iter_mut().for_each(|byte| *byte ^= 0x5a);
        flipped
    }));
    for (number, case) in cases.iter().enumerate() {
        fs::write(&index, case).unwrap();
        match reopened(&site, |builder| builder).await {
            Ok(server) => within(server.indexed()).await,
            Err(error) => {
                let text = chain(&error);
                assert!(matches!(error, BuildError::History(HistoryError::Index { .. })), "case {number}: {text}");
                assert!(
                    text.contains("index.redb") && text.contains("remove the history's folder"),
                    "case {number}: {text}"
                );
            }
        }
    }
    drop(reopened(&site, |builder| builder).await);
    fs::remove_dir_all(site.history()).unwrap();
    site.start(|builder| builder).await;
    assert_eq!(site.get("/app.js").await.text(), "let a;", "anew, as the error says");
}

#[tokio::test]
async fn leftovers_go_at_the_start() {
    let mut site = TestSite::new(&[("app.js", b"let a;")]).await;
    site.stop().await;
    let versions = site.history().join("versions");
    let unnamed = Version::of(b"nobody names me");
    for name in [&unnamed.to_string(), "UPPER", "app.js", &"a".repeat(63)] {
        fs::write(versions.join(name), "nobody names me").unwrap();
    }
    fs::create_dir(site.history().join("tmp/deep")).unwrap();
    fs::write(site.history().join("tmp/deep/left"), "over").unwrap();
    site.start(|builder| builder).await;
    assert_eq!(site.kept_versions(), [Version::of(b"let a;").to_string()]);
    assert_eq!(fs::read_dir(site.history().join("tmp")).unwrap().count(), 0);
    assert!(site.get(&format!("/app.js.driblet/none-{unnamed}")).await.refuses(404, "unknown-version"));
}

/// A server of the same folders.
async fn reopened(site: &TestSite, options: impl Fn(ServerBuilder) -> ServerBuilder) -> Result<Server, BuildError> {
    build(|| options(Server::builder(site.root()).history(site.history()))).await
}
