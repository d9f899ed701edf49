//! Whom a connection or a request is counted for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::trusted_proxies::TrustedProxies;

/// The address of a client: of the peer, or behind trusted proxies of whom these name. An extension of each response,
/// from which the access log takes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ClientAddress {
    ip: IpAddr,
    is_limited: bool,
}

/// Addresses that count as one client: an IPv4 address, or the 64 bits that a customer gets of an IPv6 address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct AddressBlock(IpAddr);

impl fmt::Display for AddressBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AddressBlock {
    /// Stands for all clients for which there is no room.
    pub(crate) const OTHERS: AddressBlock = AddressBlock(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
}

impl ClientAddress {
    /// The address of a peer that names nobody else. Programs on this machine and trusted proxies, which speak for many
    /// clients, have no limits.
    pub(crate) fn of_peer(peer: IpAddr, proxies: &TrustedProxies) -> ClientAddress {
        ClientAddress { ip: peer.to_canonical(), is_limited: !proxies.contains(peer) }
    }

    /// The address behind a trusted proxy: of the addresses that the proxies name, in the order in which the request
    /// passed them, the last one that is no trusted proxy. The first one if all are; the last one that can be read if
    /// one cannot.
    pub(crate) fn behind(
        peer: IpAddr,
        proxies: &TrustedProxies,
        named: impl DoubleEndedIterator<Item = Option<IpAddr>>,
    ) -> ClientAddress {
        let mut client = ClientAddress::of_peer(peer, proxies);
        if !proxies.contains(peer) {
            return client;
        }
        for ip in named.rev().map_while(|ip| ip) {
            client = ClientAddress { ip: ip.to_canonical(), is_limited: true };
            if !proxies.contains(ip) {
                break;
            }
        }
        client
    }

    /// The address of a client of which nothing is known.
    pub(crate) fn unknown() -> ClientAddress {
        ClientAddress { ip: Ipv4Addr::UNSPECIFIED.into(), is_limited: false }
    }

    pub(crate) fn ip(&self) -> IpAddr {
        self.ip
    }

    pub(crate) fn block(&self) -> AddressBlock {
        match self.ip {
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments();
                AddressBlock(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into())
            }
            ip => AddressBlock(ip),
        }
    }

    /// The block that limits count for; `None` if there are no limits.
    pub(crate) fn limited(&self) -> Option<AddressBlock> {
        self.is_limited.then(|| self.block())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, named: &[&str]) -> (String, bool) {
        let proxies = TrustedProxies::parse(["10.0.0.0/8"]).unwrap();
        let named = named.iter().map(|ip| ip.parse().ok());
        let client = ClientAddress::behind(peer.parse().unwrap(), &proxies, named);
        (client.ip().to_string(), client.limited().is_some())
    }

    #[test]
    fn the_last_address_that_is_no_trusted_proxy_is_the_client() {
        let limited = |ip: &str| (ip.to_owned(), true);
        assert_eq!(client("203.0.113.1", &["198.51.100.1"]), limited("203.0.113.1"), "nobody's proxy");
        assert_eq!(client("127.0.0.1", &["198.51.100.1"]), limited("198.51.100.1"));
        assert_eq!(client("10.0.0.1", &["1.2.3.4", "198.51.100.1", "10.9.9.9"]), limited("198.51.100.1"));
        assert_eq!(client("10.0.0.1", &["10.0.0.2", "10.0.0.3"]), limited("10.0.0.2"));
        assert_eq!(client("::ffff:10.0.0.1", &["::ffff:198.51.100.1"]), limited("198.51.100.1"));
        assert_eq!(client("10.0.0.1", &["1.2.3.4", "unknown"]), ("10.0.0.1".into(), false));
        assert_eq!(client("10.0.0.1", &["1.2.3.4", "unknown", "10.0.0.2"]), limited("10.0.0.2"));
        assert_eq!(client("10.0.0.1", &[]), ("10.0.0.1".into(), false));
        assert_eq!(client("::1", &[]), ("::1".into(), false));
    }

    #[test]
    fn an_ipv6_customer_is_one_client() {
        let block = |ip: &str| ClientAddress::of_peer(ip.parse().unwrap(), &TrustedProxies::default()).block();
        assert_eq!(block("2001:db8:1:2::1"), block("2001:db8:1:2:ffff::2"));
        assert_ne!(block("2001:db8:1:2::1"), block("2001:db8:1:3::1"));
        assert_eq!(block("::ffff:1.2.3.4"), block("1.2.3.4"));
        assert_ne!(block("1.2.3.4"), block("1.2.3.5"));
    }
}
