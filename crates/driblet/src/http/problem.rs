use axum::response::{IntoResponse, Response};
use headers::{HeaderMapExt, RetryAfter};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::caching::NO_STORE;
use crate::artifacts::ArtifactError;
use crate::causes::with_causes;
use crate::history::HistoryError;
use crate::publisher::PublishError;
use crate::task::TaskFailed;

/// A refusal: what was wrong, and what to do.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, String)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, code, detail: detail.into(), members: Map::new(), headers: Vec::new() }
    }

    /// Nothing is published at a path. Hidden files look the same as missing ones.
    pub(super) fn no_such_file(path: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "no-such-file", format!("There is no file {path} here."))
    }

    pub(super) fn method(allowed: &'static str) -> Problem {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", format!("Only {allowed} are answered here."))
            .with_header(header::ALLOW, allowed)
    }

    /// A condition of the request fails.
    pub(super) fn precondition(condition: &str, etag: &str) -> Problem {
        let detail = format!(
            "{condition} does not hold: the ETag is \"{etag}\" now; ask without the condition to get the file."
        );
        Problem::new(StatusCode::PRECONDITION_FAILED, "precondition", detail)
    }

    /// Adds a header that the status needs.
    pub(super) fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Problem {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds members to the problem document.
    pub(super) fn with(mut self, members: Value) -> Problem {
        if let Value::Object(members) = members {
            self.members.extend(members);
        }
        self
    }

    /// The status and the detail, for a protocol that has room for no more.
    #[cfg(feature = "browser-sync-stream")]
    pub(super) fn status_and_detail(&self) -> (StatusCode, &str) {
        (self.status, &self.detail)
    }

    /// The response: a problem document (RFC 9457) for a sync resource, plain text elsewhere.
    pub(super) fn response(self, is_resource: bool, method: &Method) -> Response {
        let (media_type, body) = if is_resource {
            let title = self.status.canonical_reason().unwrap_or_default();
            let mut body =
                json!({ "title": title, "status": self.status.as_u16(), "code": self.code, "detail": self.detail });
            if let Value::Object(object) = &mut body {
                object.extend(self.members);
            }
            ("application/problem+json", body.to_string())
        } else {
            ("text/plain; charset=utf-8", self.detail + "\n")
        };
        let body = if method == Method::HEAD { String::new() } else { body };
        let mut response = (self.status, [(header::CONTENT_TYPE, media_type)], body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(NO_STORE));
        let is_stated = self.headers.iter().any(|(name, _)| name == header::RETRY_AFTER);
        if self.status == StatusCode::SERVICE_UNAVAILABLE && !is_stated {
            headers.typed_insert(RetryAfter::delay(std::time::Duration::from_secs(1)));
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.append(name, value);
            }
        }
        response
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Problem {
        let (status, code) = match &error {
            PublishError::Busy
            | PublishError::RootMissing(_)
            | PublishError::Paused
            | PublishError::Task(TaskFailed::Cancelled) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            PublishError::NoDirectory { .. } => (StatusCode::NOT_FOUND, "no-such-file"),
            PublishError::Unstable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "unstable"),
            // The log has the error already. The history needs room.
            PublishError::History(_) => return Problem::from(PublishError::Paused),
            PublishError::Io(_) | PublishError::Manifest(_) | PublishError::Task(TaskFailed::Panicked) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "failed")
            }
        };
        internal(status, code, &error)
    }
}

impl From<ArtifactError> for Problem {
    fn from(error: ArtifactError) -> Problem {
        let (status, code) = match &error {
            ArtifactError::Busy | ArtifactError::NoRoom => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
        };
        internal(status, code, &error)
    }
}

impl From<HistoryError> for Problem {
    fn from(error: HistoryError) -> Problem {
        internal(StatusCode::INTERNAL_SERVER_ERROR, "failed", &error)
    }
}

/// A problem from an internal error. The details of a status 500 go to the log only, since they may name paths.
pub(super) fn internal(status: StatusCode, code: &'static str, error: &dyn std::error::Error) -> Problem {
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(error = with_causes(error), "a request failed");
        return Problem::new(status, code, "The server cannot read or make this now; the server's log says why.");
    }
    Problem::new(status, code, format!("{error}."))
}

/// Whether a method only reads.
pub(super) fn is_safe(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panicked_task_is_an_internal_error() {
        for problem in [
            Problem::from(PublishError::from(TaskFailed::Panicked)),
            Problem::from(ArtifactError::from(TaskFailed::Panicked)),
            Problem::from(HistoryError::from(TaskFailed::Panicked)),
        ] {
            assert_eq!(problem.status, StatusCode::INTERNAL_SERVER_ERROR, "{problem:?}");
        }
    }
}
