//! The native client with a real server, through a proxy that cuts, changes and stalls responses.

mod basis;
#[path = "../support/chain.rs"]
mod chain;
mod cut;
mod hostile;
mod live;
mod proxy;
#[path = "../../../core/tests/support/random.rs"]
mod random;
mod reuse;
mod setting;
mod sync;
#[path = "../support/wait.rs"]
#[allow(dead_code)]
mod wait;
