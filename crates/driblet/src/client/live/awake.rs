//! Notices that the machine slept.

use std::time::{Duration, Instant, SystemTime};

/// How much further than the other clock the clock of the day may go.
const TOLERANCE: Duration = Duration::from_secs(10);

/// Compares two clocks: one stands while the machine sleeps, the other does not. If somebody sets the clock of the day,
/// that looks like sleep too, which does no harm.
pub(super) struct Awake {
    running: Instant,
    day: SystemTime,
}

impl Awake {
    pub(super) fn new() -> Awake {
        Awake { running: Instant::now(), day: SystemTime::now() }
    }

    /// Whether the machine slept since the last call.
    pub(super) fn has_slept(&mut self) -> bool {
        let before = std::mem::replace(self, Awake::new());
        let running = self.running.saturating_duration_since(before.running);
        self.day.duration_since(before.day).is_ok_and(|day| running + TOLERANCE < day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_stood_tells_of_sleep() {
        let mut awake = Awake::new();
        assert!(!awake.has_slept());
        awake.day -= TOLERANCE * 6;
        assert!(awake.has_slept());
        assert!(!awake.has_slept());
        awake.day += TOLERANCE * 6;
        assert!(!awake.has_slept(), "a clock that was set back");
    }
}
