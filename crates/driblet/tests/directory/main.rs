//! Pulls of whole directories into real folders.

mod atomic;
mod changes;
mod cut;
mod host;
#[path = "../../../core/tests/support/random.rs"]
mod random;
mod refused;
mod served;
mod setting;
