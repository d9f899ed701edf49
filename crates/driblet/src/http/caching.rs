//! `Cache-Control` (RFC 9111, section 5.2; RFC 5861; RFC 8246).

use hyper::header::{self, HeaderMap, HeaderValue};

pub(super) const REVALIDATE: &str = "no-cache";
pub(super) const NO_STORE: &str = "no-store";
pub(super) const IMMUTABLE: &str = "max-age=31536000, immutable";
/// A browser may show what it holds once more, while it fetches what is newer.
pub(super) const STALE_ONCE: &str = "max-age=0, stale-while-revalidate=604800";

/// Keeps an answer out of shared caches: they do not ask the guard of a path.
pub(super) fn make_private(headers: &mut HeaderMap) {
    let said: Vec<String> = directives(headers).collect();
    if said.iter().any(|directive| directive == NO_STORE) {
        return;
    }
    let is_shared = |directive: &&String| {
        let name = directive.split('=').next().unwrap_or_default();
        matches!(name, "public" | "s-maxage" | "private" | "proxy-revalidate")
    };
    let kept: Vec<&str> = said.iter().filter(|directive| !is_shared(directive)).map(String::as_str).collect();
    let kept = if kept.is_empty() { vec![REVALIDATE] } else { kept };
    let value = format!("private, {}", kept.join(", "));
    let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static(NO_STORE));
    headers.insert(header::CACHE_CONTROL, value);
}

/// Whether a shared cache would give an answer to others without a look at its path's guard.
pub(super) fn is_shared(headers: &HeaderMap) -> bool {
    headers.get(header::CACHE_CONTROL).is_some_and(|caching| caching == IMMUTABLE || caching == STALE_ONCE)
}

/// Whether a browser may use an answer later without asking for it again, fresh or stale.
pub(super) fn is_kept(headers: &HeaderMap) -> bool {
    let mut is_kept = false;
    directives(headers).all(|directive| {
        let seconds = directive.strip_prefix("max-age=").or_else(|| directive.strip_prefix("stale-while-revalidate="));
        is_kept |= seconds.and_then(|seconds| seconds.parse().ok()).is_some_and(|seconds: u64| 0 < seconds);
        directive != NO_STORE && directive != REVALIDATE
    }) && is_kept
}

/// The directives, in small letters.
fn directives(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let values = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives = values.flat_map(|value| value.split(',')).map(|directive| directive.trim().to_ascii_lowercase());
    directives.filter(|directive| !directive.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(said: &[&str]) -> HeaderMap {
        said.iter().map(|value| (header::CACHE_CONTROL, value.parse().unwrap())).collect()
    }

    #[test]
    fn shared_caches_keep_nothing() {
        let private = |said: &[&str]| {
            let mut headers = headers(said);
            make_private(&mut headers);
            assert_eq!(headers.get_all(header::CACHE_CONTROL).iter().count(), 1);
            headers[header::CACHE_CONTROL].to_str().unwrap().to_owned()
        };
        assert_eq!(private(&["no-cache"]), "private, no-cache");
        assert_eq!(private(&["no-store"]), "no-store");
        assert_eq!(private(&[]), "private, no-cache");
        assert_eq!(private(&["max-age=31536000, immutable"]), "private, max-age=31536000, immutable");
        assert_eq!(private(&["private, max-age=1"]), "private, max-age=1");
        assert_eq!(private(&["Public, S-MaxAge=5", "max-age=86400"]), "private, max-age=86400");
        assert_eq!(private(&["public"]), "private, no-cache");
    }

    #[test]
    fn only_what_a_browser_keeps_is_offered() {
        let is_kept = |caching: &str| is_kept(&headers(&[caching]));
        for caching in
            ["max-age=0, stale-while-revalidate=604800", "private, Max-Age=60", "max-age=31536000, immutable"]
        {
            assert!(is_kept(caching), "{caching}");
        }
        for caching in ["no-cache", "no-store, max-age=60", "max-age=0", "max-age=60, no-cache", "public", "max-age=x"]
        {
            assert!(!is_kept(caching), "{caching}");
        }
        assert!(!super::is_kept(&HeaderMap::new()));
    }
}
