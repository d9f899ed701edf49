//! Paths that have moved.

use axum::response::{IntoResponse, Response};
use hyper::header::{self, HeaderValue};
use hyper::{StatusCode, Uri};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::caching::REVALIDATE;

/// What a path in a URL must not have as it is (RFC 3986, section 3.3).
const RESERVED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?').add(b'`');

/// A path, or all paths with a start, and where they are now.
#[derive(Debug)]
pub(crate) struct RedirectRule {
    from: String,
    to: String,
    /// Whether `from` is the start of the paths, and what follows it comes after `to`.
    is_start: bool,
    status: StatusCode,
}

impl RedirectRule {
    /// The error says what is wrong with which of the three.
    pub(crate) fn new(from: &str, to: &str, status: u16) -> Result<RedirectRule, String> {
        let status = [301, 302, 303, 307, 308].into_iter().find(|known| *known == status);
        let status = status.ok_or("the status of a redirection is 301, 302, 303, 307 or 308")?;
        if !from.starts_with('/') || from.trim_end_matches('*').contains('*') {
            return Err(format!("{from:?} is no path: it begins with / and may end with *"));
        }
        let is_absolute = ["https://", "http://"].iter().any(|scheme| to.starts_with(scheme));
        let is_path = to.starts_with('/') && !to.starts_with("//");
        if HeaderValue::try_from(to).is_err() || to.contains(' ') || !(is_absolute || is_path) {
            return Err(format!("{to:?} is neither a path nor a URL: it begins with / or https://"));
        }
        let is_start = from.ends_with('*');
        if to.ends_with('*') && !is_start {
            return Err(format!("{to:?} ends with *, and {from:?} does not"));
        }
        let status = StatusCode::from_u16(status).map_err(|error| error.to_string())?;
        let (from, to) = (from.trim_end_matches('*').to_owned(), to.to_owned());
        Ok(RedirectRule { from, to, is_start, status })
    }

    /// The redirection of a decoded path that begins with `/`, if the rule is for it. The query stays.
    pub(super) fn response(&self, path: &str, uri: &Uri) -> Option<Response> {
        let rest = path.strip_prefix(&self.from).filter(|rest| self.is_start || rest.is_empty())?;
        let target = match self.to.strip_suffix('*') {
            Some(start) => format!("{start}{}", utf8_percent_encode(rest, RESERVED)),
            None => self.to.clone(),
        };
        let query = uri.query().filter(|_| !target.contains('?')).map(|query| format!("?{query}")).unwrap_or_default();
        let headers = [(header::LOCATION, format!("{target}{query}")), (header::CACHE_CONTROL, REVALIDATE.to_owned())];
        Some((self.status, headers).into_response())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(from: &str, to: &str, uri: &str) -> Option<String> {
        let (rule, uri) = (RedirectRule::new(from, to, 308).unwrap(), uri.parse::<Uri>().unwrap());
        let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8().unwrap();
        let response = rule.response(&path, &uri)?;
        assert_eq!(response.status(), 308);
        Some(response.headers()["location"].to_str().unwrap().to_owned())
    }

    #[test]
    fn paths_and_starts_of_paths() {
        assert_eq!(location("/a", "/b", "/a").as_deref(), Some("/b"));
        assert_eq!(location("/a", "/b", "/a?q=1").as_deref(), Some("/b?q=1"));
        assert_eq!(location("/a", "/b?x=2", "/a?q=1").as_deref(), Some("/b?x=2"));
        assert_eq!(location("/a", "/b", "/a/c"), None);
        assert_eq!(location("/a/*", "/b/*", "/a/c%20d/%E2%82%AC?q").as_deref(), Some("/b/c%20d/%E2%82%AC?q"));
        assert_eq!(location("/a/*", "/b", "/a/c").as_deref(), Some("/b"));
        assert_eq!(location("/*", "https://b.example/*", "/x/y").as_deref(), Some("https://b.example/x/y"));
    }

    #[test]
    fn what_is_no_rule_is_named() {
        for (from, to, status, says) in [
            ("a", "/b", 308, "\"a\" is no path"),
            ("/a*b", "/b", 308, "\"/a*b\" is no path"),
            ("/a", "b", 308, "\"b\" is neither"),
            ("/a", "//b", 308, "\"//b\" is neither"),
            ("/a", "/b\r\nx: y", 308, "is neither"),
            ("/a", "/b/*", 308, "ends with *"),
            ("/a", "/b", 200, "301"),
        ] {
            let error = RedirectRule::new(from, to, status).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
