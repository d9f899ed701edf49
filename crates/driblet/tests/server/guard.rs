//! Access: a foreign host and a foreign origin are refused, for every method and every path.

use axum::Router;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Ask, TestSite, get, post, within};

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
    let site = TestSite::with(&[("app.js", b"let a;")], |builder| builder.allow_host("assets.example")).await;
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
    let site = TestSite::with(&[("app.js", b"let a;")], |builder| builder.allow_origin("https://app.example")).await;
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
    let site = TestSite::with(&[("app.js", b"let a;")], |builder| builder.allow_origin("https://app.example")).await;
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
    let site = TestSite::new(&[("app.js", b"let a;")]).await;
    assert_eq!(site.ask(get("/app.js").header("host", "")).await.status, 421);
    let two = get("/app.js").header("host", "localhost").header("host", "evil.example");
    assert!(matches!(site.ask(two).await.status, 400 | 421));
}

/// The request of Chromium for `<script type="module">` on a page of that origin.
fn module_script(origin: &str, site: Option<&str>) -> Ask {
    let ask =
        get("/app.js").header("origin", origin).header("sec-fetch-mode", "cors").header("sec-fetch-dest", "script");
    site.map_or(ask.clone(), |site| ask.header("sec-fetch-site", site))
}

#[tokio::test]
async fn own_pages_whose_proxy_asks_by_the_upstreams_name() {
    let site = TestSite::new(&[("app.js", b"let a;")]).await;
    // TestSite::ask sends the server's address as Host, as `proxy_pass http://127.0.0.1:8080` does.
    let own = site.ask(module_script("https://example.com", Some("same-origin"))).await;
    assert_eq!((own.status, own.text()), (200, "let a;"));
    assert_eq!(own.header("access-control-allow-origin"), None);
    let signature = post("/app.js.driblet/signature", vec![0; 30]).header("origin", "https://example.com");
    assert_eq!(
        site.ask(signature.clone().header("sec-fetch-site", "same-origin")).await.status,
        400,
        "read, not refused"
    );
    assert_eq!(site.ask(signature.header("sec-fetch-site", "cross-site")).await.status, 403);
    for foreign in [Some("cross-site"), Some("same-site"), Some("none"), None] {
        assert_eq!(site.ask(module_script("https://example.com", foreign)).await.status, 403, "{foreign:?}");
    }
    // The test's client is on this machine, as a local proxy is.
    for forwarded in
        [("x-forwarded-host", "example.com"), ("forwarded", "for=1.2.3.4;host=\"example.com\";proto=https")]
    {
        let ask = module_script("https://example.com", None).header(forwarded.0, forwarded.1);
        assert_eq!(site.ask(ask).await.status, 200, "{forwarded:?}");
        let ask = module_script("https://evil.example", None).header(forwarded.0, forwarded.1);
        assert_eq!(site.ask(ask).await.status, 403, "{forwarded:?}");
    }
}

#[tokio::test]
async fn a_name_that_was_given_is_the_servers_own_as_host_and_as_origin() {
    let site = TestSite::with(&[("app.js", b"let a;")], |builder| builder.allow_host("example.com")).await;
    for (host, origin, status) in [
        ("example.com", "https://example.com", 200),
        ("127.0.0.1", "https://example.com", 200),
        ("127.0.0.1", "http://example.com", 200),
        ("127.0.0.1", "http://example.com:8081", 403),
        ("127.0.0.1", "https://evil.example.com", 403),
        ("evil.example", "https://example.com", 421),
    ] {
        let answer = site.ask(module_script(origin, None).header("host", host)).await;
        assert_eq!(answer.status, status, "{host} {origin}");
    }
}

#[tokio::test]
async fn no_header_of_a_page_makes_another_name_ours() {
    // DNS rebinding: the page's own name resolves to this machine, so its requests come from here and are same-origin
    // for the browser.
    let site = TestSite::new(&[("app.js", b"let a;")]).await;
    let rebound = |ask: Ask| ask.header("host", "evil.example").header("sec-fetch-site", "same-origin");
    for ask in [
        rebound(get("/app.js")),
        rebound(get("/app.js")).header("origin", "http://evil.example"),
        rebound(get("/app.js")).header("x-forwarded-host", "localhost"),
        rebound(get("/app.js")).header("x-forwarded-host", "evil.example").header("origin", "http://evil.example"),
        rebound(get("/app.js")).header("forwarded", "for=127.0.0.1;host=localhost"),
    ] {
        assert_eq!(site.ask(ask).await.status, 421);
    }
}

#[tokio::test]
async fn a_router_that_knows_no_peers_believes_no_proxy() {
    let site = TestSite::new(&[("app.js", b"let a;")]).await;
    let app = Router::new().nest("/assets", site.server().router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum_serve(listener, app).await });
    let ask = |more: (&str, &str)| get("/assets/app.js").header("origin", "https://example.com").header(more.0, more.1);
    assert_eq!(ask(("x-forwarded-host", "example.com")).send(addr).await.status, 403);
    assert_eq!(ask(("sec-fetch-site", "same-origin")).send(addr).await.status, 200);
    assert_eq!(get("/assets/app.js").send(addr).await.text(), "let a;");
}

/// Another HTTP server than `driblet::serve`, as an application may have.
async fn axum_serve(listener: tokio::net::TcpListener, app: Router) {
    while let Ok((stream, _)) = listener.accept().await {
        let app = app.clone();
        let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            tower::ServiceExt::oneshot(app.clone(), request)
        });
        let stream = hyper_util::rt::TokioIo::new(stream);
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(stream, service));
    }
}

#[tokio::test]
async fn refusals_say_what_to_add() {
    let site = TestSite::new(&[("app.js", b"let a;")]).await;
    let foreign = site.ask(module_script("https://example.com", None)).await;
    for part in [
        "\"https://example.com\"",
        "ServerBuilder::allow_host(\"example.com\")",
        "proxy_set_header Host $http_host",
        "ServerBuilder::allow_origin(\"https://example.com\")",
    ] {
        assert!(foreign.text().contains(part), "{part}: {}", foreign.text());
    }
    let null = site.ask(module_script("null", None)).await;
    assert!(null.text().contains("ServerBuilder::allow_origin(\"null\")"), "{}", null.text());
    let host = site.ask(get("/app.js").header("host", "example.com:8443")).await;
    assert!(
        host.status == 421 && host.text().contains("ServerBuilder::allow_host(\"example.com\")"),
        "{}",
        host.text()
    );
}

#[tokio::test]
async fn a_preflight_allows_what_the_application_sends() {
    let site = TestSite::with(&[("app.js", b"let a;")], |builder| builder.allow_origin("https://app.example")).await;
    let preflight = |origin: &str| {
        get("/app.js.driblet/signature")
            .method("OPTIONS")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,x-api-key, x-csrf-token")
            .header("access-control-request-private-network", "true")
    };
    let answer = site.ask(preflight("https://app.example")).await;
    assert_eq!(answer.status, 204);
    let allowed = answer.header("access-control-allow-headers").unwrap();
    for name in ["content-type", "x-api-key", "x-csrf-token"] {
        assert!(allowed.split(',').any(|allowed| allowed.trim() == name), "{name}: {allowed}");
    }
    assert_eq!(answer.header("access-control-allow-credentials"), Some("true"));
    assert_eq!(answer.header("access-control-allow-private-network"), Some("true"));
    assert!(format!("{answer:?}").contains(r#"("vary", "access-control-request-headers")"#), "{answer:?}");
    let foreign = site.ask(preflight("https://evil.example")).await;
    assert_eq!(foreign.status, 403);
    for name in ["access-control-allow-headers", "access-control-allow-origin", "access-control-allow-private-network"]
    {
        assert_eq!(foreign.header(name), None, "{name}");
    }
    let plain = get("/app.js").method("OPTIONS").header("origin", "https://app.example");
    let plain = site.ask(plain.header("access-control-request-method", "GET")).await;
    assert_eq!(plain.header("access-control-allow-private-network"), None);
}

#[tokio::test]
async fn options_name_the_methods_of_a_path() {
    let site = TestSite::new(&[("app.js", b"let a;")]).await;
    for (path, allow) in [
        ("/app.js", "GET, HEAD, OPTIONS"),
        ("/app.js.driblet/none", "GET, HEAD, OPTIONS"),
        ("/app.js.driblet/signature", "POST, OPTIONS"),
    ] {
        let answer = site.ask(get(path).method("OPTIONS")).await;
        assert_eq!((answer.status, answer.header("allow")), (204, Some(allow)), "{path}");
    }
}

/// The head of the response to exactly these bytes.
async fn raw(site: &TestSite, request: &str) -> String {
    let mut stream = TcpStream::connect(site.addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn an_old_health_check_names_no_host() {
    let site = TestSite::new(&[("index.html", b"<p>root")]).await;
    for path in ["/", "/.driblet/health"] {
        let answer = raw(&site, &format!("GET {path} HTTP/1.0\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
    }
    for (request, status) in [
        ("GET / HTTP/1.0\r\nhost: evil.example\r\n\r\n", 421),
        ("GET http://evil.example/ HTTP/1.0\r\n\r\n", 421),
        ("GET / HTTP/1.0\r\norigin: http://evil.example\r\n\r\n", 403),
        // RFC 9112, section 3.2.
        ("GET / HTTP/1.1\r\nconnection: close\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\nconnection: close\r\n\r\n", 400),
    ] {
        let answer = raw(&site, request).await;
        assert_eq!(answer.split(' ').nth(1), Some(status.to_string().as_str()), "{request}: {answer}");
    }
}

#[tokio::test]
async fn health_is_told_to_anyone() {
    let site = TestSite::new(&[]).await;
    for (header, value) in
        [("host", "evil.example"), ("host", ""), ("origin", "https://evil.example"), ("accept", "*/*")]
    {
        let answer = site.ask(get("/.driblet/health").header(header, value)).await;
        assert_eq!((answer.status, answer.text(), answer.header("cache-control")), (200, "ok\n", Some("no-store")));
        let head = site.ask(get("/.driblet/health").method("HEAD").header(header, value)).await;
        assert_eq!((head.status, head.body.len(), head.header("content-length")), (200, 0, Some("3")));
    }
    let post = site.ask(get("/.driblet/health").method("POST")).await;
    assert!(post.refuses(405, "method"));
    assert_eq!(site.get("/app.js.driblet/health").await.status, 400, "only at the root");
}
