//! Conditional requests, in the order of RFC 9110, section 13.2.2.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use headers::{ETag, HeaderMapExt, IfMatch, IfModifiedSince, IfNoneMatch, IfRange, IfUnmodifiedSince, LastModified};
use hyper::header::{self, HeaderMap};

/// The last day that an HTTP date can name, in seconds since the epoch.
const LAST_DATE: u64 = 253_402_214_400;

/// When a representation was last modified, by the file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Modified {
    /// Whole seconds since the epoch.
    seconds: u64,
    /// Whether the file was read in a later second, so that no later state has the same date.
    is_strong: bool,
}

/// The response that a request's conditions ask for.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Answer,
    NotModified,
    /// The name of the condition that does not hold.
    Failed(&'static str),
}

impl Modified {
    /// From the file's stamp and the time of reading, in nanoseconds since the epoch. A stamp in the future counts as
    /// the time of reading. A stamp before the epoch has no HTTP date.
    pub(super) fn new(stamp: i64, read: i64) -> Option<Modified> {
        let second = |nanoseconds: i64| u64::try_from(nanoseconds).ok().map(|since| since / 1_000_000_000);
        let (stamp, read) = (second(stamp)?, second(read)?);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        Some(Modified { seconds: stamp.min(read).min(now).min(LAST_DATE), is_strong: stamp < read })
    }

    fn time(self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.seconds)
    }

    pub(super) fn header(self) -> LastModified {
        self.time().into()
    }
}

/// Compares the conditions of a GET or HEAD with the representation that it would get.
pub(super) fn evaluate(request: &HeaderMap, etag: &ETag, modified: Option<Modified>) -> Outcome {
    // A malformed list of tags matches nothing. A malformed date is ignored, and so is a date if the representation has
    // none.
    if request.contains_key(header::IF_MATCH) {
        if !request.typed_get::<IfMatch>().is_some_and(|condition| condition.precondition_passes(etag)) {
            return Outcome::Failed("If-Match");
        }
    } else if let (Some(condition), Some(modified)) = (request.typed_get::<IfUnmodifiedSince>(), modified)
        && !condition.precondition_passes(modified.time())
    {
        return Outcome::Failed("If-Unmodified-Since");
    }
    if request.contains_key(header::IF_NONE_MATCH) {
        if request.typed_get::<IfNoneMatch>().is_some_and(|condition| !condition.precondition_passes(etag)) {
            return Outcome::NotModified;
        }
    } else if let (Some(condition), Some(modified)) = (request.typed_get::<IfModifiedSince>(), modified)
        && !condition.is_modified(modified.time())
    {
        return Outcome::NotModified;
    }
    Outcome::Answer
}

/// Whether a request's range applies to this representation. A malformed condition does not hold, since the range may
/// be of other bytes. A date holds only if it equals the representation's and no earlier representation has the same.
pub(super) fn range_applies(request: &HeaderMap, etag: &ETag, modified: Option<Modified>) -> bool {
    let Some(condition) = request.get(header::IF_RANGE) else { return true };
    if let Some(date) = condition.to_str().ok().and_then(|text| httpdate::parse_http_date(text).ok()) {
        return modified.is_some_and(|modified| modified.is_strong && modified.time() == date);
    }
    request.typed_get::<IfRange>().is_some_and(|condition| !condition.is_modified(Some(etag), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn stamps_become_dates() {
        let of = |stamp, read| Modified::new(stamp, read);
        assert_eq!(of(5 * SECOND + 999, 9 * SECOND), Some(Modified { seconds: 5, is_strong: true }));
        assert_eq!(of(5 * SECOND + 1, 5 * SECOND + 2), Some(Modified { seconds: 5, is_strong: false }));
        assert_eq!(of(0, 9 * SECOND), Some(Modified { seconds: 0, is_strong: true }));
        assert_eq!(of(-1, 9 * SECOND), None);
        assert_eq!(of(99 * SECOND, 9 * SECOND), Some(Modified { seconds: 9, is_strong: false }));
        let last = of(i64::MAX, i64::MAX).unwrap();
        assert!(last.time() <= SystemTime::now());
        HeaderMap::new().typed_insert(last.header());
    }
}
