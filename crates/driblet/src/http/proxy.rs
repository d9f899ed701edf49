//! The headers of proxies, and which proxies are trusted.

use std::net::IpAddr;
use std::str::FromStr;

use hyper::header::{self, HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The addresses whose `Forwarded` and `X-Forwarded-Host` are trusted: this machine's own, and the configured ones.
#[derive(Clone, Default, Debug)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Parses addresses and ranges of addresses such as `10.0.0.0/8`. The error is the text that is neither.
    pub(crate) fn parse(proxies: &[String]) -> Result<TrustedProxies, String> {
        let parse = |text: &String| {
            let range = IpNet::from_str(text).or_else(|_| IpAddr::from_str(text).map(IpNet::from));
            range.map_err(|_| text.clone())
        };
        proxies.iter().map(parse).collect::<Result<_, _>>().map(TrustedProxies)
    }

    pub(super) fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_loopback() || self.0.iter().any(|range| range.contains(&peer))
    }
}

/// The hosts that the client asked for, as a proxy states them, in lower case.
pub(super) fn forwarded_hosts(headers: &HeaderMap) -> Vec<String> {
    let values = |name: HeaderName| headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    let named =
        values(X_FORWARDED_HOST).flat_map(|value| value.split(',')).map(|host| host.trim().to_ascii_lowercase());
    let standard = values(header::FORWARDED)
        .flat_map(|value| pieces(value, &[',', ';']))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("host"))
        .map(|(_, host)| host.trim().trim_matches('"').to_ascii_lowercase());
    named.chain(standard).filter(|host| !host.is_empty()).collect()
}

/// Splits outside quotes (RFC 7239, section 4).
fn pieces<'a>(value: &'a str, at: &'static [char]) -> impl Iterator<Item = &'a str> {
    let mut is_quoted = false;
    value.split(move |character| {
        is_quoted ^= character == '"';
        !is_quoted && at.contains(&character)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn hosts(name: &'static str, value: &'static str) -> Vec<String> {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_static(value));
        forwarded_hosts(&headers)
    }

    #[test]
    fn hosts_that_proxies_name() {
        assert_eq!(hosts("x-forwarded-host", "Example.com"), ["example.com"]);
        assert_eq!(hosts("x-forwarded-host", "a.example, b.example:8443"), ["a.example", "b.example:8443"]);
        assert_eq!(hosts("forwarded", "for=1.2.3.4;Host=a.example;proto=https"), ["a.example"]);
        assert_eq!(hosts("forwarded", "for=\"[::1]:1\", for=x;host=\"b.example:8443\""), ["b.example:8443"]);
        assert_eq!(hosts("forwarded", "for=\"x,host=evil.example\";host=a.example"), ["a.example"]);
        assert!(hosts("forwarded", "for=x;host=").is_empty());
        assert!(hosts("x-forwarded-for", "a.example").is_empty());
    }

    #[test]
    fn addresses_that_are_believed() {
        let given = ["10.0.0.0/8", "192.168.1.7", "fd00::/8"].map(str::to_owned);
        let proxies = TrustedProxies::parse(&given).unwrap();
        for peer in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "10.1.2.3",
            "::ffff:10.1.2.3",
            "192.168.1.7",
            "fd00::1",
        ] {
            assert!(proxies.contains(peer.parse().unwrap()), "{peer}");
        }
        for peer in ["11.0.0.1", "192.168.1.8", "fe80::1", "::", "0.0.0.0"] {
            assert!(!proxies.contains(peer.parse().unwrap()), "{peer}");
        }
        for bad in ["", "proxy.example", "10.0.0.0/33", "10.0.0"] {
            assert_eq!(TrustedProxies::parse(&[bad.to_owned()]).unwrap_err(), bad);
        }
    }
}
