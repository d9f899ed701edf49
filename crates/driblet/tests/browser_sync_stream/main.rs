//! The wire of browser-sync-stream, spoken by our sender, receiver, server and client: with each other, and with peers that do not keep to it.

mod client;
mod list;
#[path = "../../../core/tests/support/random.rs"]
mod random;
mod server;
mod streams;
mod support;
#[path = "../support/wait.rs"]
#[allow(dead_code)]
mod wait;
