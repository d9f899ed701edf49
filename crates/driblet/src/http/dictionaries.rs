//! Compression dictionaries (RFC 9842): a browser that holds an older version of a file gets the new one encoded against
//! it, with no script of ours. The history has the dictionaries.
//!
//! `docs/decisions/0022-compression-dictionaries.md` says which files are offered, and to whom.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use driblet_core::Version;
use hyper::Method;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;

use super::admission::Admission;
use super::fetch_metadata::{SEC_FETCH_MODE, SEC_FETCH_SITE};
use super::guard::{is_localhost, without_port};
use super::problem::Problem;
use super::site_rules::hashed_name;
use crate::artifacts::{DictionaryCoding, DictionaryHash, DictionaryRequest, WithDictionary};
use crate::history::StoredVersion;
use crate::serve::Encrypted;
use crate::site::Site;

pub(super) const USE_AS_DICTIONARY: HeaderName = HeaderName::from_static("use-as-dictionary");
const AVAILABLE_DICTIONARY: HeaderName = HeaderName::from_static("available-dictionary");
const DICTIONARY_ID: HeaderName = HeaderName::from_static("dictionary-id");

/// The longest id of a dictionary, in characters (RFC 9842, section 2.1.3).
const LONGEST_ID: usize = 1024;

/// Whether a request may get dictionaries, and answers that use them: not if only some clients may see the files.
pub(super) fn are_for(site: &Site, request: &Parts) -> bool {
    site.rules.dictionaries && !site.private && !request.headers.contains_key(header::AUTHORIZATION)
}

/// Whether a file may be shown once more although there is a newer one, while the browser fetches that: a dictionary
/// must be fresh, or usable while it is stale (RFC 9842, section 2.2.1).
pub(super) fn may_be_stale(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default();
    ["text/javascript", "text/css", "application/wasm"].contains(&essence)
}

/// Whether a browser may keep what it gets as a dictionary: over TLS, and on a page that says so. A page of this very
/// machine is most likely being developed, and its author wants to see each change.
pub(super) fn may_be_offered(request: &Parts) -> bool {
    let is_encrypted = request.extensions.get::<Encrypted>().is_some();
    is_encrypted || (request.headers.contains_key(SEC_FETCH_MODE) && !names_this_machine(&request.headers))
}

fn names_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = without_port(host).trim_matches(['[', ']']);
    is_localhost(name) || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The header that offers a version of a path as a dictionary: for the next version, or for the next build of a file
/// with a content hash. `None` if a pattern of URLs cannot name the path as it stands.
pub(super) fn offer(path: &str, version: Version) -> Option<HeaderValue> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let name = path.rsplit('/').next().unwrap_or_default();
    let pattern = hashed_name(path).unwrap_or_else(|| name.to_owned());
    let id = format!("{version}/{path}");
    if !path.bytes().all(is_plain) || LONGEST_ID < id.len() {
        return None;
    }
    // The pattern is relative to the file's own URL, so it is right wherever the router is nested.
    HeaderValue::try_from(format!("match=\"{pattern}\", id=\"{id}\"")).ok()
}

/// A file that is encoded against the dictionary that the client holds, if this path may use that.
pub(super) async fn encoded(
    site: &Site,
    (request, admission): (&Parts, &Admission),
    (held, accepted): (&HeldDictionary, Vec<DictionaryCoding>),
    (path, stored): (&str, &Arc<StoredVersion>),
) -> Result<Option<WithDictionary>, Problem> {
    let is_usable = held.is_for(path) && site.publisher.source().may_see(&held.path) && admission.is_open(&held.path);
    if accepted.is_empty() || !may_read(&request.headers) || !is_usable {
        return Ok(None);
    }
    let Some(dictionary) = site.version(&held.path, held.version).await? else { return Ok(None) };
    let request = DictionaryRequest {
        path,
        stored: stored.clone(),
        dictionary: (&held.path, dictionary),
        hash: held.hash,
        accepted,
        is_head: request.method == Method::HEAD,
    };
    Ok(site.artifacts.choose_with_dictionary(request).await?)
}

/// Whether the page may read the answer (RFC 9842, section 9.3.3): the length of an answer would tell it something
/// about bytes that it must not see. Pages of other origins are let through here only if they may read the answer.
fn may_read(headers: &HeaderMap) -> bool {
    let is = |name: &HeaderName, values: &[&str]| {
        headers.get(name).is_some_and(|value| values.iter().any(|one| value == one))
    };
    !headers.contains_key(SEC_FETCH_SITE)
        || is(&SEC_FETCH_SITE, &["same-origin", "none"])
        || is(&SEC_FETCH_MODE, &["navigate", "same-origin", "cors"])
}

/// The dictionary that a client says it holds.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct HeldDictionary {
    hash: DictionaryHash,
    pub(super) version: Version,
    path: String,
}

impl HeldDictionary {
    pub(super) fn of(headers: &HeaderMap) -> Option<HeldDictionary> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        // A byte sequence and a string (RFC 8941, sections 3.3.5 and 3.3.3).
        let hash = text(AVAILABLE_DICTIONARY)?.strip_prefix(':')?.strip_suffix(':')?;
        let hash = STANDARD.decode(hash).ok()?.try_into().ok()?;
        let (version, path) = text(DICTIONARY_ID)?.strip_prefix('"')?.strip_suffix('"')?.split_once('/')?;
        Some(HeldDictionary { hash, version: version.parse().ok()?, path: path.to_owned() })
    }

    /// Whether it is a version of this path, or of one that differs only by its content hash.
    fn is_for(&self, path: &str) -> bool {
        let folder = |path: &str| path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
        let pattern = |path: &str| hashed_name(path).map(|name| (folder(path), name));
        self.path == path || (pattern(path).is_some() && pattern(path) == pattern(&self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        pairs.collect()
    }

    #[test]
    fn offers_name_the_next_build() {
        let version = Version::of(b"a");
        let offer = |path| offer(path, version).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(offer("js/app.js").unwrap(), format!("match=\"app.js\", id=\"{version}/js/app.js\""));
        let hashed = "assets/index-B3f2a9xx.js";
        assert_eq!(offer(hashed).unwrap(), format!("match=\"index-*.js\", id=\"{version}/{hashed}\""));
        for path in ["a b.js", "a*.js", "a:b.js", "{a}.js", "é.js", "(a).js", "a\"b.js", "a\\b.js"] {
            assert_eq!(offer(path), None, "{path}");
        }
        assert_eq!(offer(&"a".repeat(1000)), None);
    }

    #[test]
    fn what_a_client_holds() {
        let version = Version::of(b"a");
        let hash = format!(":{}:", STANDARD.encode([7; 32]));
        let of = |hash: &str, id: &str| {
            HeldDictionary::of(&headers(&[("available-dictionary", hash), ("dictionary-id", id)]))
        };
        let id = format!("\"{version}/assets/index-B3f2a9xx.js\"");
        let held = of(&hash, &id).unwrap();
        assert_eq!((held.hash, held.version), ([7; 32], version));
        assert!(held.is_for("assets/index-B3f2a9xx.js") && held.is_for("assets/index-Q9bd1cyy.js"));
        for other in ["index-Q9bd1cyy.js", "assets/main-Q9bd1cyy.js", "assets/index.js", "assets/index-Q9bd1cyy.css"] {
            assert!(!held.is_for(other), "{other}");
        }
        for (hash, id) in [
            (&*hash, "\"\""),
            (&*hash, &id[1..]),
            (&hash[1..], &*id),
            (":AAAA:", &*id),
            ("", &*id),
            (&*hash, "\"abc/app.js\""),
        ] {
            assert_eq!(of(hash, id), None, "{hash} {id}");
        }
        assert_eq!(HeldDictionary::of(&headers(&[("available-dictionary", &hash)])), None);
    }

    #[test]
    fn pages_that_may_not_read_an_answer_get_no_dictionary() {
        for pairs in [
            &[][..],
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "no-cors")],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
        ] {
            assert!(may_read(&headers(pairs)), "{pairs:?}");
        }
        for pairs in [
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")][..],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "")],
        ] {
            assert!(!may_read(&headers(pairs)), "{pairs:?}");
        }
    }

    #[test]
    fn a_page_of_this_machine_always_gets_the_newest_file() {
        let offered = |host: &str, mode: bool| {
            let request = hyper::Request::get("/").header("host", host);
            let request = if mode { request.header("sec-fetch-mode", "no-cors") } else { request };
            may_be_offered(&request.body(()).unwrap().into_parts().0)
        };
        for host in ["localhost", "a.localhost:80", "127.0.0.1:8080", "[::1]:8080", "127.8.9.1"] {
            assert!(!offered(host, true), "{host}");
        }
        assert!(offered("assets.example", true) && offered("10.0.0.1:80", true));
        assert!(!offered("assets.example", false));
    }
}
