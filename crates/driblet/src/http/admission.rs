//! Whether a request may read a path: the rules of [`crate::access`], applied to the path that it names and to that of
//! the file that answers it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::{self, HeaderMap};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::problem::Problem;
use crate::access::{Access, NotChecked, Rule, UserAndPassword};
use crate::client_address::ClientAddress;

/// What is encoded in the name of a realm.
const REALM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// What one request may read.
pub(crate) struct Admission {
    access: Option<Access>,
    credentials: Option<Credentials>,
    client: ClientAddress,
    is_guarded: AtomicBool,
}

/// A path that a request may read. Only an [`Admission`] makes one.
pub(crate) struct AdmittedPath<'a>(&'a str);

enum Credentials {
    User(UserAndPassword),
    Token(String),
}

impl Admission {
    pub(super) fn new(access: Option<&Access>, headers: &HeaderMap, client: ClientAddress) -> Admission {
        let credentials = access.and_then(|_| Credentials::of(headers));
        Admission { access: access.cloned(), credentials, client, is_guarded: AtomicBool::new(false) }
    }

    /// Whether a rule covers a path that was asked for so far. Nothing of the answer may then reach other users: not by
    /// a shared cache, and not as part of an answer to somebody else.
    pub(crate) fn is_guarded(&self) -> bool {
        self.is_guarded.load(Ordering::Relaxed)
    }

    /// Whether no rule covers a path, so that everybody may read it.
    pub(super) fn is_open(&self, path: &str) -> bool {
        self.access.as_ref().is_none_or(|access| access.rule(path).is_none())
    }

    /// Refuses a path that the request may not read.
    pub(super) async fn admit<'a>(&self, path: &'a str) -> Result<AdmittedPath<'a>, Problem> {
        let Some(access) = &self.access else { return Ok(AdmittedPath(path)) };
        let Some(rule) = access.rule(path) else { return Ok(AdmittedPath(path)) };
        self.is_guarded.store(true, Ordering::Relaxed);
        let is_known = match &self.credentials {
            None => false,
            Some(Credentials::Token(token)) => rule.knows_token(token),
            Some(Credentials::User(given)) => {
                let known = access.knows_user(&rule, given, self.client.block()).await;
                known.map_err(refusal)?
            }
        };
        if is_known { Ok(AdmittedPath(path)) } else { Err(self.challenge(&rule)) }
    }

    /// Says how to authenticate (RFC 7617, RFC 6750).
    fn challenge(&self, rule: &Arc<Rule>) -> Problem {
        let realm = utf8_percent_encode(&rule.name, REALM);
        let detail = match (rule.has_users(), rule.has_tokens()) {
            (true, false) => "a user name and a password",
            (false, _) => "a token (Authorization: Bearer …)",
            (true, true) => "a user name and a password, or a token (Authorization: Bearer …)",
        };
        let given = if self.credentials.is_some() { "What was sent does not allow it." } else { "Nothing was sent." };
        let mut problem =
            Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", format!("This path needs {detail}. {given}"));
        if rule.has_users() {
            problem =
                problem.with_header(header::WWW_AUTHENTICATE, format!("Basic realm=\"{realm}\", charset=\"UTF-8\""));
        }
        if rule.has_tokens() {
            let wrong =
                if matches!(self.credentials, Some(Credentials::Token(_))) { ", error=\"invalid_token\"" } else { "" };
            problem = problem.with_header(header::WWW_AUTHENTICATE, format!("Bearer realm=\"{realm}\"{wrong}"));
        }
        problem
    }
}

impl<'a> AdmittedPath<'a> {
    pub(crate) fn as_str(&self) -> &'a str {
        self.0
    }
}

impl Credentials {
    /// What a request sends; `None` if that is nothing, or cannot be read, or is several things.
    fn of(headers: &HeaderMap) -> Option<Credentials> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (scheme, given) = values.next()?.to_str().ok()?.trim().split_once(' ')?;
        if values.next().is_some() {
            return None;
        }
        let given = given.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Credentials::Token(given.to_owned()));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let both = String::from_utf8(STANDARD.decode(given).ok()?).ok()?;
        let (user, password) = both.split_once(':')?;
        Some(Credentials::User(UserAndPassword { user: user.to_owned(), password: password.to_owned() }))
    }
}

fn refusal(not_checked: NotChecked) -> Problem {
    match not_checked {
        NotChecked::TooManyWrong(left) => {
            let detail = "Too many wrong passwords came from this address; wait a minute, then send the right one.";
            too_many(detail, left)
        }
        NotChecked::Busy => {
            let detail = "The server checks too many passwords at the moment; try again.";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
        }
    }
}

/// A refusal for a while: at least a second, which is the unit of `Retry-After`.
pub(super) fn too_many(detail: &str, wait: Duration) -> Problem {
    let seconds = wait.as_secs() + u64::from(0 < wait.subsec_nanos());
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many", detail);
    problem.with_header(header::RETRY_AFTER, seconds.max(1).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn credentials_are_read_or_count_as_none() {
        let of = |values: &[&str]| match Credentials::of(&headers(header::AUTHORIZATION, values)) {
            None => "-".to_owned(),
            Some(Credentials::Token(token)) => format!("token {token}"),
            Some(Credentials::User(UserAndPassword { user, password })) => format!("user {user} {password}"),
        };
        assert_eq!(of(&["Bearer abc.-_~+/="]), "token abc.-_~+/=");
        assert_eq!(of(&["bEARER  abc"]), "token abc");
        assert_eq!(of(&[&format!("Basic {}", STANDARD.encode("alice:a:b"))]), "user alice a:b");
        assert_eq!(of(&[&format!("basic {}", STANDARD.encode("älice:pässword"))]), "user älice pässword");
        let user = format!("Basic {}", STANDARD.encode("alice:secret"));
        for bad in
            [&[][..], &["abc"], &["Basic !"], &["Basic YWxpY2U="], &["Digest abc"], &[&user, "Bearer abc"], &[""]]
        {
            assert_eq!(of(bad), "-", "{bad:?}");
        }
        assert_eq!(of(&["Basic /////w=="]), "-", "not UTF-8");
    }
}
