use axum::response::{IntoResponse, Response};
use headers::{HeaderMapExt, RetryAfter};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::artifacts::ArtifactError;
use crate::publisher::PublishError;

/// A refusal that says what was wrong and what to do.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    members: Map<String, Value>,
    header: Option<Box<(HeaderName, String)>>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, code, detail: detail.into(), members: Map::new(), header: None }
    }

    /// There is nothing there, or nothing that may be seen: the two look alike.
    pub(crate) fn no_such_file(path: &str) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "no-such-file", format!("There is no file {path} here."))
    }

    pub(crate) fn method(allowed: &'static str) -> Problem {
        Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", format!("Only {allowed} are answered here."))
            .with_header(header::ALLOW, allowed)
    }

    /// A condition of the request does not hold.
    pub(crate) fn precondition(condition: &str, etag: &str) -> Problem {
        let detail = format!("{condition} does not hold: this is \"{etag}\" now; ask without the condition to get it.");
        Problem::new(StatusCode::PRECONDITION_FAILED, "precondition", detail)
    }

    /// A header that the status asks for.
    pub(crate) fn with_header(self, name: HeaderName, value: impl Into<String>) -> Problem {
        Problem { header: Some(Box::new((name, value.into()))), ..self }
    }

    pub(crate) fn with(mut self, members: Value) -> Problem {
        if let Value::Object(members) = members {
            self.members.extend(members);
        }
        self
    }

    /// Its status and its sentence, for where there is no room for more.
    pub(crate) fn said(&self) -> (StatusCode, &str) {
        (self.status, &self.detail)
    }

    /// RFC 9457 below `.driblet/`, a sentence elsewhere.
    pub(crate) fn response(self, below_driblet: bool, method: &Method) -> Response {
        let (media_type, body) = if below_driblet {
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
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.typed_insert(RetryAfter::delay(std::time::Duration::from_secs(1)));
        }
        if let Some((name, value)) = self.header.map(|header| *header)
            && let Ok(value) = HeaderValue::try_from(value)
        {
            headers.insert(name, value);
        }
        response
    }
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Problem {
        let (status, code) = match &error {
            PublishError::Busy | PublishError::Away(_) | PublishError::Paused => {
                (StatusCode::SERVICE_UNAVAILABLE, "busy")
            }
            PublishError::Unstable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "unstable"),
            // It is in the log once; what it waits for is room.
            PublishError::History(_) => return Problem::from(PublishError::Paused),
            PublishError::Io(_) | PublishError::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
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

impl From<crate::history::HistoryError> for Problem {
    fn from(error: crate::history::HistoryError) -> Problem {
        internal(StatusCode::INTERNAL_SERVER_ERROR, "failed", &error)
    }
}

/// What went wrong inside is for the log; its paths are nobody else's business.
pub(super) fn internal(status: StatusCode, code: &'static str, error: &dyn std::error::Error) -> Problem {
    if status == StatusCode::INTERNAL_SERVER_ERROR {
        tracing::error!(%error, "a request failed");
        return Problem::new(status, code, "The server cannot read or make this now; its log says why.");
    }
    Problem::new(status, code, format!("{error}."))
}
