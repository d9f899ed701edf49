//! Who may ask: a Host that is not ours and a foreign Origin are refused, on every method and every path.

use crate::support::{Ask, Site, get, post};

/// One request of each kind.
fn every_kind() -> Vec<Ask> {
    let mut asks: Vec<Ask> = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE"]
        .iter()
        .flat_map(|method| {
            ["/app.js", "/", "/missing", "/app.js.driblet/none", "/app.js.driblet/head", "/.driblet/client.js"]
                .map(|path| get(path).method(method))
        })
        .collect();
    asks.push(post("/app.js.driblet/signature", vec![0; 30]));
    asks
}

#[tokio::test]
async fn a_host_that_is_not_ours() {
    let site = Site::with(&[("app.js", b"let a;")], |builder| builder.allow_host("assets.example")).await;
    for host in ["evil.example", "evil.example:80", "localhost.evil.example", "assets.example.evil", "127.0.0.1.evil"] {
        for ask in every_kind() {
            let answer = site.ask(ask.clone().header("host", host)).await;
            assert_eq!(answer.status, 421, "{host}");
            assert!(!answer.body.windows(6).any(|window| window == b"let a;"));
        }
    }
    for host in ["localhost", "localhost:8080", "dev.localhost", "[::1]:1", "192.168.0.1", "Assets.Example:8443"] {
        let answer = site.ask(get("/app.js").header("host", host)).await;
        assert_eq!((answer.status, answer.text()), (200, "let a;"), "{host}");
    }
    assert!(site.ask(get("/app.js.driblet/none").header("host", "evil.example")).await.refuses(421, "foreign-host"));
}

#[tokio::test]
async fn a_foreign_origin() {
    let site = Site::with(&[("app.js", b"let a;")], |builder| builder.allow_origin("https://app.example")).await;
    let own = format!("http://{}", site.addr());
    let other_port = format!("http://127.0.0.1:{}", site.addr().port() ^ 1);
    for origin in
        ["https://evil.example", "null", "http://app.example", "https://app.example.evil", &other_port, "file://"]
    {
        for ask in every_kind() {
            let answer = site.ask(ask.clone().header("origin", origin)).await;
            assert_eq!(answer.status, 403, "{origin}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    assert!(site.ask(get("/app.js.driblet/none").header("origin", "null")).await.refuses(403, "foreign-origin"));
    let twice = get("/app.js").header("origin", &own).header("origin", "https://evil.example");
    assert_eq!(site.ask(twice).await.status, 403);
    let same = site.ask(get("/app.js").header("origin", &own)).await;
    assert_eq!((same.status, same.text()), (200, "let a;"));
}

#[tokio::test]
async fn an_allowed_origin_reads_answers_and_their_headers() {
    let site = Site::with(&[("app.js", b"let a;")], |builder| builder.allow_origin("https://app.example")).await;
    for path in ["/app.js", "/app.js.driblet/none", "/app.js.driblet/head", "/missing", "/app.js.driblet/nope"] {
        let answer = site.ask(get(path).header("origin", "https://app.example")).await;
        assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"), "{path}");
        let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
        assert!(exposed.contains("etag") && exposed.contains("content-range"), "{exposed}");
    }
    let preflight = get("/app.js.driblet/signature")
        .method("OPTIONS")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let answer = site.ask(preflight).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(answer.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
    assert!(answer.header("access-control-allow-headers").is_some_and(|names| names.contains("content-type")));
}

#[tokio::test]
async fn a_request_without_a_host() {
    let site = Site::new(&[("app.js", b"let a;")]).await;
    assert_eq!(site.ask(get("/app.js").header("host", "")).await.status, 421);
    let two = get("/app.js").header("host", "localhost").header("host", "evil.example");
    assert!(matches!(site.ask(two).await.status, 400 | 421));
}
