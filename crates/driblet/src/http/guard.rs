//! Checks who may use the server: for every method, the host must be the server's own, and the origin must be its own
//! or an allowed one. Health checks are not guarded.
//!
//! `docs/decisions/0003-origins-behind-proxies.md` says why each rule is safe.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::extract::ConnectInfo;
use hyper::header::{self, HeaderMap};
use hyper::http::request::Parts;
use hyper::{StatusCode, Uri, Version};

use super::cors::CorsOrigin;
use super::fetch_metadata::SEC_FETCH_SITE;
use super::problem::Problem;
use super::proxy::{forwarded_addresses, forwarded_hosts};
use crate::client_address::ClientAddress;
use crate::trusted_proxies::TrustedProxies;

/// Names an option and its value in a refusal, in the words of the program that runs the server.
pub(crate) type NameOption = fn(&str, &str) -> String;

/// The server's host names, the other origins that may use it, and the proxies that it trusts.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
    proxies: TrustedProxies,
    name_option: NameOption,
}

impl Guard {
    pub(crate) fn new(hosts: &[String], origins: &[String], proxies: TrustedProxies, name_option: NameOption) -> Guard {
        let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let origins = origins.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect();
        Guard { hosts: lower(hosts), origins, proxies, name_option }
    }

    /// Refuses a request, or gives the other, allowed origin that it comes from.
    pub(super) fn check(&self, request: &Parts) -> Result<Option<CorsOrigin>, Problem> {
        let headers = &request.headers;
        let host = self.host(request.version, &request.uri, headers)?;
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(value) = origins.next() else { return Ok(None) };
        let origin = value.to_str().unwrap_or_default().to_ascii_lowercase();
        if origins.next().is_none() {
            if is_same(&origin, &host) {
                return Ok(None);
            }
            if self.origins.contains(&origin) {
                return Ok(Some(CorsOrigin::One(value.clone())));
            }
            let peer = request.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
            if self.is_own(&origin, headers, peer) {
                return Ok(None);
            }
            if self.origins.iter().any(|origin| origin == "*") {
                return Ok(Some(CorsOrigin::Any));
            }
        }
        Err(self.foreign_origin(&origin, &host))
    }

    /// The client of a request.
    pub(super) fn client(&self, request: &Parts) -> ClientAddress {
        match request.extensions.get::<ConnectInfo<SocketAddr>>() {
            Some(ConnectInfo(peer)) => {
                ClientAddress::behind(peer.ip(), &self.proxies, forwarded_addresses(&request.headers).into_iter())
            }
            None => ClientAddress::unknown(),
        }
    }

    /// Whether an origin is the server's own although the request has another host: a proxy may ask the server by
    /// another name than the browser asked the proxy.
    fn is_own(&self, origin: &str, headers: &HeaderMap, peer: Option<IpAddr>) -> bool {
        // Browsers set this header on requests to secure contexts, and no page can set it.
        let mut sites = headers.get_all(SEC_FETCH_SITE).iter();
        let says_same = sites.next().is_some_and(|site| site == "same-origin") && sites.next().is_none();
        let is_trusted = || peer.is_some_and(|peer| self.proxies.contains(peer));
        says_same
            || self.hosts.iter().any(|host| is_same(origin, host))
            || (is_trusted() && forwarded_hosts(headers).iter().any(|host| is_same(origin, host)))
    }

    /// The request's host, if it is one of the server's names: a configured one, `localhost` or an address. Any other
    /// name may be an attacker's that resolves to this machine (DNS rebinding). A proxy's headers do not count here,
    /// since a page can set them.
    fn host(&self, version: Version, uri: &Uri, headers: &HeaderMap) -> Result<String, Problem> {
        let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "bad-host", detail);
        let mut hosts = headers.get_all(header::HOST).iter();
        // The target's own host comes first (RFC 9112, section 3.2.2; RFC 9113, section 8.3.1).
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let named = uri.authority().map(|name| name.as_str()).or(host);
        let Some(named) = named else {
            // Health checks of load balancers may be like this. Every browser names a host.
            let is_old = version < Version::HTTP_11 && !headers.contains_key(header::HOST);
            return if is_old {
                Ok(String::new())
            } else {
                Err(bad("The request names no host; send one Host header."))
            };
        };
        if hosts.next().is_some() {
            return Err(bad("The request names several hosts; send one Host header."));
        }
        let host = named.to_ascii_lowercase();
        let name = without_port(&host);
        let is_address = name.parse::<Ipv4Addr>().is_ok()
            || name
                .strip_prefix('[')
                .and_then(|name| name.strip_suffix(']'))
                .is_some_and(|name| name.parse::<Ipv6Addr>().is_ok());
        if is_localhost(name) || is_address || self.hosts.iter().any(|ours| *ours == host || *ours == name) {
            return Ok(host);
        }
        let detail = if name.is_empty() {
            "The request's Host header is empty; send the server's name or address.".to_owned()
        } else {
            let option = (self.name_option)("allow_host", name);
            format!(
                "This server does not answer to the name {name:?}. If clients reach it by that name, or a proxy passes that name on, allow the name with {option}."
            )
        };
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign-host", detail))
    }

    /// Says what an operator can do in each of the two cases.
    fn foreign_origin(&self, origin: &str, host: &str) -> Problem {
        let mut detail =
            format!("The origin {origin:?} may not use this server; the request was for the host {host:?}.");
        let site = origin.split_once("://").filter(|(scheme, name)| scheme.starts_with("http") && !name.is_empty());
        if let Some((_, name)) = site {
            let (host, origin_option) =
                ((self.name_option)("allow_host", name), (self.name_option)("allow_origin", origin));
            detail += &format!(
                " If {origin} is the server's own address in the browser, behind a proxy, allow the host with {host}, and let the proxy pass that name on (nginx: `proxy_set_header Host $http_host;`). If it is another site, allow it with {origin_option}."
            );
        } else {
            let option = (self.name_option)("allow_origin", "null");
            detail += &format!(
                " Pages without an origin of their own (sandboxed frames, local files) may use it with {option}, which allows all of them."
            );
        }
        Problem::new(StatusCode::FORBIDDEN, "foreign-origin", detail)
    }
}

/// Names the method of [`ServerBuilder`](crate::ServerBuilder).
pub(crate) fn name_method(option: &str, value: &str) -> String {
    format!("ServerBuilder::{option}({value:?})")
}

fn is_same(origin: &str, host: &str) -> bool {
    let same = |scheme: &str, port: &str| {
        let authority = origin.strip_prefix(scheme);
        authority.is_some_and(|name| name.strip_suffix(port).unwrap_or(name) == host.strip_suffix(port).unwrap_or(host))
    };
    !host.is_empty() && (same("http://", ":80") || same("https://", ":443"))
}

/// Whether a name, without its port, always means the machine that asks (RFC 6761, section 6.3).
pub(super) fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

pub(super) fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        let hosts = ["Assets.example".into(), "dev.test:8080".into()];
        let proxies = TrustedProxies::parse(["10.0.0.0/8"]).unwrap();
        Guard::new(&hosts, &["https://App.example/".into()], proxies, name_method)
    }

    /// A request with these headers from 203.0.113.1.
    fn request(headers: &[(&str, &str)]) -> Parts {
        let request =
            headers.iter().fold(hyper::Request::get("/"), |request, (name, value)| request.header(*name, *value));
        let mut parts = request.body(()).unwrap().into_parts().0;
        parts.extensions.insert(ConnectInfo(SocketAddr::from(([203, 0, 113, 1], 1))));
        parts
    }

    fn check(host: &str, origin: Option<&str>) -> Result<bool, Problem> {
        let headers: Vec<_> = [("host", host)].into_iter().chain(origin.map(|origin| ("origin", origin))).collect();
        guard().check(&request(&headers)).map(|origin| origin.is_some())
    }

    #[test]
    fn our_names_pass() {
        for host in [
            "localhost:80",
            "a.localhost",
            "127.0.0.1:1",
            "10.0.0.7",
            "[::1]:80",
            "assets.EXAMPLE",
            "assets.example:99",
            "dev.test:8080",
        ] {
            assert!(matches!(check(host, None), Ok(false)), "{host}");
        }
    }

    #[test]
    fn other_names_do_not() {
        for host in
            ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "dev.test", "", "[::1", "xlocalhost"]
        {
            assert!(check(host, None).is_err(), "{host}");
        }
    }

    #[test]
    fn origins() {
        assert!(matches!(check("localhost:8080", Some("http://localhost:8080")), Ok(false)));
        assert!(matches!(check("assets.example", Some("https://assets.example")), Ok(false)));
        assert!(matches!(check("assets.example:443", Some("https://assets.example")), Ok(false)));
        assert!(matches!(check("localhost:8080", Some("https://app.example")), Ok(true)));
        for origin in ["null", "http://localhost:8081", "http://localhost", "https://app.example.evil", "file://", ""] {
            assert!(check("localhost:8080", Some(origin)).is_err(), "{origin}");
        }
    }

    #[test]
    fn two_hosts_are_refused() {
        assert!(guard().check(&request(&[("host", "localhost"), ("host", "evil.example")])).is_err());
    }

    #[test]
    fn own_pages_behind_a_proxy_that_names_the_upstream() {
        let asked = [("host", "127.0.0.1:8080"), ("origin", "https://example.com")];
        let with = |more: &[(&str, &str)], peer: [u8; 4]| {
            let mut parts = request(&[&asked, more].concat());
            parts.extensions.insert(ConnectInfo(SocketAddr::from((peer, 1))));
            guard().check(&parts).is_ok_and(|origin| origin.is_none())
        };
        let far = [203, 0, 113, 1];
        assert!(!with(&[], [127, 0, 0, 1]));
        assert!(with(&[("sec-fetch-site", "same-origin")], far));
        for site in ["same-site", "cross-site", "none", "same-origin, cross-site", ""] {
            assert!(!with(&[("sec-fetch-site", site)], far), "{site}");
        }
        assert!(!with(&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], far));
        for header in [("x-forwarded-host", "example.com"), ("forwarded", "for=x;host=example.com")] {
            assert!(with(&[header], [127, 0, 0, 1]) && with(&[header], [10, 9, 8, 7]), "{header:?}");
            assert!(!with(&[header], far), "{header:?}");
        }
        assert!(!with(&[("x-forwarded-host", "other.example")], [127, 0, 0, 1]));
        assert!(matches!(check("127.0.0.1", Some("https://assets.example")), Ok(false)), "a name that was given");
        assert!(check("127.0.0.1", Some("https://assets.example:444")).is_err());
    }

    #[test]
    fn no_header_makes_a_foreign_host_ours() {
        for header in [
            ("x-forwarded-host", "localhost"),
            ("forwarded", "host=localhost"),
            ("sec-fetch-site", "same-origin"),
            ("origin", "http://evil.example"),
        ] {
            let mut parts = request(&[("host", "evil.example"), header]);
            parts.extensions.insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
            assert!(guard().check(&parts).is_err(), "{header:?}");
        }
    }
}
