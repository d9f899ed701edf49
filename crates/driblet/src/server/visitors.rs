//! Who may use a server, and how much of it.

use std::num::NonZeroU32;

use super::ServerBuilder;
use crate::access::Access;

impl ServerBuilder {
    /// Adds a host name of the server, with or without a port. Addresses and `localhost` are always allowed. Pages of
    /// this very host (and port, unless it is the default one) are the server's own, even if a proxy asks by another
    /// name.
    pub fn allow_host(mut self, host: impl Into<String>) -> ServerBuilder {
        self.hosts.push(host.into());
        self
    }

    /// Adds another origin, such as `https://app.example`, whose pages may use the server. With `*` all may, but without
    /// cookies.
    pub fn allow_origin(mut self, origin: impl Into<String>) -> ServerBuilder {
        self.origins.push(origin.into());
        self
    }

    /// Who may read which paths. Snapshots leave out the paths below them that rules are about; the snapshot of a
    /// directory that a rule covers is guarded by the rule. All answers below a rule are private. Default: everybody
    /// may read everything.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let access = driblet::Access::open("access.toml")?;
    /// let server = driblet::Server::builder("dist").access(&access).build().await?;
    /// # drop(server);
    /// # Ok(()) }
    /// ```
    pub fn access(self, access: &Access) -> ServerBuilder {
        ServerBuilder { access: Some(access.clone()), ..self }
    }

    /// Says that only some users may see the files: shared caches, such as those of a CDN, then keep no delta and no part
    /// for other users. Default: no; answers to requests with a `Cookie` or `Authorization` are private in any case.
    pub fn private(self, private: bool) -> ServerBuilder {
        ServerBuilder { private, ..self }
    }

    /// How many signatures, and lists of what is held of a directory, a client may send each minute, and at once: the
    /// server makes a delta for each. A client is an IPv4 address, or the first 64 bits of an IPv6 address. Programs on
    /// this machine and trusted proxies have no limit, but those have whose address a proxy states. Default: 60.
    pub fn signatures_per_minute(self, signatures: NonZeroU32) -> ServerBuilder {
        ServerBuilder { signatures_per_minute: signatures, ..self }
    }

    /// How many deltas may be made or sent at the same time for one client, as for
    /// [`signatures_per_minute`](ServerBuilder::signatures_per_minute). Default: 128.
    pub fn max_answers_per_address(self, answers: usize) -> ServerBuilder {
        ServerBuilder { max_answers_per_address: answers, ..self }
    }

    /// Adds a proxy, by its address or a range of addresses such as `10.0.0.0/8`. The server trusts its
    /// `X-Forwarded-Host` and `Forwarded` for the host name that the browser asked for, and its `X-Forwarded-For`, or
    /// else its `Forwarded`, for the address of the client. Proxies on this machine are always trusted. A proxy must set
    /// these headers itself: one that passes on what a client sent lets clients choose their address. Requests must carry
    /// [`axum::extract::ConnectInfo`], which [`serve`](crate::serve) adds; without it no proxy is trusted.
    pub fn trust_proxy(mut self, addresses: impl Into<String>) -> ServerBuilder {
        self.proxies.push(addresses.into());
        self
    }

    /// The most live streams (`{asset}.driblet/live`) at a time, of all assets. Further ones get 503 with `Retry-After`.
    /// Default: 16,384.
    pub fn max_live(self, streams: usize) -> ServerBuilder {
        ServerBuilder { max_live: streams, ..self }
    }
}
