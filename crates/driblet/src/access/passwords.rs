//! Passwords: argon2 checks each once, and then it is remembered for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::warn;

use super::hash::UserHash;
use super::rules::Rule;
use crate::client_address::AddressBlock;
use crate::recent::recent;
use crate::task::{TaskFailed, blocking};

/// How many passwords are checked by argon2 at the same time. Each check takes a core for some 20 ms, and 19 MiB.
const CHECKS: usize = 2;
/// The longest that a request waits for a check.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a checked password is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How many checked passwords are remembered.
const MAX_REMEMBERED: u64 = 10_000;
/// The most wrong passwords of a client in [`WINDOW`].
const MAX_WRONG: u32 = 10;
/// The time for which wrong passwords are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// How many clients' wrong passwords are counted.
const MAX_CLIENTS: u64 = 65_536;

/// What a user sends.
#[derive(Clone)]
pub(crate) struct UserAndPassword {
    pub(crate) user: String,
    pub(crate) password: String,
}

/// Why a password was not checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NotChecked {
    /// The client sent too many wrong ones. It may try again after this time.
    TooManyWrong(Duration),
    /// Too many others are being checked.
    Busy,
}

/// Checks passwords.
pub(super) struct Passwords {
    /// Of this process alone: what is remembered says nothing elsewhere.
    key: [u8; 32],
    /// Whether a user has a password, by their keyed hash. Wrong ones are remembered too: a program that repeats one
    /// costs nothing. Requests that send the same at the same time share one check.
    checked: moka::future::Cache<[u8; 32], bool>,
    wrong: moka::sync::Cache<AddressBlock, Arc<WrongPasswords>>,
    permits: Arc<Semaphore>,
}

/// The wrong passwords of one client, and those of it that are being checked.
struct WrongPasswords {
    since: Instant,
    count: AtomicU32,
}

impl Passwords {
    pub(super) fn new() -> Result<Passwords, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Passwords {
            key,
            checked: moka::future::Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(REMEMBERED).build(),
            wrong: recent(MAX_CLIENTS).time_to_live(WINDOW).build(),
            permits: Arc::new(Semaphore::new(CHECKS)),
        })
    }

    /// Whether a rule names a user, and the password is the user's. For a user that the rule does not name another one's
    /// hash is checked: the time must not tell which users there are.
    pub(super) async fn check(
        &self,
        rule: &Rule,
        given: &UserAndPassword,
        client: AddressBlock,
    ) -> Result<bool, NotChecked> {
        let named = rule.users.get(&given.user);
        let Some(hash) = named.or_else(|| rule.users.values().next()).cloned() else { return Ok(false) };
        // Before what is remembered: otherwise a client could try passwords as fast as it can send them.
        if let Some(wrong) = self.wrong.get(&client).filter(|wrong| MAX_WRONG <= wrong.count.load(Ordering::SeqCst)) {
            return Err(NotChecked::TooManyWrong(wrong.left()));
        }
        let check = async {
            let wrong = self.wrong.get_with(client, || Arc::new(WrongPasswords::new()));
            // Counted before the check, so that many at the same time are no way around the limit.
            let before = wrong.count.fetch_add(1, Ordering::SeqCst);
            if MAX_WRONG <= before {
                if before == MAX_WRONG {
                    warn!(%client, "too many wrong passwords come from one address, which must wait a minute; if it is a proxy, let it state its clients in X-Forwarded-For");
                }
                return Err(NotChecked::TooManyWrong(wrong.left()));
            }
            let is_right =
                self.compute(hash.clone(), &given.password).await.map(|is_right| is_right && named.is_some());
            if is_right != Ok(false) {
                wrong.count.fetch_sub(1, Ordering::SeqCst);
            }
            is_right
        };
        let key = self.key_of(given, named.is_some(), &hash);
        self.checked.try_get_with(key, check).await.map_err(|error| *error)
    }

    /// Whether a password has a hash. Takes as long for a wrong one.
    async fn compute(&self, hash: UserHash, password: &str) -> Result<bool, NotChecked> {
        let permit = timeout(QUEUE_TIMEOUT, self.permits.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| NotChecked::Busy)?.map_err(|_| NotChecked::Busy)?;
        let password = password.to_owned();
        let compute = move || {
            let is_right = hash.is_of(password.as_bytes());
            drop(permit);
            Ok::<_, TaskFailed>(is_right)
        };
        blocking(compute).await.map_err(|_| NotChecked::Busy)
    }

    /// No two inputs are the same bytes: each text has its length before it.
    fn key_of(&self, given: &UserAndPassword, is_named: bool, hash: &UserHash) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for text in [&given.user, &given.password, &hash.text] {
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        *hasher.update(&[is_named.into()]).finalize().as_bytes()
    }
}

impl WrongPasswords {
    fn new() -> WrongPasswords {
        WrongPasswords { since: Instant::now(), count: AtomicU32::new(0) }
    }

    /// How long until they are forgotten.
    fn left(&self) -> Duration {
        WINDOW.saturating_sub(self.since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::hash::HASH;
    use super::*;
    use crate::client_address::ClientAddress;
    use crate::trusted_proxies::TrustedProxies;

    fn client(number: u32) -> AddressBlock {
        let ip = IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + number));
        ClientAddress::of_peer(ip, &TrustedProxies::parse([""; 0]).unwrap()).block()
    }

    #[tokio::test]
    async fn wrong_passwords_are_counted_however_many_clients_there_are() {
        let passwords = Passwords::new().unwrap();
        let users = BTreeMap::from([("alice".to_owned(), UserHash::parse(HASH).unwrap())]);
        let rule = Rule { name: "/".into(), users, tokens: Vec::new() };
        for _ in 0..4 {
            for number in 1..=MAX_CLIENTS as u32 {
                passwords.wrong.get_with(client(number), || Arc::new(WrongPasswords::new()));
            }
        }
        passwords.wrong.run_pending_tasks();
        let mut answers = Vec::new();
        for number in 0..=MAX_WRONG {
            let given = UserAndPassword { user: "alice".into(), password: number.to_string() };
            answers.push(passwords.check(&rule, &given, client(0)).await);
            passwords.wrong.run_pending_tasks();
        }
        let refused = answers.pop().unwrap();
        assert!(matches!(refused, Err(NotChecked::TooManyWrong(_))), "{refused:?}");
        assert_eq!(answers, [Ok(false); MAX_WRONG as usize]);
    }
}
