//! The native client with a real server, through a proxy that cuts, changes and stalls responses.

mod cut;
mod hostile;
mod proxy;
#[path = "../../../core/tests/support/random.rs"]
mod random;
mod reuse;
mod setting;
mod sync;
