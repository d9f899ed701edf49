//! Grants: a receiver may use a version of one path as the basis of another path.
//!
//! Only the guard of a path knows who may read it, and the guard may stand in another program, such as a proxy. So a
//! receiver first asks at the basis's own path, past that guard, for a grant. It then shows the grant at the other
//! path, whose own guard it passes too. A grant names a path and a version, and only this server can make it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use blake3::{Hash, OUT_LEN};
use driblet_core::Version;

/// Makes and checks grants.
pub(crate) struct Grants {
    /// Made at the start: a grant is worth nothing after a restart, and the receiver sends a signature then.
    key: [u8; 32],
}

impl Grants {
    pub(crate) fn new() -> Result<Grants, getrandom::Error> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        Ok(Grants { key })
    }

    /// The grant of a version of a path.
    pub(super) fn of(&self, path: &str, version: &Version) -> String {
        let code = self.code(path, version);
        URL_SAFE_NO_PAD.encode([code.as_bytes().as_slice(), path.as_bytes()].concat())
    }

    /// The path of a grant, if it is a grant of this version that this server made.
    pub(super) fn path(&self, grant: &str, version: &Version) -> Option<String> {
        let bytes = URL_SAFE_NO_PAD.decode(grant).ok()?;
        let (code, path) = bytes.split_first_chunk::<OUT_LEN>()?;
        let path = std::str::from_utf8(path).ok()?;
        // This comparison takes the same time for all hashes.
        (Hash::from_bytes(*code) == self.code(path, version)).then(|| path.to_owned())
    }

    /// A message authentication code (the keyed mode of BLAKE3).
    fn code(&self, path: &str, version: &Version) -> Hash {
        // A version has a fixed length, so no two pairs are the same bytes.
        blake3::Hasher::new_keyed(&self.key).update(version.as_bytes()).update(path.as_bytes()).finalize()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_of_one_path_one_version_and_one_server() {
        let (server, other) = (Grants::new().unwrap(), Grants::new().unwrap());
        let (a, b) = (Version::of(b"a"), Version::of(b"b"));
        let grant = server.of("js/app.js", &a);
        assert_eq!(server.path(&grant, &a).as_deref(), Some("js/app.js"));
        assert_eq!(server.path(&grant, &b), None);
        assert_eq!(other.path(&grant, &a), None);
        for wrong in ["", "AAAA", "!", &grant[1..], &format!("{grant}AA"), &server.of("js/app.j", &a)[..44]] {
            assert_eq!(server.path(wrong, &a), None, "{wrong}");
        }
        for at in 0..grant.len() {
            let mut changed = grant.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(server.path(std::str::from_utf8(&changed).unwrap(), &a), None, "{at}");
        }
    }
}
