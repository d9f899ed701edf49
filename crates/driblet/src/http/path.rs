//! Reads a URL's path. Pure: nothing here touches a disk.

use std::str::FromStr;

use driblet_core::Version;
use percent_encoding::percent_decode_str;

/// The longest path that is accepted, in bytes before decoding.
const MAX_LEN: usize = 4096;
/// The end of the part of a path that a sync resource follows.
const SUFFIX: &str = ".driblet";

/// The asset and the resource that a URL's path names.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct RequestPath {
    /// The asset: decoded names joined by `/`, without a `/` at the start; empty for the root.
    pub(super) asset: String,
    /// Whether the path ends with `/`, and so names a folder.
    pub(super) folder: bool,
    /// The sync resource, for a path below `.driblet/`.
    pub(super) resource: Option<Resource>,
}

/// A sync resource.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Resource {
    /// The delta from a version, or from nothing, to the head.
    From(Option<Version>),
    /// The delta from a version, or from nothing, to a version.
    Pair(Option<Version>, Version),
    Head,
    /// The grant of a version.
    Grant(Version),
    Signature,
    Live,
    /// A part of the delta between two versions of a directory, by its number.
    PartOfPair(Option<Version>, Version, usize),
    /// A part of a directory, by its name.
    Part(Version),
    /// The manifest of a directory version.
    Manifest(Version),
    /// What a receiver holds of a directory.
    Have,
    /// Another name, maybe a file of the browser client.
    Other(String),
}

impl RequestPath {
    /// Parses the path of a request. `None` if a name is not UTF-8, leads to a parent folder, or contains an encoded
    /// separator.
    pub(super) fn parse(path: &str) -> Option<RequestPath> {
        let path = path.strip_prefix('/').filter(|path| path.len() <= MAX_LEN)?;
        let mut names = Vec::new();
        for part in path.split('/') {
            let name = percent_decode_str(part).decode_utf8().ok()?;
            if name == "." || name == ".." || name.contains(['/', '\\', '\0']) {
                return None;
            }
            names.push(name.into_owned());
        }
        let folder = names.pop_if(|last| last.is_empty()).is_some();
        if names.iter().any(String::is_empty) {
            return None;
        }
        match names.iter().position(|name| name.ends_with(SUFFIX)) {
            None => Some(RequestPath { asset: names.join("/"), folder, resource: None }),
            Some(at) => RequestPath::below(names, at, folder),
        }
    }

    /// Parses a path whose part `at` ends with `.driblet`. One more part must follow, or two for a folder.
    fn below(mut names: Vec<String>, at: usize, ends_with_slash: bool) -> Option<RequestPath> {
        let below = names.split_off(at + 1);
        let name = names.pop()?;
        let asset = name.strip_suffix(SUFFIX)?;
        let folder = asset.is_empty();
        let resource = match below.as_slice() {
            _ if ends_with_slash => return None,
            [resource] => Resource::parse(resource, folder),
            [first, second] if folder => Resource::parse_two(first, second)?,
            _ => return None,
        };
        if !folder {
            names.push(asset.to_owned());
        }
        Some(RequestPath { asset: names.join("/"), folder, resource: Some(resource) })
    }
}

impl Resource {
    fn parse(name: &str, folder: bool) -> Resource {
        match name {
            "head" => Resource::Head,
            "signature" => Resource::Signature,
            "live" => Resource::Live,
            "have" if folder => Resource::Have,
            text => (granted(text).map(Resource::Grant))
                .or_else(|| basis(text).map(Resource::From))
                .or_else(|| pair(text).map(|(from, to)| Resource::Pair(from, to)))
                .unwrap_or_else(|| Resource::Other(text.to_owned())),
        }
    }

    /// Parses the two parts of a resource of a directory.
    fn parse_two(first: &str, second: &str) -> Option<Resource> {
        match first {
            "part" => second.parse().ok().map(Resource::Part),
            "manifest" => second.parse().ok().map(Resource::Manifest),
            text => {
                let (from, to) = pair(text)?;
                let is_number = second.bytes().all(|byte| byte.is_ascii_digit());
                let is_shortest = second == "0" || !second.starts_with('0');
                let number = second.parse().ok().filter(|_| is_number && is_shortest)?;
                Some(Resource::PartOfPair(from, to, number))
            }
        }
    }
}

/// The version of a grant.
fn granted(text: &str) -> Option<Version> {
    text.strip_prefix("grant-")?.parse().ok()
}

/// A version, or `none`.
fn basis(text: &str) -> Option<Option<Version>> {
    match text {
        "none" => Some(None),
        version => Version::from_str(version).ok().map(Some),
    }
}

/// Two versions; the first may be `none`.
fn pair(text: &str) -> Option<(Option<Version>, Version)> {
    let (from, to) = text.split_once('-')?;
    Some((basis(from)?, to.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(asset: &str, folder: bool) -> Option<RequestPath> {
        Some(RequestPath { asset: asset.into(), folder, resource: None })
    }

    fn below(asset: &str, folder: bool, resource: Resource) -> Option<RequestPath> {
        Some(RequestPath { asset: asset.into(), folder, resource: Some(resource) })
    }

    #[test]
    fn plain_paths() {
        assert_eq!(RequestPath::parse("/"), plain("", true));
        assert_eq!(RequestPath::parse("/app.js"), plain("app.js", false));
        assert_eq!(RequestPath::parse("/a/b%20c/"), plain("a/b c", true));
        assert_eq!(RequestPath::parse("/%F0%9F%92%A7.js"), plain("💧.js", false));
        assert_eq!(RequestPath::parse("/100%25.js"), plain("100%.js", false), "decoded once");
    }

    #[test]
    fn what_climbs_or_hides_names_nothing() {
        for path in [
            "",
            "app.js",
            "/..",
            "/../etc/passwd",
            "/a/../b",
            "/./a",
            "/%2e%2e/a",
            "/a/%2E%2E",
            "/a%2fb",
            "/a%2Fb",
            "/a\\b",
            "/a%5cb",
            "/a%00b",
            "/a//b",
            "//a",
            "/%ff",
            "/app.js.driblet",
            "/app.js.driblet/",
            "/app.js.driblet/head/",
            "/app.js.driblet/a/b",
            "/x.driblet/y.driblet/none",
        ] {
            assert_eq!(RequestPath::parse(path), None, "{path}");
        }
        assert_eq!(RequestPath::parse(&format!("/{}", "a".repeat(MAX_LEN + 1))), None);
    }

    #[test]
    fn sync_resources() {
        let (a, b) = (Version::of(b"a"), Version::of(b"b"));
        let of = |name: &str| RequestPath::parse(&format!("/js/app.js.driblet/{name}"));
        assert_eq!(of("head"), below("js/app.js", false, Resource::Head));
        assert_eq!(of("none"), below("js/app.js", false, Resource::From(None)));
        assert_eq!(of(&a.to_string()), below("js/app.js", false, Resource::From(Some(a))));
        assert_eq!(of(&format!("{a}-{b}")), below("js/app.js", false, Resource::Pair(Some(a), b)));
        assert_eq!(of(&format!("none-{b}")), below("js/app.js", false, Resource::Pair(None, b)));
        assert_eq!(of(&format!("grant-{a}")), below("js/app.js", false, Resource::Grant(a)));
        assert_eq!(of("nope"), below("js/app.js", false, Resource::Other("nope".into())));
        let upper = a.to_string().to_uppercase();
        assert_eq!(of(&upper), below("js/app.js", false, Resource::Other(upper.clone())));
        assert_eq!(RequestPath::parse("/.driblet/client.js"), below("", true, Resource::Other("client.js".into())));
        assert_eq!(RequestPath::parse("/app/.driblet/head"), below("app", true, Resource::Head));
    }
}
