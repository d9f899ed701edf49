//! What the live streams of one asset share: the newest event.
//!
//! An event is encoded once for all streams of its asset. A stream that is read slowly skips events: it holds no more
//! than the one that it is sending.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ::metrics::Gauge;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::metrics;

/// How many receivers come back, or ask for a delta, in a second.
const A_SECOND: u64 = 1_000;
/// The longest time for all of them.
const MAX_SPREAD: u64 = 60_000;
/// Receivers come back in waves. One begins after so many milliseconds, which is a little longer than a second, so that
/// no second has more than one wave has.
const WAVE: u64 = 1_008;
/// The part of it in which they come. Who is late comes in the rest.
const WAVE_USED: u64 = 700;
/// How long receivers wait besides if the server stops. A server that starts anew takes about as long: those that came
/// before would fail, and come together with others.
const RESTART: u64 = 500;

/// How far apart the moments are at which streams say that they are alive: many speak at each.
const TICK: Duration = Duration::from_millis(250);

/// The golden ratio's fraction of 2^64 (Knuth, The Art of Computer Programming, volume 3, section 6.4).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A head, as all streams tell it.
pub(crate) struct LiveEvent {
    pub(crate) counter: u64,
    /// The bytes of the event.
    pub(crate) text: Bytes,
}

/// The newest event of an asset; `None` until its head is known.
pub(crate) type Newest = Option<Arc<LiveEvent>>;

/// The streams of all assets.
pub(crate) struct LiveStreams {
    /// By the asset's path, with a `/` at the end of a directory's. An asset without streams has no entry.
    assets: Mutex<HashMap<String, Arc<watch::Sender<Newest>>>>,
    permits: Arc<Semaphore>,
    max: usize,
    slots: AtomicU64,
    /// When the first of the ticks was, [`TICK`] apart, at which streams say that they are alive.
    first_tick: Instant,
    /// When the first stream was told that the server stops, and how many were open then.
    stopped: OnceLock<(Instant, usize)>,
    /// How many streams are open, in all servers of the process.
    gauge: Gauge,
}

/// One stream.
pub(crate) struct LiveStream {
    pub(crate) events: watch::Receiver<Newest>,
    gauge: Gauge,
    _permit: OwnedSemaphorePermit,
}

impl LiveStreams {
    pub(crate) fn new(max: usize) -> LiveStreams {
        let max = max.min(Semaphore::MAX_PERMITS);
        LiveStreams {
            assets: Mutex::default(),
            permits: Arc::new(Semaphore::new(max)),
            max,
            slots: AtomicU64::new(0),
            first_tick: Instant::now(),
            stopped: OnceLock::new(),
            gauge: metrics::live_streams(),
        }
    }

    /// Opens a stream of an asset; `None` if there are too many. If it is the asset's first one, the caller must send the
    /// asset's events to the sender that comes with it, until [`end`](LiveStreams::end) says that there is no stream left.
    pub(crate) fn open(&self, key: &str) -> Option<(LiveStream, Option<Arc<watch::Sender<Newest>>>)> {
        let permit = self.permits.clone().try_acquire_owned().ok()?;
        let mut assets = self.assets();
        let (events, new) = match assets.get(key) {
            Some(newest) => (newest.subscribe(), None),
            None => {
                let newest = Arc::new(watch::Sender::new(None));
                assets.insert(key.to_owned(), newest.clone());
                (newest.subscribe(), Some(newest))
            }
        };
        self.gauge.increment(1);
        Some((LiveStream { events, gauge: self.gauge.clone(), _permit: permit }, new))
    }

    /// When the receiver of a stream shall come back after its end, in milliseconds. Those of all streams are spread
    /// evenly.
    pub(crate) fn retry(&self) -> u64 {
        retry_of(self.open_streams(), self.next_slot())
    }

    /// When the receiver of a stream shall come back to the next server, in milliseconds.
    pub(crate) fn retry_after_stop(&self) -> u64 {
        self.retry_after_stop_at(Instant::now())
    }

    fn retry_after_stop_at(&self, now: Instant) -> u64 {
        // Streams end one after the other. Their receivers share the time of all, which begins with the first one's end.
        let (began, open) = *self.stopped.get_or_init(|| (now, self.open_streams()));
        let passed = now.saturating_duration_since(began).as_millis() as u64;
        let at = RESTART + retry_of(open, self.next_slot());
        // Whose wave has passed comes after all others.
        let at = if at < passed { at + waves_of(open) * WAVE } else { at };
        at.saturating_sub(passed)
    }

    /// The time from the last tick before a moment until then.
    pub(crate) fn since_tick(&self, moment: Instant) -> Duration {
        let passed = moment.saturating_duration_since(self.first_tick);
        Duration::from_nanos((passed.as_nanos() % TICK.as_nanos()) as u64)
    }

    fn open_streams(&self) -> usize {
        self.max - self.permits.available_permits()
    }

    fn next_slot(&self) -> u64 {
        self.slots.fetch_add(1, Relaxed)
    }

    /// Forgets an asset, if it has no stream any more. Gives whether it has none.
    pub(crate) fn end(&self, key: &str, newest: &watch::Sender<Newest>) -> bool {
        // Under the lock, so that no stream is opened meanwhile.
        let mut assets = self.assets();
        let has_none = newest.receiver_count() == 0;
        if has_none {
            assets.remove(key);
        }
        has_none
    }

    /// Ends all streams of an asset. Their receivers come back.
    pub(crate) fn end_all(&self, key: &str) {
        self.assets().remove(key);
    }

    fn assets(&self) -> MutexGuard<'_, HashMap<String, Arc<watch::Sender<Newest>>>> {
        self.assets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds over which the receivers of so many streams are spread.
pub(crate) fn spread_of(streams: usize) -> u64 {
    (streams as u64 * 1_000 / A_SECOND).min(MAX_SPREAD)
}

fn waves_of(streams: usize) -> u64 {
    (streams as u64).div_ceil(A_SECOND).clamp(1, MAX_SPREAD / WAVE)
}

/// When the receiver with this number comes back. The waves take turns, and so have equally many. Within a wave they are
/// spread by the multiples of the golden ratio, which are spread evenly modulo 1 however many there are.
fn retry_of(streams: usize, slot: u64) -> u64 {
    let waves = waves_of(streams);
    let part = u128::from((slot / waves).wrapping_mul(GOLDEN));
    slot % waves * WAVE + ((u128::from(WAVE_USED) * part) >> 64) as u64
}

impl Drop for LiveStream {
    fn drop(&mut self) {
        self.gauge.decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most of these times within a second.
    fn most_in_a_second(times: &mut [u64]) -> usize {
        times.sort_unstable();
        let in_second =
            |from: &u64| times.partition_point(|time| *time < from + 1_000) - times.partition_point(|time| time < from);
        times.iter().map(in_second).max().unwrap()
    }

    #[test]
    fn receivers_come_back_evenly() {
        for (streams, longest) in [(1, 700), (4, 700), (1_000, 700), (1_001, 1_708), (10_000, 9_772), (16_384, 16_828)]
        {
            let mut times: Vec<u64> = (7..7 + streams as u64).map(|slot| retry_of(streams, slot)).collect();
            assert!(times.iter().all(|time| *time < longest), "{streams}: {:?}", times.iter().max());
            let most = most_in_a_second(&mut times);
            assert!(most <= 1_000, "{streams}: {most} in a second");
        }
        let few: Vec<u64> = (0..4).map(|slot| retry_of(4, slot)).collect();
        assert!(few.iter().max() > Some(&400), "{few:?}");
        assert!(retry_of(10_000_000, 59) < MAX_SPREAD);
    }

    #[test]
    fn streams_speak_at_common_moments() {
        let streams = LiveStreams::new(16);
        let tick = |moment: Instant| moment - streams.since_tick(moment);
        let first = streams.first_tick;
        let ms = Duration::from_millis;
        assert_eq!(tick(first), first);
        assert_eq!(tick(first + TICK - ms(1)), first);
        assert_eq!(tick(first + 60 * TICK + ms(1)), first + 60 * TICK);
    }

    #[test]
    fn streams_that_end_together_share_the_time_of_all() {
        let streams = LiveStreams::new(16_384);
        let mut open: Vec<_> = (0..10_000).map(|_| streams.open("a").unwrap()).collect();
        let began = Instant::now();
        let mut times = Vec::new();
        while !open.is_empty() {
            // The last one ends after a second.
            let passed = times.len() as u64 / 10;
            times.push(passed + streams.retry_after_stop_at(began + Duration::from_millis(passed)));
            open.pop();
        }
        assert!(times.iter().min().is_some_and(|first| RESTART <= *first));
        assert!(times.iter().max().is_some_and(|last| *last < RESTART + 10_780));
        let most = most_in_a_second(&mut times);
        assert!(most <= 1_000, "{most} in a second");
    }
}
