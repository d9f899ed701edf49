//! The server over real sockets, with real files.

mod access;
mod ahead;
#[path = "../support/chain.rs"]
mod chain;
mod changes;
mod changing;
mod commands;
mod conditions;
mod delta;
mod deploys;
mod dictionaries;
mod directories;
mod first_visits;
mod grants;
mod guard;
mod history;
mod http2;
mod killed;
mod limits;
mod live;
mod media_types;
mod names;
mod paths;
mod plain;
#[cfg(feature = "client")]
mod proxies;
mod segments;
mod serving;
mod sidecars;
mod signature;
mod sites;
mod stalled;
mod stored;
mod support;
