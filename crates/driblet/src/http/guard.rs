//! Who may ask: the Host must be one of ours, and a foreign Origin must be allowed. On every method.

use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Method, StatusCode, Uri};

use super::problem::Problem;

/// What a page of an allowed origin may read besides the body.
const EXPOSED: &str = "etag, content-location, content-range, accept-ranges, content-length, retry-after";

/// The names that the server goes by, and the origins that may use it.
#[derive(Clone, Default, Debug)]
pub(crate) struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// A page of an allowed, foreign origin.
pub(crate) struct Visitor(HeaderValue);

impl Guard {
    pub(crate) fn new(hosts: &[String], origins: &[String]) -> Guard {
        let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let origins = origins.iter().map(|origin| origin.trim_end_matches('/').to_ascii_lowercase()).collect();
        Guard { hosts: lower(hosts), origins }
    }

    /// Lets a request pass, and says whether it comes from another origin.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Option<Visitor>, Problem> {
        let host = self.host(uri, headers)?;
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(value) = origins.next() else { return Ok(None) };
        let origin = value.to_str().unwrap_or_default().to_ascii_lowercase();
        if origins.next().is_none() {
            if is_same(&origin, &host) {
                return Ok(None);
            }
            if self.origins.contains(&origin) {
                return Ok(Some(Visitor(value.clone())));
            }
        }
        let detail = format!("The origin {origin:?} may not use this server; allow it with --allow-origin.");
        Err(Problem::new(StatusCode::FORBIDDEN, "foreign-origin", detail))
    }

    /// A page on an attacker's name that resolves to this machine sends that name (DNS rebinding): only names given, `localhost` and
    /// addresses, which no one can rebind, are ours.
    fn host(&self, uri: &Uri, headers: &HeaderMap) -> Result<String, Problem> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let named = hosts.next().and_then(|host| host.to_str().ok()).or(uri.authority().map(|name| name.as_str()));
        let host = named.unwrap_or_default().to_ascii_lowercase();
        let name = without_port(&host);
        let is_local = name == "localhost" || name.ends_with(".localhost");
        let is_address = name.parse::<Ipv4Addr>().is_ok()
            || name
                .strip_prefix('[')
                .and_then(|name| name.strip_suffix(']'))
                .is_some_and(|name| name.parse::<Ipv6Addr>().is_ok());
        let is_ours = is_local || is_address || self.hosts.iter().any(|ours| *ours == host || *ours == name);
        if is_ours && hosts.next().is_none() {
            return Ok(host);
        }
        let detail = format!("This server does not go by the name {name:?}; if it should, allow it with --allow-host.");
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign-host", detail))
    }
}

impl Visitor {
    /// Lets the visitor's page read the answer.
    pub(crate) fn welcome(&self, headers: &mut HeaderMap) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, self.0.clone());
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }

    /// Answers a preflight.
    pub(crate) fn preflight(&self, headers: &mut HeaderMap) {
        self.welcome(headers);
        let allow = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST"),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "accept, authorization, content-type, if-none-match, if-range, range",
            ),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ];
        for (name, value) in allow {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// Methods that a path answers.
pub(crate) fn is_safe(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

fn is_same(origin: &str, host: &str) -> bool {
    let same = |scheme: &str, port: &str| {
        let authority = origin.strip_prefix(scheme);
        authority.is_some_and(|name| name.strip_suffix(port).unwrap_or(name) == host.strip_suffix(port).unwrap_or(host))
    };
    !host.is_empty() && (same("http://", ":80") || same("https://", ":443"))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, origin: Option<&str>) -> Result<bool, Problem> {
        let guard = Guard::new(&["Assets.example".into(), "dev.test:8080".into()], &["https://App.example/".into()]);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        guard.check(&Uri::from_static("/"), &headers).map(|visitor| visitor.is_some())
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
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, HeaderValue::from_static("localhost"));
        headers.append(header::HOST, HeaderValue::from_static("evil.example"));
        assert!(Guard::default().check(&Uri::from_static("/"), &headers).is_err());
    }
}
