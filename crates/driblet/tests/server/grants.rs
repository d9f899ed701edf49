//! Grants: a version of one path is the basis of another, if the guards of both paths let the receiver through.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::{Router, response::Response};
use driblet::{ServeOptions, Version};

use crate::support::{Answer, TestSite, apply, get, post, serving, text};

/// A site with two builds of a file whose name has changed, and the bytes of both.
async fn renamed() -> (TestSite, Vec<u8>, Vec<u8>) {
    let old = text(1, 40_000);
    let new = [&old[..20_000], b"one more line", &old[20_000..]].concat();
    let site = TestSite::new(&[]).await;
    site.publish("app.1.js", &old).await;
    site.publish("app.2.js", &new).await;
    (site, old, new)
}

fn applied(old: &[u8], answer: &Answer) -> Vec<u8> {
    apply(Some(old), &answer.body).unwrap()
}

async fn grant_of(site: &TestSite, path: &str, version: Version) -> String {
    let answer = site.get(&format!("{path}.driblet/grant-{version}")).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    answer.json()["grant"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_version_of_another_path_is_the_basis() {
    let (site, old, new) = renamed().await;
    let (from, to) = (Version::of(&old), Version::of(&new));
    let grant = grant_of(&site, "/app.1.js", from).await;
    let answer = site.get(&format!("/app.2.js.driblet/{from}?grant={grant}")).await;
    assert_eq!((answer.status, applied(&old, &answer)), (200, new.clone()));
    assert!(answer.body.len() < 200, "{} bytes", answer.body.len());
    // The location of the exact pair is right as it stands.
    let location = answer.header("content-location").unwrap().to_owned();
    assert_eq!(location, format!("{from}-{to}?grant={grant}"));
    let pair = site.get(&format!("/app.2.js.driblet/{location}")).await;
    assert_eq!((pair.status, applied(&old, &pair)), (200, new.clone()));
    let rest = get(&format!("/app.2.js.driblet/{location}")).header("range", "bytes=50-");
    let rest = site.ask(rest.header("if-range", pair.header("etag").unwrap())).await;
    assert_eq!((rest.status, &rest.body[..]), (206, &pair.body[50..]));
}

#[tokio::test]
async fn a_file_that_is_gone_still_has_grants() {
    let (site, old, new) = renamed().await;
    std::fs::remove_file(site.root().join("app.1.js")).unwrap();
    assert_eq!(site.get("/app.1.js.driblet/head").await.status, 404);
    let from = Version::of(&old);
    let grant = grant_of(&site, "/app.1.js", from).await;
    let answer = site.get(&format!("/app.2.js.driblet/{from}?grant={grant}")).await;
    assert_eq!(applied(&old, &answer), new);
}

#[tokio::test]
async fn without_its_grant_a_version_of_another_path_is_unknown() {
    let (site, old, new) = renamed().await;
    let (from, to) = (Version::of(&old), Version::of(&new));
    let other = site.publish("app.1.js", b"another").await;
    let [grant, wrong] = [grant_of(&site, "/app.1.js", from).await, grant_of(&site, "/app.1.js", other).await];
    for query in [String::new(), format!("?grant={wrong}"), format!("?grant={}", &grant[1..]), "?grant=".into()] {
        for name in [format!("{from}"), format!("{from}-{to}")] {
            let answer = site.get(&format!("/app.2.js.driblet/{name}{query}")).await;
            assert_eq!((answer.status, &answer.json()["code"]), (404, &"unknown-version".into()), "{name}{query}");
        }
    }
    // An answer that a grant allowed is not one for requests without a grant.
    assert_eq!(site.get(&format!("/app.2.js.driblet/{from}?grant={grant}")).await.status, 200);
    assert_eq!(site.get(&format!("/app.2.js.driblet/{from}")).await.status, 404);
}

#[tokio::test]
async fn what_the_path_never_had_has_no_grant() {
    let (site, old, new) = renamed().await;
    for (path, version, status) in [
        ("/app.1.js", Version::of(&new), 404),
        ("/app.2.js", Version::of(&old), 404),
        ("/nothing.js", Version::of(&old), 404),
        ("/", Version::of(&old), 404),
    ] {
        let name = if path == "/" { "/.driblet".into() } else { format!("{path}.driblet") };
        assert_eq!(site.get(&format!("{name}/grant-{version}")).await.status, status, "{path}");
    }
    assert_eq!(site.get("/app.1.js.driblet/grant-none").await.status, 400);
    assert_eq!(site.ask(post(&format!("/app.1.js.driblet/grant-{}", Version::of(&old)), vec![])).await.status, 405);
}

#[tokio::test]
async fn a_hidden_file_has_no_grant_of_what_was_shown_before() {
    let mut site = TestSite::stopped(&[(".env", b"a secret")]);
    site.start(|builder| builder.hidden(true)).await;
    site.indexed().await;
    let version = Version::of(b"a secret");
    grant_of(&site, "/.env", version).await;
    site.restart().await;
    assert_eq!(site.get(&format!("/.env.driblet/grant-{version}")).await.status, 404);
}

#[tokio::test]
async fn the_guard_of_the_basis_decides() {
    async fn guard(request: Request, next: Next) -> Result<Response, StatusCode> {
        let is_secret = request.uri().path().starts_with("/app.1.js");
        let may = !is_secret || request.headers().contains_key("authorization");
        if may { Ok(next.run(request).await) } else { Err(StatusCode::UNAUTHORIZED) }
    }
    let (site, old, new) = renamed().await;
    let app = Router::new().fallback_service(site.server().router()).layer(from_fn(guard));
    let addr = serving(app, ServeOptions::default()).await;
    let from = Version::of(&old);
    let ask = get(&format!("/app.1.js.driblet/grant-{from}"));
    assert_eq!(ask.clone().send(addr).await.status, 401);
    let granted = ask.header("authorization", "yes").send(addr).await.json();
    let grant = granted["grant"].as_str().unwrap();
    let answer = get(&format!("/app.2.js.driblet/{from}?grant={grant}")).send(addr).await;
    assert_eq!(applied(&old, &answer), new);
}
