//! How a pull of a file is shown.

use driblet::{Progress, Pulled};
use indicatif::{HumanBytes, ProgressBar};
use serde_json::json;

use crate::progress::show_state;

/// Shows the progress.
pub(super) fn show(bar: &ProgressBar, progress: Progress) {
    let received = || format!("{} received", HumanBytes(progress.received));
    show_state(bar, (progress.done, progress.total), progress.state, received);
}

/// What a pull cost, as JSON.
pub(super) fn stats(pulled: &Pulled) -> serde_json::Value {
    json!({
        "version": pulled.version.to_string(),
        "len": pulled.len,
        "sent": pulled.sent,
        "received": pulled.received,
        "requests": pulled.requests,
        "basis": pulled.basis.name(),
        "reused": pulled.reused,
        "elapsed_ms": pulled.elapsed.as_secs_f64() * 1e3,
    })
}

/// What a pull cost, as a sentence.
pub(super) fn summary(pulled: &Pulled) -> String {
    let moved = HumanBytes(pulled.sent + pulled.received);
    let plural = if pulled.requests == 1 { "" } else { "s" };
    format!(
        "{} up to date: {moved} moved for {} in {} request{plural} (basis: {}), {:.0} ms",
        &pulled.version.to_string()[..12],
        HumanBytes(pulled.len),
        pulled.requests,
        pulled.basis.name(),
        pulled.elapsed.as_secs_f64() * 1e3
    )
}
