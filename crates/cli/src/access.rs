//! Who may use a server, and how much of it.

use std::num::NonZeroU32;
use std::path::PathBuf;

use driblet::{Access, Listener, ServeOptions, ServerBuilder, TrustedProxies};

use crate::failure::Failure;

#[derive(clap::Args)]
#[command(next_help_heading = "Access")]
pub(crate) struct AccessArgs {
    /// A file of rules, in TOML, that say who may read which paths
    ///
    /// Each rule is [[allow]] with paths = ["/private/"] and users = { NAME = "HASH" } or tokens = { NAME = "HASH" };
    /// `driblet auth` makes the hashes. A rule is for the file or folder at each path and for everything below; the
    /// longest path decides; other paths are public. Snapshots of folders leave out what a rule guards. The file is
    /// read again on SIGHUP, and when it changes.
    #[arg(long, value_name = "FILE")]
    auth_file: Option<PathBuf>,
    /// A proxy on another machine whose X-Forwarded-Host, X-Forwarded-For and Forwarded are trusted: an address, or a
    /// range such as 10.0.0.0/8
    ///
    /// It must set these headers itself: one that passes on what clients send lets them choose their address.
    #[arg(long, value_name = "IP")]
    trust_proxy: Vec<String>,
    /// Expect a header of the PROXY protocol, version 1 or 2, on each connection; only this machine and trusted proxies
    /// may connect
    #[arg(long)]
    proxy_protocol: bool,
    /// The most connections from one address; further ones are closed at once
    ///
    /// As for all limits of one address, that is an IPv4 address, or the first 64 bits of an IPv6 address. Behind a
    /// trusted proxy it is the address that the proxy states. This machine and proxies themselves have no limit.
    #[arg(long, value_name = "N", default_value_t = ServeOptions::default().max_connections_per_address as u32, value_parser = clap::value_parser!(u32).range(1..))]
    max_connections_per_address: u32,
    /// The most deltas that are made or sent to one address at the same time; further requests are told to come back
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    max_answers_per_address: u32,
    /// How many signatures one address may send each minute; further ones are told to come back
    #[arg(long, value_name = "N", default_value_t = NonZeroU32::new(60).expect("it is not 0"))]
    signatures_per_minute: NonZeroU32,
}

impl AccessArgs {
    /// Reads the file of rules.
    pub(crate) fn open(&self) -> Result<Option<Access>, Failure> {
        let access = self.auth_file.as_ref().map(Access::open).transpose();
        access.map_err(|error| Failure::new("cannot use --auth-file", &error))
    }

    pub(crate) fn configure(&self, builder: ServerBuilder, access: Option<&Access>) -> ServerBuilder {
        let builder = builder
            .signatures_per_minute(self.signatures_per_minute)
            .max_answers_per_address(self.max_answers_per_address as usize);
        let builder = self.trust_proxy.iter().fold(builder, |builder, proxy| builder.trust_proxy(proxy));
        access.into_iter().fold(builder, ServerBuilder::access)
    }

    pub(crate) fn options(&self, options: ServeOptions) -> ServeOptions {
        options.max_connections_per_address(self.max_connections_per_address as usize)
    }

    /// Says which proxies speak for clients on the connections of listeners.
    pub(crate) fn listeners(&self, listeners: Vec<Listener>) -> Result<Vec<Listener>, Failure> {
        let proxies = TrustedProxies::parse(&self.trust_proxy).map_err(|error| Failure::new("cannot serve", &error))?;
        let told = |listener: Listener| listener.trust_proxies(&proxies).proxy_protocol(self.proxy_protocol);
        Ok(listeners.into_iter().map(told).collect())
    }
}
