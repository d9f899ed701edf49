//! The progress bar of a pull.

use driblet::PullState;
use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar on stderr. It is hidden if stderr is not a terminal.
pub(crate) fn bar() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}  {msg}").unwrap_or(ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

/// Shows how many bytes of all are done, and what is being done; `received` says what has arrived.
pub(crate) fn show_state(
    bar: &ProgressBar,
    (done, total): (u64, u64),
    state: PullState,
    received: impl FnOnce() -> String,
) {
    if total != 0 {
        bar.set_length(total);
        bar.set_position(done);
    }
    bar.set_message(match state {
        PullState::Waiting => "waiting for the server".to_owned(),
        PullState::Busy(wait) => format!("the server is busy; asking again in {} s", wait.as_secs_f64().ceil()),
        _ => received(),
    });
}
