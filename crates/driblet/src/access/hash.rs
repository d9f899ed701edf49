//! Hashes of passwords.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};

/// The most memory that a check may take, in KiB.
const MAX_MEMORY: u32 = 1 << 20;

/// The argon2id hash of a password with a random salt, as a PHC string for a file of rules. Takes some 20 ms, and 19 MiB.
///
/// ```
/// let hash = driblet::hash_password("correct horse battery staple")?;
/// assert!(hash.starts_with("$argon2id$v=19$"));
/// # Ok::<(), driblet::HashError>(())
/// ```
///
/// # Errors
/// Fails if the system gives no random numbers.
pub fn hash_password(password: &str) -> Result<String, HashError> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| HashError { reason: error.to_string() })?;
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| HashError { reason: error.to_string() })
}

/// A password cannot be hashed.
#[derive(Debug, thiserror::Error)]
#[error("the password cannot be hashed: {reason}")]
pub struct HashError {
    reason: String,
}

/// The hash of no known password.
#[cfg(test)]
pub(super) const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$2wTBMYdRb5RhDjyJzXlQmpG3gFSJyjdLSoyJxbFBuWU";

/// The hash of a user's password.
#[derive(Clone, Debug)]
pub(super) struct UserHash {
    pub(super) text: String,
    parsed: PasswordHash,
}

impl UserHash {
    /// The error says what is wrong.
    pub(super) fn parse(text: &str) -> Result<UserHash, String> {
        let make = "make one with `driblet auth password`";
        let parsed = PasswordHash::new(text).map_err(|_| format!("is no PHC string; {make}"))?;
        if !parsed.algorithm.as_str().starts_with("argon2") {
            return Err(format!("is one of {}, not of argon2; {make}", parsed.algorithm.as_str()));
        }
        let params = Params::try_from(&parsed).map_err(|error| format!("is invalid ({error}); {make}"))?;
        if parsed.salt.is_none() || parsed.hash.is_none() {
            return Err(format!("is not complete; {make}"));
        }
        if MAX_MEMORY < params.m_cost() {
            return Err(format!(
                "takes {} MiB to check, more than {}; {make}",
                params.m_cost() >> 10,
                MAX_MEMORY >> 10
            ));
        }
        Ok(UserHash { text: text.to_owned(), parsed })
    }

    /// Whether a password has this hash. Takes some 20 ms, and the memory that the hash states.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        Argon2::default().verify_password(password, &self.parsed).is_ok()
    }
}
