//! The native client against a real server, through a wire that cuts, flips and stalls.

mod cut;
mod hostile;
mod proxy;
#[path = "../../../core/tests/support/random.rs"]
mod random;
mod setting;
mod sync;
