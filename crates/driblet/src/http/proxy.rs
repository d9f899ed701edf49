//! The headers of proxies.

use std::net::{IpAddr, SocketAddr};

use hyper::header::{self, HeaderMap, HeaderName};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// The hosts that the client asked for, as a proxy states them, in lower case.
pub(super) fn forwarded_hosts(headers: &HeaderMap) -> Vec<String> {
    let named = values(headers, X_FORWARDED_HOST).flat_map(|value| value.split(',')).map(str::trim);
    let standard = values(headers, header::FORWARDED).flat_map(|value| pieces(value, &[',', ';']));
    let standard = standard.filter_map(|pair| parameter(pair, "host"));
    let hosts = named.chain(standard).map(str::to_ascii_lowercase);
    hosts.filter(|host| !host.is_empty()).collect()
}

/// The addresses that proxies state, in the order in which the request passed them; `None` for what is no address. A
/// proxy writes one of the two headers and passes the other one as the client sent it, so only one counts:
/// `X-Forwarded-For`, which most proxies write, if it is there.
pub(super) fn forwarded_addresses(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    if headers.contains_key(X_FORWARDED_FOR) {
        return every(headers, X_FORWARDED_FOR, |value| value.split(',').map(address).collect());
    }
    let of_element = |element: &str| {
        let pairs = pieces(element, &[';']);
        pairs.filter_map(|pair| parameter(pair, "for")).next().and_then(address)
    };
    every(headers, header::FORWARDED, |value| pieces(value, &[',']).map(of_element).collect())
}

/// What all values of a header say. One that is no text says nothing.
fn every(headers: &HeaderMap, name: HeaderName, read: impl Fn(&str) -> Vec<Option<IpAddr>>) -> Vec<Option<IpAddr>> {
    let values = headers.get_all(name).into_iter();
    values.flat_map(|value| value.to_str().map_or_else(|_| vec![None], &read)).collect()
}

fn values(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

/// The value of a parameter such as `for="[2001:db8::1]:4711"`, without its quotes, if it has this name.
fn parameter<'a>(pair: &'a str, name: &str) -> Option<&'a str> {
    let (given, value) = pair.trim().split_once('=')?;
    given.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
}

/// An address, with or without brackets and a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse().ok().map(|address: SocketAddr| address.ip()))
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

    fn addresses(values: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let text = |address: Option<IpAddr>| address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        forwarded_addresses(&headers).into_iter().map(text).collect()
    }

    #[test]
    fn addresses_that_proxies_name() {
        let of = |value| addresses(&[("x-forwarded-for", value)]);
        assert_eq!(of("1.2.3.4, 10.0.0.1"), ["1.2.3.4", "10.0.0.1"]);
        assert_eq!(
            of("1.2.3.4:80,2001:db8::1,[2001:db8::2],[2001:db8::3]:443"),
            ["1.2.3.4", "2001:db8::1", "2001:db8::2", "2001:db8::3"]
        );
        assert_eq!(of("unknown, , 1.2.3"), ["-", "-", "-"]);
        assert_eq!(
            addresses(&[("x-forwarded-for", "1.1.1.1"), ("x-forwarded-for", "2.2.2.2")]),
            ["1.1.1.1", "2.2.2.2"]
        );
        let of = |value| addresses(&[("forwarded", value)]);
        assert_eq!(of("for=1.2.3.4;host=a, For=\"[2001:db8::1]:4711\""), ["1.2.3.4", "2001:db8::1"]);
        assert_eq!(of("proto=https, for=_hidden, for=\"x,for=6.6.6.6\""), ["-", "-", "-"]);
        let both = [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "1.2.3.4")];
        assert_eq!(addresses(&both), ["1.2.3.4"], "the client may have sent the other one");
        assert!(addresses(&[]).is_empty());
    }
}
