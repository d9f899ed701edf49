//! Behind real proxies, in common configurations, with the headers of browsers.

use driblet::{Client, Version};
use url::Url;

use crate::support::proxies::Proxy;
use crate::support::{Ask, TestSite, get, post, random_bytes, sign, text};

/// The usual lines of nginx tutorials. `more` goes into the location.
fn nginx(site: &TestSite, more: &str) -> Proxy {
    Proxy::nginx(&format!("location / {{ proxy_pass http://{};\n{more}\n}}", site.addr()))
}

/// The request of a browser for a module script of a page at `origin`. The host is the origin's.
fn from_page(ask: Ask, origin: &str, site: Option<&str>) -> Ask {
    let host = origin.split_once("://").unwrap().1;
    let ask = ask.header("host", host).header("origin", origin).header("sec-fetch-mode", "cors");
    site.map_or(ask.clone(), |site| ask.header("sec-fetch-site", site))
}

#[tokio::test]
async fn nginx_as_it_is_configured_first() {
    let script = text(1, 50_000);
    let site = TestSite::new(&[("app.js", &script)]).await;
    let proxy = nginx(&site, "");
    // A secure context: https elsewhere, and localhost.
    for origin in ["https://example.com", "http://localhost:8000"] {
        let module = from_page(get("/app.js"), origin, Some("same-origin")).send(proxy.addr).await;
        assert_eq!((module.status, module.body == script), (200, true), "{origin}");
        let (signature, _) = sign(b"something else", &script);
        let signature = post("/app.js.driblet/signature", signature.encode());
        let signature = from_page(signature, origin, Some("same-origin")).send(proxy.addr).await;
        assert_eq!(signature.status, 200, "{origin}");
        for foreign in ["cross-site", "same-site"] {
            assert_eq!(from_page(get("/app.js"), origin, Some(foreign)).send(proxy.addr).await.status, 403);
        }
    }
    // Requests without an Origin, as navigations and `driblet pull` send them.
    assert_eq!(get("/app.js").header("host", "example.com").send(proxy.addr).await.status, 200);
}

#[tokio::test]
async fn nginx_in_front_of_a_plain_http_site() {
    // Browsers send no Sec-Fetch-Site for such a page.
    let mut site = TestSite::new(&[("app.js", b"let a;")]).await;
    let proxy = nginx(&site, "");
    let module = || from_page(get("/app.js"), "http://site.example", None);
    let refused = module().send(proxy.addr).await;
    assert_eq!(refused.status, 403);
    assert!(refused.text().contains("ServerBuilder::allow_host(\"site.example\")"), "{}", refused.text());
    for line in ["proxy_set_header X-Forwarded-Host $http_host;", "proxy_set_header Forwarded \"host=$http_host\";"] {
        assert_eq!(module().send(nginx(&site, line).addr).await.text(), "let a;", "{line}");
    }
    // The two parts of the advice in the error. Here each one is enough, and so are both.
    let passed = "proxy_set_header Host $http_host;";
    assert_eq!(module().send(nginx(&site, passed).addr).await.status, 421, "the name is not ours yet");
    site.stop().await;
    site.start(|builder| builder.allow_host("site.example")).await;
    assert_eq!(module().send(nginx(&site, "").addr).await.text(), "let a;");
    assert_eq!(module().send(nginx(&site, passed).addr).await.text(), "let a;");
}

#[tokio::test]
async fn caddy_which_passes_the_name_on() {
    let mut site = TestSite::new(&[("app.js", b"let a;")]).await;
    let caddy = |site: &TestSite, more: &str| Proxy::caddy(&format!("reverse_proxy {} {{\n{more}\n}}", site.addr()));
    let module = || from_page(get("/app.js"), "https://example.com", Some("same-origin"));
    let refused = module().send(caddy(&site, "").addr).await;
    assert_eq!(refused.status, 421);
    assert!(refused.text().contains("ServerBuilder::allow_host(\"example.com\")"), "{}", refused.text());
    let upstream = caddy(&site, "header_up Host {upstream_hostport}");
    assert_eq!(module().send(upstream.addr).await.text(), "let a;");
    site.stop().await;
    site.start(|builder| builder.allow_host("example.com")).await;
    let proxy = caddy(&site, "");
    assert_eq!(module().send(proxy.addr).await.text(), "let a;");
    let plain = from_page(get("/app.js"), "http://example.com", None).send(proxy.addr).await;
    assert_eq!(plain.text(), "let a;");
    let foreign = get("/app.js").header("host", "example.com").header("origin", "https://evil.example");
    assert_eq!(foreign.send(proxy.addr).await.status, 403);
}

#[tokio::test]
async fn gzip_by_nginx_makes_etags_weak_and_lengths_unknown() {
    let script = text(1, 200_000);
    let site = TestSite::new(&[("app.js", &script)]).await;
    // The server would pack the file itself.
    let packs = "gzip on; gzip_proxied any; gzip_types *; gzip_min_length 1; proxy_set_header Accept-Encoding '';";
    let proxy = nginx(&site, packs);
    let ask = |name: &str| get(name).header("accept-encoding", "gzip");
    let packed = ask("/app.js").send(proxy.addr).await;
    assert_eq!(
        (packed.status, packed.header("content-encoding"), packed.header("content-length")),
        (200, Some("gzip"), None)
    );
    let weak = packed.etag();
    assert_eq!(weak, format!("W/\"{}\"", Version::of(&script)));
    assert_eq!(ask("/app.js").header("if-none-match", &weak).send(proxy.addr).await.status, 304);
    let date = packed.header("last-modified").unwrap();
    assert_eq!(ask("/app.js").header("if-modified-since", date).send(proxy.addr).await.status, 304);
    assert_eq!(ask("/app.js").header("if-match", &weak).send(proxy.addr).await.status, 412, "weak tags never match");
}

#[tokio::test]
async fn a_pull_through_nginx_that_packs_everything() {
    let (old, new) = (text(1, 200_000), [text(1, 150_000), text(2, 60_000)].concat());
    let site = TestSite::new(&[]).await;
    site.publish("app.js", &old).await;
    let dest = site.outside().join("dest");
    for proxy in [
        nginx(&site, "gzip on; gzip_proxied any; gzip_types *; gzip_min_length 1;"),
        nginx(&site, "proxy_http_version 1.1; proxy_buffering off; chunked_transfer_encoding off;"),
        Proxy::caddy(&format!(
            "encode {{\ngzip\nminimum_length 1\nmatch {{\nheader Content-Type *\n}}\n}}\nreverse_proxy {}",
            site.addr()
        )),
    ] {
        let url = Url::parse(&format!("http://{}/app.js", proxy.addr)).unwrap();
        for bytes in [&old, &new, &random_bytes(1, 100_000), &old] {
            site.publish("app.js", bytes).await;
            let pulled = Client::new().unwrap().pull(&url, &dest, |_| {}).await.unwrap();
            assert_eq!(pulled.version, Version::of(bytes));
            assert!(std::fs::read(&dest).unwrap() == *bytes);
        }
    }
}
