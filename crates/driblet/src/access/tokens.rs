//! Tokens: random, so a fast hash of each is enough.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use blake3::Hash;
use sha2::{Digest, Sha256};

/// The start of a token's hash in a file of rules.
const PREFIX: &str = "sha256:";

/// A token for a program, and the hash of it that a file of rules gets.
///
/// ```
/// let token = driblet::NewToken::random()?;
/// assert!(token.hash.starts_with("sha256:"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct NewToken {
    /// What the program sends as `Authorization: Bearer …`.
    pub token: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub hash: String,
}

impl NewToken {
    /// A token of 256 random bits.
    ///
    /// # Errors
    /// Fails if the system gives no random numbers.
    pub fn random() -> std::io::Result<NewToken> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        let token = URL_SAFE_NO_PAD.encode(bytes);
        let hash = format!("{PREFIX}{}", digest(&token).to_hex());
        Ok(NewToken { token, hash })
    }
}

/// Does not show the token.
impl std::fmt::Debug for NewToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewToken").field("hash", &self.hash).finish_non_exhaustive()
    }
}

/// The SHA-256 of a token. The type is BLAKE3's, which compares all hashes in the same time.
pub(super) fn digest(token: &str) -> Hash {
    Hash::from_bytes(Sha256::digest(token.as_bytes()).into())
}

/// Parses the hash of a token; `None` if it is none.
pub(super) fn parse(text: &str) -> Option<Hash> {
    Hash::from_hex(text.strip_prefix(PREFIX)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_token_is_its_sha256() {
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(parse(abc), Some(digest("abc")));
        for bad in
            ["", "sha256:", &abc[7..], &abc[..70], "sha256:zz", &format!("{abc}0"), &abc.replace("sha256", "md5")]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
        let (one, other) = (NewToken::random().unwrap(), NewToken::random().unwrap());
        assert_eq!(parse(&one.hash), Some(digest(&one.token)));
        assert_ne!(one.token, other.token);
        assert!(!format!("{one:?}").contains(&one.token));
    }
}
