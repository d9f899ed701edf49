//! How many connections each client has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::warn;

use crate::client_address::{AddressBlock, ClientAddress};
use crate::recent::recent;

/// The least time between two lines of the log about one address.
const QUIET: Duration = Duration::from_secs(60);
/// How many addresses of which the log has a line are remembered.
const MAX_LOGGED: u64 = 1024;

/// The connections of each client.
pub(super) struct AddressCounts {
    max: usize,
    open: Mutex<HashMap<AddressBlock, usize>>,
    logged: moka::sync::Cache<AddressBlock, ()>,
}

/// The place of a connection among those of its client. Dropping it gives the place back.
pub(super) struct AddressPlace {
    counts: Arc<AddressCounts>,
    /// `None` for a client without a limit.
    block: Option<AddressBlock>,
}

impl AddressCounts {
    pub(super) fn new(max: usize) -> Arc<AddressCounts> {
        let logged = recent(MAX_LOGGED).time_to_live(QUIET).build();
        Arc::new(AddressCounts { max: max.max(1), open: Mutex::default(), logged })
    }

    /// Counts a connection; `None` if its client has too many.
    pub(super) fn enter(self: &Arc<Self>, client: ClientAddress) -> Option<AddressPlace> {
        let block = client.limited();
        if let Some(block) = block {
            let mut open = self.open();
            let count = open.entry(block).or_default();
            if self.max <= *count {
                drop(open);
                self.log(client, "too many connections from one address; new ones are closed at once");
                return None;
            }
            *count += 1;
        }
        Some(AddressPlace { counts: self.clone(), block })
    }

    /// Logs why connections are closed, once a minute for each address.
    pub(super) fn log(&self, client: ClientAddress, what: &str) {
        self.logged.get_with(client.block(), || log(client.ip(), what));
    }

    fn open(&self) -> MutexGuard<'_, HashMap<AddressBlock, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn log(client: IpAddr, what: &str) {
    warn!(%client, "{what}");
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let Some(block) = self.block else { return };
        let mut open = self.counts.open();
        if let Some(count) = open.get_mut(&block) {
            *count -= 1;
            if *count == 0 {
                open.remove(&block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trusted_proxies::TrustedProxies;

    #[test]
    fn places_are_counted_for_each_client_and_given_back() {
        let counts = AddressCounts::new(2);
        let enter = |ip: [u8; 4]| counts.enter(ClientAddress::of_peer(ip.into(), &TrustedProxies::default()));
        let (first, second) = (enter([1, 2, 3, 4]), enter([1, 2, 3, 4]));
        assert!(first.is_some() && second.is_some() && enter([1, 2, 3, 4]).is_none());
        assert!(enter([1, 2, 3, 5]).is_some());
        drop(first);
        assert!(enter([1, 2, 3, 4]).is_some());
        drop(second);
        assert!(counts.open().is_empty());
        let local: Vec<_> = (0..9).map(|_| enter([127, 0, 0, 1])).collect();
        assert!(local.iter().all(Option::is_some));
    }
}
