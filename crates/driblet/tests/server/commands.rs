//! What operators ask of a running server, by its methods and through its socket.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use driblet::Version;
use driblet::control::{CommandError, Control, ControlError};

use crate::support::{TestSite, random_bytes, text, within};

async fn site(files: &[(&str, &[u8])]) -> TestSite {
    TestSite::with(files, |builder| builder.directory("").directory("app")).await
}

/// Every file below a folder that contains these bytes.
fn files_with(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_with(&entry.path(), bytes));
        } else if fs::read(entry.path()).unwrap().windows(bytes.len()).any(|window| window == bytes) {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn a_build_that_is_complete_is_published() {
    let site = site(&[("app/a", b"1"), ("app/b", b"2"), ("app/c", b"3"), ("other", b"4")]).await;
    let first = within(site.server().publish(None)).await.unwrap();
    let seen: Vec<_> = first.iter().map(|published| (published.path.as_str(), published.files)).collect();
    assert_eq!(seen, [("/", Some(4)), ("app/", Some(3))]);
    // Most files are gone, which looks like a build in the middle.
    fs::remove_file(site.root().join("app/a")).unwrap();
    fs::remove_file(site.root().join("app/b")).unwrap();
    let second = within(site.server().publish(Some("app/"))).await.unwrap();
    assert_eq!(second.iter().map(|published| published.files).collect::<Vec<_>>(), [Some(1)]);
    let head = site.get("/app/.driblet/head").await.json();
    assert_eq!(head["version"], second[0].version.to_string());
    let file = within(site.server().publish(Some("/other"))).await.unwrap();
    assert_eq!((file[0].path.as_str(), file[0].version, file[0].files), ("other", Version::of(b"4"), None));
    for path in ["nothing", "app/nothing/"] {
        let refused = within(site.server().publish(Some(path))).await.unwrap_err();
        assert!(matches!(refused, CommandError::NoSnapshot { .. }), "{refused}");
    }
}

#[tokio::test]
async fn a_single_file_is_published_too() {
    let mut site = TestSite::stopped(&[("app.js", b"let a;")]);
    let file = site.root().join("app.js");
    let history = site.history();
    site.start(|_| driblet::Server::builder(file).history(history).directory("").ahead(0)).await;
    let published = within(site.server().publish(None)).await.unwrap();
    assert_eq!((published[0].path.as_str(), published[0].version), ("app.js", Version::of(b"let a;")));
}

#[tokio::test]
async fn what_the_history_has_is_listed() {
    let site = site(&[("app/a", b"1")]).await;
    site.publish("app.js", b"old").await;
    site.publish("app.js", b"new").await;
    within(site.server().publish(None)).await.unwrap();
    let all = site.server().versions(None).await.unwrap();
    let paths: Vec<&str> = all.iter().map(|path| path.path.as_str()).collect();
    assert_eq!(paths, ["/", "app.js", "app/", "app/a"]);
    let file = &site.server().versions(Some("/app.js")).await.unwrap()[0];
    let seen: Vec<_> = file.versions.iter().map(|it| (it.version, it.len, it.replaced.is_none())).collect();
    assert_eq!(seen, [(Version::of(b"new"), 3, true), (Version::of(b"old"), 3, false)]);
    assert!(file.versions[1].published <= file.versions[1].replaced.unwrap());
    assert!(matches!(site.server().versions(Some("none")).await, Err(CommandError::NotStored { .. })));
}

#[tokio::test]
async fn a_version_that_is_forgotten_is_nowhere() {
    let (secret, rest) = (random_bytes(1, 4_000), text(2, 4_000));
    let site = site(&[("app/secret", &secret), ("copy", &secret), ("app/rest", &rest)]).await;
    let before = within(site.server().publish(Some("app"))).await.unwrap()[0].version;
    let version = Version::of(&secret);
    // Artifacts that have its bytes: a delta, a part, and those that outlive the server.
    let part = site.get("/app/.driblet/none").await;
    assert_eq!(part.status, 200);
    site.get("/app/secret.driblet/none").await;
    site.prepared().await;
    assert_ne!(files_with(&site.history(), &secret), [""; 0]);

    // What is published is not forgotten.
    let refused = site.server().forget("app/secret", None).await.unwrap_err();
    assert!(matches!(refused, CommandError::StillPublished { .. }), "{refused}");
    fs::remove_file(site.root().join("app/secret")).unwrap();
    let refused = site.server().forget("app/secret", Some(version)).await.unwrap_err();
    let CommandError::StillPublished { path, .. } = refused else { panic!("{refused}") };
    assert_eq!(path, "copy");
    assert_eq!(site.get("/copy").await.body, secret);

    fs::write(site.root().join("copy"), b"harmless").unwrap();
    let forgotten = site.server().forget("app/secret", Some(version)).await.unwrap();
    assert_eq!(forgotten.versions, 1);
    assert_eq!(forgotten.paths, ["app/", "app/secret", "copy"]);
    assert_eq!(files_with(&site.history(), &secret), [""; 0]);
    for (path, code) in [
        (format!("/app/.driblet/{before}"), "unknown-version"),
        (format!("/app/.driblet/manifest/{before}"), "unknown-version"),
        (format!("/copy.driblet/{version}"), "unknown-version"),
        (format!("/copy.driblet/none-{version}"), "unknown-version"),
        (format!("/app/secret.driblet/{version}"), "no-such-file"),
        (format!("/app/secret.driblet/grant-{version}"), "unknown-version"),
    ] {
        let answer = site.get(&path).await;
        assert!(answer.refuses(404, code), "{path}: {}", String::from_utf8_lossy(&answer.body));
    }
    let head = site.get("/app/.driblet/none").await;
    assert!(head.status == 200 && !head.body.windows(64).any(|window| window == &secret[..64]));
    assert!(matches!(site.server().forget("app/secret", None).await, Err(CommandError::NotStored { .. })));
}

#[tokio::test]
async fn what_is_forgotten_stays_so_after_a_restart() {
    let mut site = site(&[]).await;
    let old = site.publish("app.js", b"old").await;
    let new = site.publish("app.js", b"new").await;
    site.server().forget("app.js", Some(old)).await.unwrap();
    site.restart().await;
    site.indexed().await;
    assert_eq!(site.kept_versions(), [new.to_string()]);
    assert_eq!(site.get("/app.js").await.body, b"new");
}

#[tokio::test]
async fn other_processes_use_the_socket() {
    let mut site = site(&[("app/a", b"1")]).await;
    let socket = site.server().control_socket().unwrap();
    let at = site.history().join("control.sock");
    assert_eq!(fs::metadata(&at).unwrap().permissions().mode() & 0o777, 0o600);
    let control = Control::of_history(site.history());
    let ask = control.clone();
    let (published, listed, refused, missing) = within(tokio::task::spawn_blocking(move || {
        let published = ask.publish(Some("app")).unwrap();
        let refused = ask.forget("app/a", None).unwrap_err();
        (published, ask.versions(Some("app/a")).unwrap(), refused, ask.publish(Some("none")).unwrap_err())
    }))
    .await
    .unwrap();
    assert_eq!((published[0].path.as_str(), published[0].files), ("app/", Some(1)));
    assert_eq!(listed[0].versions[0].version, Version::of(b"1"));
    assert!(refused.to_string().contains("published at /app"), "{refused}");
    assert!(missing.to_string().contains("neither a file nor a snapshot"), "{missing}");

    // A socket that a killed server left is replaced.
    drop(socket);
    assert!(!at.exists());
    drop(std::os::unix::net::UnixListener::bind(&at).unwrap());
    let ask = control.clone();
    let gone = within(tokio::task::spawn_blocking(move || ask.publish(None))).await.unwrap().unwrap_err();
    assert!(matches!(gone, ControlError::NotRunning { .. }), "{gone}");
    site.restart().await;
    let _socket = site.server().control_socket().unwrap();
    within(tokio::task::spawn_blocking(move || control.versions(None))).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_history_with_a_long_path_has_a_socket_too() {
    let site = TestSite::stopped(&[("a", b"1")]);
    let history = site.outside().join("x".repeat(120)).join("history");
    let server = driblet::Server::builder(site.root()).history(&history).directory("").build().await.unwrap();
    let _socket = server.control_socket().unwrap();
    let control = Control::of_history(history);
    let published = within(tokio::task::spawn_blocking(move || control.publish(None))).await.unwrap().unwrap();
    assert_eq!(published[0].files, Some(1));
}

#[tokio::test]
async fn what_is_no_command_is_refused() {
    use std::io::{Read, Write};
    let site = site(&[]).await;
    let _socket = site.server().control_socket().unwrap();
    let at = site.history().join("control.sock");
    let ask = move |line: &[u8]| {
        let mut stream = std::os::unix::net::UnixStream::connect(&at).unwrap();
        // The server may have ended the connection already.
        let _ = stream.write_all(line).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    };
    let answers = tokio::task::spawn_blocking(move || {
        [
            &b"\n"[..],
            b"{\"command\":\"eat\"}\n",
            b"{\"command\":\"forget\",\"path\":\"a\",\"version\":\"x\"}\n",
            &[b'{'; 100_000],
        ]
        .map(ask)
    });
    for answer in within(answers).await.unwrap().iter().take(3) {
        assert!(answer.starts_with("{\"failed\":"), "{answer}");
    }
    assert_eq!(site.get("/.driblet/health").await.status, 200);
}
