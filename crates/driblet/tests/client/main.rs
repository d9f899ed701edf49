//! The native client against a real server, through a wire that cuts, flips and stalls.

mod cut;
mod hostile;
#[path = "../support/noise.rs"]
mod noise;
mod proxy;
mod setting;
mod sync;
