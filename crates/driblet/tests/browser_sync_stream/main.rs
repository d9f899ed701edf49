//! The protocol of browser-sync-stream: driblet's sender, receiver, server and client with each other, and with peers
//! that break the rules.

#[path = "../support/chain.rs"]
mod chain;
#[cfg(all(feature = "server", feature = "client"))]
mod client;
#[cfg(feature = "server")]
mod list;
mod messages;
#[path = "../../../core/tests/support/random.rs"]
mod random;
#[cfg(all(feature = "server", feature = "client"))]
mod server;
mod streams;
#[cfg(feature = "server")]
mod support;
#[path = "../support/wait.rs"]
#[allow(dead_code)]
mod wait;
