//! Which proxies are trusted to say whom they speak for.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::IpNet;

/// The addresses of proxies whose word on their clients is taken: this machine's own, and the configured ones.
///
/// ```
/// let proxies = driblet::TrustedProxies::parse(["10.0.0.0/8", "192.168.1.7"])?;
/// # drop(proxies);
/// # Ok::<(), driblet::BadProxy>(())
/// ```
#[derive(Clone, Default, Debug)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// Parses addresses and ranges of addresses such as `10.0.0.0/8`.
    ///
    /// # Errors
    /// [`BadProxy`] names the text that is neither.
    pub fn parse(proxies: impl IntoIterator<Item = impl AsRef<str>>) -> Result<TrustedProxies, BadProxy> {
        let parse = |text: &str| {
            let range = IpNet::from_str(text).or_else(|_| IpAddr::from_str(text).map(IpNet::from));
            range.map_err(|_| BadProxy { given: text.to_owned() })
        };
        proxies.into_iter().map(|text| parse(text.as_ref())).collect::<Result<_, _>>().map(TrustedProxies)
    }

    pub(crate) fn contains(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_loopback() || self.0.iter().any(|range| range.contains(&peer))
    }
}

/// A trusted proxy is neither an address nor a range of addresses.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{given:?} is neither an address nor a range of addresses such as 10.0.0.0/8; give a trusted proxy as one of these"
)]
#[non_exhaustive]
pub struct BadProxy {
    /// The text that was given.
    pub given: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_believed() {
        let proxies = TrustedProxies::parse(["10.0.0.0/8", "192.168.1.7", "fd00::/8"]).unwrap();
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
            assert_eq!(TrustedProxies::parse([bad]).unwrap_err().given, bad);
        }
    }
}
