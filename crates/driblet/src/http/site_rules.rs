//! What a website wants from the server besides its files: a page for every path, a page for missing files, and headers.

use std::path::Path;

use hyper::Method;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::fetch_metadata::SEC_FETCH_MODE;
use super::redirect_rules::RedirectRule;

/// The shortest word of a file's name that is taken for a content hash: vite, esbuild and Parcel write 8 letters.
const LEAST_HASH: usize = 8;

/// What protects a site without harm to most. Browsers follow the first only if it came over TLS (RFC 6797, section
/// 8.1).
const SECURITY: [(HeaderName, &str); 4] = [
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    (header::CONTENT_SECURITY_POLICY, "frame-ancestors 'self'"),
    (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
    (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
];

/// What separates the words of a file's name.
const SEPARATORS: [char; 4] = ['.', '-', '_', '~'];

/// What is done for a whole site.
#[derive(Debug, Default)]
pub(crate) struct SiteRules {
    /// Whether `index.html` answers navigations to paths without a file.
    pub(crate) single_page: bool,
    pub(crate) headers: Vec<HeaderRule>,
    /// Whether browsers may use files as compression dictionaries.
    pub(crate) dictionaries: bool,
    /// Whether a folder without a page gets one that lists its files.
    pub(crate) listing: bool,
    /// Whether pages are told not to be framed by others, and to come over TLS only.
    pub(crate) security: bool,
    pub(crate) redirects: Vec<RedirectRule>,
}

/// A header of the files that a pattern matches.
#[derive(Debug)]
pub(crate) struct HeaderRule {
    files: Gitignore,
    name: HeaderName,
    /// `None` removes the header.
    value: Option<HeaderValue>,
}

impl HeaderRule {
    /// The error says what is wrong with which of the three.
    pub(crate) fn new(pattern: &str, name: &str, value: &str) -> Result<HeaderRule, String> {
        let mut files = GitignoreBuilder::new("");
        files.add_line(None, pattern).map_err(|error| format!("{pattern:?} is no pattern of files: {error}"))?;
        let files = files.build().map_err(|error| format!("{pattern:?} is no pattern of files: {error}"))?;
        if files.num_ignores() != 1 {
            return Err(format!(
                "{pattern:?} is no pattern of files: give one as in .gitignore, such as *.html or assets/"
            ));
        }
        let header = name.parse().map_err(|_| format!("{name:?} is no name of a header"))?;
        if [header::CONTENT_LENGTH, header::CONTENT_RANGE, header::ETAG, header::CONTENT_ENCODING].contains(&header) {
            return Err(format!("{name} describes what is sent, and cannot be set"));
        }
        let text = value.trim();
        let set = HeaderValue::try_from(text).map_err(|_| format!("{text:?} is no value of a header"))?;
        Ok(HeaderRule { files, name: header, value: (!text.is_empty()).then_some(set) })
    }
}

impl SiteRules {
    /// Sets the headers of a file. A later rule replaces what an earlier one set.
    pub(super) fn apply(&self, path: &str, headers: &mut HeaderMap) {
        if self.security {
            for (name, value) in SECURITY {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        for HeaderRule { files, name, value } in &self.headers {
            if !files.matched_path_or_any_parents(Path::new(path), false).is_ignore() {
                continue;
            }
            match value {
                Some(value) => drop(headers.insert(name, value.clone())),
                None => drop(headers.remove(name)),
            }
        }
    }
}

/// Whether a page is asked for, and not a part of one: a browser says so, others accept HTML by name.
pub(super) fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    let accepts = || {
        headers.get_all(header::ACCEPT).iter().any(|value| {
            value.to_str().is_ok_and(|value| value.contains("text/html") || value.contains("application/xhtml+xml"))
        })
    };
    let is_page = headers.get(SEC_FETCH_MODE).map_or_else(accepts, |mode| mode == "navigate");
    is_page && (method == Method::GET || method == Method::HEAD)
}

/// A file's name with `*` in place of its content hash, if it has one as bundlers write it, so that the file never
/// changes. It rather misses a hash than take another word for one, unlike the core, which looks for the basis of a renamed
/// file. Pages and documents have none.
pub(super) fn hashed_name(path: &str) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or_default();
    if [".html", ".htm", ".pdf"].iter().any(|end| name.ends_with(end)) {
        return None;
    }
    let (mut pattern, mut has_hash) = (String::new(), false);
    for (number, part) in name.split_inclusive(SEPARATORS).enumerate() {
        let word = part.trim_end_matches(SEPARATORS);
        let is_hash = 0 < number && is_content_hash(word);
        pattern.push_str(if is_hash { "*" } else { word });
        pattern.push_str(&part[word.len()..]);
        has_hash |= is_hash;
    }
    has_hash.then_some(pattern)
}

/// Whether a word is hexadecimal, or eight letters and digits that are mixed as no word is: `document2`, `20241125` and
/// `HomePage` are none.
fn is_content_hash(word: &str) -> bool {
    let bytes = word.as_bytes();
    let has = |kind: fn(&u8) -> bool| bytes.iter().any(kind);
    let (has_lower, has_upper) = (has(u8::is_ascii_lowercase), has(u8::is_ascii_uppercase));
    let digit = bytes.iter().position(u8::is_ascii_digit);
    let is_digit_inside = digit.is_some_and(|at| bytes[at..].iter().any(u8::is_ascii_alphabetic));
    let is_hex = bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    // Capitals in a row, or at the end.
    let is_shuffled = has_lower
        && (bytes.windows(2).any(|two| two.iter().all(u8::is_ascii_uppercase))
            || bytes.last().is_some_and(u8::is_ascii_uppercase));
    let is_short = bytes.len() == LEAST_HASH && bytes.iter().all(u8::is_ascii_alphanumeric);
    LEAST_HASH <= bytes.len()
        && ((is_hex && is_digit_inside) || (is_short && has_upper && (is_digit_inside || is_shuffled)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_hashes_of_bundlers_are_known() {
        for name in [
            "assets/index-B3f2a9xx.js",
            "main.3fa9c1ab.chunk.css",
            "main.0d51aa3f9b1c2d3e4f50.js",
            "chunk-VXZBQ4F2.js",
            "app~0a1b2c3d.wasm",
            "index-CAdYRHIm.js",
            "Field-BdZiVWoH.js",
            "Jam-BjqgWpyI.js",
        ] {
            assert!(hashed_name(name).is_some(), "{name}");
        }
        for name in [
            "index.html",
            "my-document2.pdf",
            "report-20241125.csv",
            "report-V2-final.png",
            "report-B3f2a9xx.pdf",
            "page-0a1b2c3d.html",
            "jquery-3.7.1.min.js",
            "page-HomePage.js",
            "0a1b2c3d.js",
            "photo-deadbeef.png",
            "a-3dmodels8.glb",
            "B3f2a9xx/index.js",
            "",
        ] {
            assert_eq!(hashed_name(name), None, "{name}");
        }
    }

    #[test]
    fn other_builds_of_a_file_have_the_same_name_without_the_hash() {
        for (path, name) in [
            ("assets/index-B3f2a9xx.js", "index-*.js"),
            ("main.3fa9c1ab.chunk.css", "main.*.chunk.css"),
            ("a/b/my--app~0a1b2c3d.wasm", "my--app~*.wasm"),
        ] {
            assert_eq!(hashed_name(path).as_deref(), Some(name));
        }
    }

    #[test]
    fn what_is_no_rule_is_named() {
        let refused = |pattern, name, value, says: &str| {
            let error = HeaderRule::new(pattern, name, value).unwrap_err();
            assert!(error.contains(says), "{error}");
        };
        refused("[z-a]", "x-a", "1", "no pattern");
        refused("", "x-a", "1", "no pattern");
        refused("# comment", "x-a", "1", "no pattern");
        refused("*", "x a", "1", "\"x a\" is no name");
        refused("*", "x-a", "a\nb", "no value");
        refused("*", "ETag", "1", "cannot be set");
    }

    #[test]
    fn later_rules_win_and_an_empty_value_removes() {
        let rule = |pattern, name, value| HeaderRule::new(pattern, name, value).unwrap();
        let headers = vec![
            rule("*", "x-frame-options", "DENY"),
            rule("embed/", "x-frame-options", ""),
            rule("*.html", "cache-control", "max-age=60"),
        ];
        let rules = SiteRules { headers, ..Default::default() };
        let of = |path| {
            let mut headers = HeaderMap::new();
            rules.apply(path, &mut headers);
            let value = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned());
            (value("x-frame-options"), value("cache-control"))
        };
        assert_eq!(of("a/b.html"), (Some("DENY".into()), Some("max-age=60".into())));
        assert_eq!(of("embed/b.js"), (None, None));
    }
}
