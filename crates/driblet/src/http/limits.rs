//! What one client may have the server do at a time.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::admission::too_many;
use super::path::Resource;
use super::problem::Problem;
use crate::client_address::{AddressBlock, ClientAddress};

/// The most clients whose signatures are counted apart. When there are more, the others share one count.
const MAX_CLIENTS: usize = 65_536;
/// The least time between two looks for clients that need not be remembered any more.
const SWEEP: Duration = Duration::from_secs(1);

/// Limits for each client, by its address.
pub(crate) struct AddressLimits {
    signatures: RateLimiter<AddressBlock, HashMapStateStore<AddressBlock>, DefaultClock>,
    swept: Mutex<Option<Instant>>,
    max_answers: usize,
    running: Arc<Mutex<HashMap<AddressBlock, usize>>>,
}

/// An answer that is being made or sent. It is counted until this is dropped.
pub(super) struct RunningAnswer {
    running: Arc<Mutex<HashMap<AddressBlock, usize>>>,
    block: AddressBlock,
}

impl AddressLimits {
    /// `signatures` may come at once, and as many each minute.
    pub(crate) fn new(signatures: NonZeroU32, max_answers: usize) -> AddressLimits {
        AddressLimits {
            signatures: RateLimiter::hashmap(Quota::per_minute(signatures)),
            swept: Mutex::default(),
            max_answers: max_answers.max(1),
            running: Arc::default(),
        }
    }

    /// Refuses a request for a resource if its client has reached a limit. Gives what to keep until the answer is sent.
    pub(super) fn enter(&self, resource: &Resource, client: ClientAddress) -> Result<Option<RunningAnswer>, Problem> {
        let Some(block) = client.limited() else { return Ok(None) };
        match resource {
            Resource::Signature | Resource::Have => {
                self.signature(block)?;
                self.answer(block).map(Some)
            }
            Resource::From(_) | Resource::Pair(..) | Resource::PartOfPair(..) | Resource::Part(_) => {
                self.answer(block).map(Some)
            }
            Resource::Head | Resource::Grant(_) | Resource::Live | Resource::Manifest(_) | Resource::Other(_) => {
                Ok(None)
            }
        }
    }

    fn signature(&self, block: AddressBlock) -> Result<(), Problem> {
        let block = if self.is_full() { AddressBlock::OTHERS } else { block };
        self.signatures.check_key(&block).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now());
            let detail = "Too many signatures came from this address; send the next one after the time in Retry-After.";
            too_many(detail, wait)
        })
    }

    /// Whether there are too many clients to count one more apart. Those that need not be remembered are forgotten.
    fn is_full(&self) -> bool {
        if self.signatures.len() < MAX_CLIENTS {
            return false;
        }
        let mut swept = lock(&self.swept);
        if swept.is_none_or(|swept| SWEEP <= swept.elapsed()) {
            *swept = Some(Instant::now());
            self.signatures.retain_recent();
            self.signatures.shrink_to_fit();
        }
        MAX_CLIENTS <= self.signatures.len()
    }

    fn answer(&self, block: AddressBlock) -> Result<RunningAnswer, Problem> {
        let mut running = lock(&self.running);
        let count = running.entry(block).or_default();
        if self.max_answers <= *count {
            let detail =
                "Too many syncs from this address run at the same time; ask again after the time in Retry-After.";
            return Err(too_many(detail, Duration::ZERO));
        }
        *count += 1;
        Ok(RunningAnswer { running: self.running.clone(), block })
    }
}

impl std::fmt::Debug for AddressLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AddressLimits").field("max_answers", &self.max_answers).finish_non_exhaustive()
    }
}

impl Drop for RunningAnswer {
    fn drop(&mut self) {
        let mut running = lock(&self.running);
        if let Some(count) = running.get_mut(&self.block) {
            *count -= 1;
            if *count == 0 {
                running.remove(&self.block);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::trusted_proxies::TrustedProxies;

    fn client(number: u32) -> ClientAddress {
        // From 16.0.0.0 on, so that none is on this machine.
        ClientAddress::of_peer(IpAddr::V4(Ipv4Addr::from(number + (16 << 24))), &TrustedProxies::default())
    }

    fn limits(signatures: u32, answers: usize) -> AddressLimits {
        AddressLimits::new(NonZeroU32::new(signatures).unwrap(), answers)
    }

    #[test]
    fn a_hundred_thousand_clients_take_bounded_memory() {
        // A signature each minute, so that none is forgotten while the test runs.
        let limits = limits(1, 2);
        for number in 0..100_000 {
            let entered = limits.enter(&Resource::Signature, client(number));
            assert!(entered.is_ok() || (MAX_CLIENTS as u32) < number, "{number}");
        }
        assert!(limits.signatures.len() <= MAX_CLIENTS + 1, "{}", limits.signatures.len());
        assert!(lock(&limits.running).is_empty());
        assert!(limits.enter(&Resource::Signature, client(200_000)).is_err(), "the others share one count");
    }

    #[test]
    fn clients_that_need_not_be_remembered_are_forgotten() {
        let limits = limits(u32::MAX, 2);
        for number in 0..100_000 {
            assert!(limits.enter(&Resource::Signature, client(number)).is_ok(), "{number}");
        }
        assert!(limits.signatures.len() <= MAX_CLIENTS + 1);
    }

    #[test]
    fn answers_are_counted_until_they_are_dropped() {
        let limits = limits(1, 2);
        let enter = |number| limits.enter(&Resource::From(None), client(number));
        let (first, second) = (enter(1).unwrap(), enter(1).unwrap());
        assert!(enter(1).is_err() && enter(2).is_ok());
        drop(first);
        let third = enter(1).unwrap();
        assert!(enter(1).is_err());
        drop((second, third));
        assert!(lock(&limits.running).is_empty());
        let none = ClientAddress::of_peer([127, 0, 0, 1].into(), &TrustedProxies::default());
        assert!((0..9).all(|_| matches!(limits.enter(&Resource::Signature, none), Ok(None))));
    }
}
