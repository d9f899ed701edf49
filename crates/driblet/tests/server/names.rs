//! Paths that must lead nowhere: 404 with a sentence.

use std::os::unix::fs::symlink;

use crate::support::{TestSite, get};

/// Each of these paths, plain and below `.driblet/`.
async fn leads_nowhere(site: &TestSite, path: &str) {
    let answer = site.get(path).await;
    assert_eq!(answer.status, 404, "{path}: {answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{path}");
    assert!(answer.text().trim_end().ends_with('.'), "no sentence: {}", answer.text());
    for resource in ["head", "none"] {
        let answer = site.get(&format!("{path}.driblet/{resource}")).await;
        assert_eq!(answer.status, 404, "{path}.driblet/{resource}: {answer:?}");
    }
}

#[tokio::test]
async fn what_climbs_or_hides_a_separator() {
    let site = TestSite::new(&[("a/b.txt", b"inside"), ("app.js", b"inside")]).await;
    std::fs::write(site.outside().join("secret.txt"), "secret").unwrap();
    for path in [
        "/missing.js",
        "/a/missing.js",
        "/../secret.txt",
        "/a/../../secret.txt",
        "/a/../app.js",
        "/./app.js",
        "/%2e%2e/secret.txt",
        "/%2E%2E/secret.txt",
        "/a/%2e%2e/app.js",
        "/.%2e/secret.txt",
        "/%2e./secret.txt",
        "/..%2fsecret.txt",
        "/a%2fb.txt",
        "/a%2Fb.txt",
        "/a\\b.txt",
        "/a%5cb.txt",
        "/..%5csecret.txt",
        "/app.js%00",
        "/app.js%00.png",
        "/a//b.txt",
        "//app.js",
        "/%252e%252e/secret.txt",
        "/app.js/",
        "/app.js/x",
        "/%ff%fe",
    ] {
        leads_nowhere(&site, path).await;
    }
    leads_nowhere(&site, &format!("/{}", "a".repeat(300))).await;
    leads_nowhere(&site, &format!("/{}", "a/".repeat(3000) + "x")).await;
    let absolute = format!("/{}", site.outside().join("secret.txt").display());
    leads_nowhere(&site, &absolute).await;
}

#[tokio::test]
async fn links_that_leave_the_root() {
    let site = TestSite::new(&[("folder/app.js", b"inside")]).await;
    std::fs::create_dir(site.outside().join("away")).unwrap();
    std::fs::write(site.outside().join("away/secret.txt"), "secret").unwrap();
    let outside = site.outside().to_path_buf();
    symlink(outside.join("away/secret.txt"), site.root().join("absolute.txt")).unwrap();
    symlink("../away/secret.txt", site.root().join("relative.txt")).unwrap();
    symlink(outside.join("away"), site.root().join("away")).unwrap();
    symlink("..", site.root().join("up")).unwrap();
    symlink("loop.txt", site.root().join("loop.txt")).unwrap();
    symlink("nowhere", site.root().join("dangling.txt")).unwrap();
    symlink("folder/app.js", site.root().join("inside.js")).unwrap();
    for path in
        ["/absolute.txt", "/relative.txt", "/away/secret.txt", "/up/away/secret.txt", "/loop.txt", "/dangling.txt"]
    {
        leads_nowhere(&site, path).await;
    }
    assert_eq!(site.get("/inside.js").await.text(), "inside");
}

#[tokio::test]
async fn hidden_names_do_not_exist_unless_asked_for() {
    let files: &[(&str, &[u8])] =
        &[(".env", b"secret"), (".git/config", b"secret"), ("a/.hidden/b.txt", b"secret"), ("a/.x", b"secret")];
    let mut site = TestSite::new(files).await;
    for path in ["/.env", "/%2eenv", "/.git/config", "/%2egit/config", "/a/.hidden/b.txt", "/a/.x"] {
        leads_nowhere(&site, path).await;
    }
    for path in ["/.git", "/.git/", "/a/.hidden"] {
        assert_eq!(site.get(path).await.status, 404, "{path}");
    }
    site.indexed().await;
    assert!(std::fs::read_dir(site.history().join("versions")).unwrap().next().is_none(), "nothing was read");
    site.stop().await;
    site.start(|builder| builder.hidden(true)).await;
    assert_eq!(site.get("/.env").await.text(), "secret");
    assert_eq!(site.get("/a/.hidden/b.txt").await.text(), "secret");
}

#[tokio::test]
async fn reserved_names_are_never_read_from_the_disk() {
    let site = TestSite::with(
        &[("app.js.driblet/head", b"planted"), ("x.driblet", b"planted"), (".driblet/client.js", b"planted")],
        |builder| builder.hidden(true),
    )
    .await;
    for path in ["/app.js.driblet/head", "/x.driblet", "/x.driblet/", "/.driblet/client.js", "/app.js.driblet/planted"]
    {
        assert!(!site.get(path).await.body.starts_with(b"planted"), "{path}");
    }
}

#[tokio::test]
async fn what_is_no_file_is_not_opened() {
    let site = TestSite::new(&[]).await;
    // Opening a pipe without a writer would wait without end.
    let made = std::process::Command::new("mkfifo").arg(site.root().join("pipe")).status().unwrap();
    assert!(made.success());
    leads_nowhere(&site, "/pipe").await;
    site.indexed().await;
}

#[tokio::test]
async fn malformed_names_below_a_file() {
    let site = TestSite::new(&[("app.js", b"let a;")]).await;
    let version = "a".repeat(64);
    for name in [
        "nope".to_owned(),
        "A".repeat(64),
        "a".repeat(63),
        "a".repeat(65),
        format!("{version}-"),
        format!("-{version}"),
        format!("{version}-none"),
        format!("{version}-{version}-{version}"),
        "none-none".to_owned(),
        "head%20".to_owned(),
        "head?since=x".to_owned(),
        "head?since=-1".to_owned(),
        "head?wait=soon".to_owned(),
        "head?wait=1e3".to_owned(),
    ] {
        assert!(site.get(&format!("/app.js.driblet/{name}")).await.refuses(400, "bad-name"), "{name}");
    }
    assert!(site.get("/missing.js.driblet/live").await.refuses(404, "no-such-file"));
    assert!(site.get("/missing.js.driblet/none").await.refuses(404, "no-such-file"));
    assert!(site.get(&format!("/missing.js.driblet/{version}")).await.refuses(404, "no-such-file"));
}

#[tokio::test]
async fn methods_that_nothing_answers() {
    let site = TestSite::new(&[("app.js", b"let a;")]).await;
    for method in ["PUT", "DELETE", "PATCH", "POST"] {
        let answer = site.ask(get("/app.js").method(method)).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method}");
        let answer = site.ask(get("/app.js.driblet/none").method(method)).await;
        assert!(answer.refuses(405, "method"), "{method}");
        assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    }
    let answer = site.get("/app.js.driblet/signature").await;
    assert!(answer.refuses(405, "method"));
    assert_eq!(answer.header("allow"), Some("POST"));
}
