//! Hidden files cannot be reached by any resource, method or name, whatever was published before.

use std::fs;
use std::os::unix::fs::symlink;

use driblet::Version;

use crate::support::{Answer, Ask, TestSite, get, post, random_bytes, sign};

const SECRET: &[u8] = b"nobody outside may read this";

/// One request for each resource of a path, by each method that could read it.
fn every_request(path: &str) -> Vec<Ask> {
    let secret = Version::of(SECRET);
    let (signature, _) = sign(SECRET, SECRET);
    let names = ["head", "none", "live"].map(str::to_owned);
    let named = [secret.to_string(), format!("{secret}-{secret}"), format!("none-{secret}")];
    let mut asks = vec![get(path), get(path).method("HEAD"), get(path).header("range", "bytes=0-3")];
    asks.extend(names.iter().chain(&named).map(|name| get(&format!("{path}.driblet/{name}"))));
    asks.push(post(&format!("{path}.driblet/signature"), signature.encode()));
    asks
}

async fn leads_nowhere(site: &TestSite, path: &str) {
    for ask in every_request(path) {
        let answer = site.ask(ask.clone()).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
        assert!(!shows_secret(&answer), "{path}: {answer:?}");
        assert_eq!(answer.header("etag"), None);
    }
    for method in ["PUT", "DELETE", "PATCH", "TRACE"] {
        let answer = site.ask(get(path).method(method)).await;
        assert!(matches!(answer.status, 404 | 405) && !shows_secret(&answer), "{method} {path}");
    }
}

fn shows_secret(answer: &Answer) -> bool {
    let version = Version::of(SECRET).to_string();
    let contains = |part: &[u8]| answer.body.windows(part.len()).any(|window| window == part);
    contains(b"nobody outside") || contains(version.as_bytes()) || contains(Version::of(SECRET).as_bytes())
}

#[tokio::test]
async fn no_resource_of_a_path_that_leaves_the_root() {
    let site = TestSite::new(&[("a/b.txt", b"inside")]).await;
    fs::write(site.outside().join("secret.txt"), SECRET).unwrap();
    symlink(site.outside().join("secret.txt"), site.root().join("link.txt")).unwrap();
    symlink(site.outside(), site.root().join("up")).unwrap();
    let long = "x/".repeat(2048) + "secret.txt";
    for path in [
        "/../secret.txt",
        "/a/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/a//../../secret.txt",
        "/link.txt",
        "/a/../link.txt",
        "/link.txt%00",
        "/up/secret.txt",
        "/up/root/../secret.txt",
        &format!("/{long}"),
        &format!("/{}", "%2e%2e/".repeat(40) + "etc/passwd"),
    ] {
        leads_nowhere(&site, path).await;
    }
    assert!(!site.kept(Version::of(SECRET)).exists(), "it was never even read");
    assert_eq!(site.get("/a/b.txt").await.text(), "inside");
}

#[tokio::test]
async fn what_becomes_a_link_out_of_the_root_is_gone_with_all_its_versions() {
    let site = TestSite::new(&[]).await;
    let (old, new) = (random_bytes(1, 5_000), random_bytes(2, 5_000));
    let a = site.publish("app.js", &old).await;
    let b = site.publish("app.js", &new).await;
    fs::write(site.outside().join("secret.txt"), SECRET).unwrap();
    fs::remove_file(site.root().join("app.js")).unwrap();
    symlink("../secret.txt", site.root().join("app.js")).unwrap();
    leads_nowhere(&site, "/app.js").await;
    for name in [format!("{a}"), format!("{b}"), format!("{a}-{b}"), format!("none-{b}")] {
        assert!(site.get(&format!("/app.js.driblet/{name}")).await.refuses(404, "no-such-file"), "{name}");
    }
    fs::remove_file(site.root().join("app.js")).unwrap();
    assert_eq!(site.publish("app.js", &new).await, b);
    assert_eq!(site.get("/app.js").await.body, new);
}

#[tokio::test]
async fn links_inside_the_root_lead_on() {
    let site = TestSite::new(&[("a/b/app.js", b"inside")]).await;
    symlink("a/b/app.js", site.root().join("near.js")).unwrap();
    symlink("a", site.root().join("folder")).unwrap();
    fs::create_dir(site.root().join("c")).unwrap();
    symlink("../folder/b/app.js", site.root().join("c/far.js")).unwrap();
    for path in ["/near.js", "/folder/b/app.js", "/c/far.js"] {
        assert_eq!(site.get(path).await.text(), "inside", "{path}");
        let head = site.get(&format!("{path}.driblet/head")).await.json();
        assert_eq!(head["version"], Version::of(b"inside").to_string());
    }
    site.write("a/b/app.js", b"has changed");
    for path in ["/near.js", "/folder/b/app.js", "/c/far.js"] {
        assert_eq!(site.get(path).await.text(), "has changed", "{path}");
    }
}

#[tokio::test]
async fn hidden_files_that_were_published_before_are_hidden_with_their_history() {
    let files: &[(&str, &[u8])] = &[(".env", SECRET), ("a/.git/config", SECRET), ("a/seen.txt", b"seen")];
    let mut site = TestSite::with(files, |builder| builder.hidden(true)).await;
    for path in ["/.env", "/a/.git/config"] {
        assert_eq!(site.get(path).await.body, SECRET, "{path}");
    }
    site.stop().await;
    site.start(|builder| builder).await;
    for path in ["/.env", "/%2Eenv", "/a/.git/config", "/a/%2egit/config", "/a/.git/%63onfig"] {
        leads_nowhere(&site, path).await;
    }
    assert_eq!(site.get("/a/seen.txt").await.text(), "seen");
}

#[tokio::test]
async fn a_hidden_name_looks_like_one_that_is_not_there() {
    let site = TestSite::new(&[(".here", SECRET)]).await;
    for (here, missing) in every_request("/.here").into_iter().zip(every_request("/.gone")) {
        let (here, missing) = (site.ask(here).await, site.ask(missing).await);
        assert_eq!(here.status, missing.status);
        assert_eq!(
            String::from_utf8(here.body).unwrap().replace("here", "gone"),
            missing.text().replace("here", "gone")
        );
    }
}

#[tokio::test]
async fn a_foreign_page_gets_nothing_done() {
    let site = TestSite::with(&[("app.js", SECRET)], |builder| builder.allow_origin("https://app.example")).await;
    let mut asks = every_request("/app.js");
    asks.extend([get("/.driblet/client.js"), get("/app.js.driblet/head?since=1&wait=60")]);
    let methods = ["OPTIONS", "PUT", "DELETE", "HEAD"];
    let others: Vec<Ask> = asks.iter().flat_map(|ask| methods.map(|method| ask.clone().method(method))).collect();
    asks.extend(others);
    for (header, value, status) in
        [("host", "evil.example", 421), ("origin", "https://evil.example", 403), ("origin", "null", 403)]
    {
        for ask in &asks {
            let answer = site.ask(ask.clone().header(header, value)).await;
            assert_eq!(answer.status, status, "{header}: {value}");
            assert!(!shows_secret(&answer));
            assert_eq!(answer.header("access-control-allow-origin"), None);
            assert_eq!(answer.header("access-control-allow-methods"), None);
        }
    }
    assert_eq!(site.server().stats().encodes, 0, "no delta was made for them");
    // A foreign host is refused even if the origin is allowed, and the reverse.
    let both = get("/app.js").header("host", "evil.example").header("origin", "https://app.example");
    assert_eq!(site.ask(both).await.status, 421);
}

#[tokio::test]
async fn an_allowed_page_reads_every_resource() {
    let site = TestSite::with(&[("app.js", b"let a;")], |builder| builder.allow_origin("https://app.example")).await;
    let head = Version::of(b"let a;");
    let (signature, _) = sign(b"let b;", b"let a;");
    let resources = ["head".into(), "none".into(), head.to_string(), format!("none-{head}"), format!("{head}-{head}")];
    let mut asks: Vec<Ask> = resources.iter().map(|name| get(&format!("/app.js.driblet/{name}"))).collect();
    asks.push(post("/app.js.driblet/signature", signature.encode()));
    asks.push(get("/app.js").method("HEAD"));
    for ask in asks {
        let answer = site.ask(ask.header("origin", "https://app.example")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
        // A response may have several Vary headers.
        assert!(format!("{answer:?}").contains(r#"("vary", "origin")"#), "{answer:?}");
    }
    let client = site.ask(get("/.driblet/client.js").header("origin", "https://app.example")).await;
    assert_eq!(client.header("access-control-allow-origin"), Some("https://app.example"), "built or not");
    for path in ["/app.js", "/app.js.driblet/none", "/.driblet/client.js"] {
        let preflight = get(path).method("OPTIONS").header("origin", "https://app.example");
        let answer = site.ask(preflight.header("access-control-request-method", "GET")).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, Some("https://app.example")));
    }
}
