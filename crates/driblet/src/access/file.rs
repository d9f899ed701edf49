//! The file of rules.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::error::AccessError;
use super::hash::UserHash;
use super::paths::compared;
use super::rules::{Rule, Rules};
use super::tokens;

/// The longest file that is read, in bytes: rules for some ten thousand users.
const MAX_LEN: u64 = 4 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    #[serde(default)]
    allow: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    paths: Vec<Spanned<String>>,
    #[serde(default)]
    users: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    tokens: BTreeMap<String, Spanned<String>>,
}

pub(super) fn read(file: &Path) -> Result<String, AccessError> {
    let read = || {
        if MAX_LEN < file.metadata()?.len() {
            return Err(std::io::Error::other(format!("it is longer than {MAX_LEN} bytes")));
        }
        std::fs::read_to_string(file)
    };
    read().map_err(|source| AccessError::Read { file: file.to_owned(), source })
}

/// Parses the rules of a file. A file without rules is refused: it may be one of which nothing is written yet.
pub(super) fn parse(file: &Path, text: &str) -> Result<Rules, AccessError> {
    let invalid = |at: usize, reason: String| {
        let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        AccessError::Invalid { file: file.to_owned(), line, reason }
    };
    let parsed: RuleFile = toml::from_str(text).map_err(|error| {
        let reason = error.message().trim().replace('\n', "; ");
        invalid(error.span().map_or(0, |span| span.start), reason)
    })?;
    if parsed.allow.is_empty() {
        return Err(invalid(
            0,
            "there is no rule; add one that begins with [[allow]], or serve without this file".into(),
        ));
    }
    let mut by_path = HashMap::new();
    for entry in parsed.allow {
        let start = entry.span().start;
        let Entry { paths, users, tokens } = entry.into_inner();
        let Some(first) = paths.first() else {
            return Err(invalid(start, "paths is empty; name a path, such as \"/private/\"".into()));
        };
        if users.is_empty() && tokens.is_empty() {
            return Err(invalid(start, "the rule allows nobody; give it users or tokens".into()));
        }
        let name = first.get_ref().clone();
        let (mut known, mut digests) = (BTreeMap::new(), Vec::new());
        for (user, hash) in users {
            let at = hash.span().start;
            if user.is_empty() || user.contains(|char: char| char == ':' || char.is_control()) {
                return Err(invalid(
                    at,
                    format!("{user:?} is no user name: it is empty or has a colon or a control character"),
                ));
            }
            let hash = UserHash::parse(hash.get_ref())
                .map_err(|reason| invalid(at, format!("the hash of {user} {reason}")))?;
            known.insert(user, hash);
        }
        for (token, hash) in tokens {
            digests.push(tokens::parse(hash.get_ref()).ok_or_else(|| {
                let reason = "is not sha256: and 64 hexadecimal digits; make one with `driblet auth token`";
                invalid(hash.span().start, format!("the hash of the token {token} {reason}"))
            })?);
        }
        let rule = Arc::new(Rule { name, users: known, tokens: digests });
        for path in paths {
            let at = path.span().start;
            check_path(path.get_ref()).map_err(|reason| invalid(at, format!("{:?} {reason}", path.get_ref())))?;
            if by_path.insert(compared(path.get_ref()), rule.clone()).is_some() {
                return Err(invalid(at, format!("{:?} has a rule already; name each path once", path.get_ref())));
            }
        }
    }
    Ok(Rules::new(by_path))
}

/// Says what is wrong with a path, if no request can have it.
fn check_path(path: &str) -> Result<(), &'static str> {
    let Some(below) = path.strip_prefix('/') else { return Err("does not begin with /; give the path of the URL") };
    let names = below.strip_suffix('/').unwrap_or(below);
    if names.is_empty() {
        return if below.is_empty() { Ok(()) } else { Err("has an empty name") };
    }
    for name in names.split('/') {
        if name.is_empty() || name == "." || name == ".." || name.contains(['\\', '\0']) {
            return Err("has a name that is empty, . or .., or that contains \\ or NUL; no request has such a path");
        }
        if name.ends_with(".driblet") {
            return Err("names sync resources; give the path of their file, whose rule is theirs too");
        }
        if is_encoded(name) {
            return Err("is percent-encoded; write the characters themselves");
        }
    }
    Ok(())
}

fn is_encoded(name: &str) -> bool {
    name.as_bytes()
        .windows(3)
        .any(|three| matches!(three, [b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::super::hash::HASH;
    use super::*;

    fn parsed(text: &str) -> Result<Rules, String> {
        parse(Path::new("rules.toml"), text).map_err(|error| error.to_string())
    }

    fn rule(paths: &str) -> String {
        format!("[[allow]]\npaths = [{paths}]\nusers = {{ alice = \"{HASH}\" }}\n")
    }

    #[test]
    fn the_longest_path_decides() {
        let rules = parsed(&[rule("\"/\""), rule("\"/a/\", \"/a/b/c.txt\""), rule("\"/a/b\"")].concat()).unwrap();
        for (path, name) in [
            ("", "/"),
            ("x", "/"),
            ("a", "/a/"),
            ("a/x/y", "/a/"),
            ("ab", "/"),
            ("a/b", "/a/b"),
            ("A/B/d", "/a/b"),
            ("a/b/c.txt", "/a/"),
        ] {
            assert_eq!(rules.of(path).map(|rule| rule.name.as_str()), Some(name), "{path}");
        }
        assert!(parsed(&rule("\"/a\"")).unwrap().of("").is_none());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let refused = |text: &str, says: &str| {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(says) && error.starts_with("rules.toml, line "), "{error}");
        };
        refused("", "line 1: there is no rule");
        refused("# nothing\n", "no rule");
        refused("[[allow]]\npaths = [\"/a\"]\n", "line 1: the rule allows nobody");
        refused(&format!("{}[[allow]]\npaths = []\n", rule("\"/a\"")), "line 4: paths is empty");
        refused("[[allow]]\n\npaths = [\"/a\"\n", "line 3");
        refused("[[allow]]\npaths = [\"/a\"]\nuser = {}\n", "line 3: unknown field `user`");
        refused("[[allow]]\nusers = {}\n", "missing field `paths`");
        refused("allow = 1", "invalid type");
        refused(&rule("\"/a\", \"/A/\""), "line 2: \"/A/\" has a rule already");
        refused(&rule("\"a\""), "does not begin with /");
        for bad in ["//", "/a//b", "/a/../b", "/./a", "/a\\\\b", "//a"] {
            refused(&rule(&format!("{bad:?}").replace("\\\\\\\\", "\\\\")), "name");
        }
        refused(&rule("\"/my%20docs/\""), "percent-encoded");
        refused(&rule("\"/a.driblet/\""), "sync resources");
        let of = |what: &str| format!("[[allow]]\npaths = [\"/a\"]\n{what}\n");
        refused(&of("users = { alice = \"secret\" }"), "line 3: the hash of alice is no PHC string");
        refused(&of("users = { \"a:b\" = \"x\" }"), "is no user name");
        refused(
            &of(
                "users = { alice = \"$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E\" }",
            ),
            "argon2",
        );
        refused(&of(&format!("users = {{ alice = \"{}\" }}", HASH.replace("m=8", "m=4194304"))), "MiB");
        refused(&of(&format!("users = {{ alice = \"{}\" }}", &HASH[..40])), "the hash of alice");
        refused(&of("tokens = { ci = \"sha256:12\" }"), "line 3: the hash of the token ci is not sha256:");
    }
}
