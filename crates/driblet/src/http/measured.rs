//! Measures each answer to its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use hyper::header;
use hyper::{Method, StatusCode};

use super::path::{RequestPath, Resource};
use crate::metrics::{Basis, RequestKind, RequestMetrics};

/// An extension of answers that bring a receiver up to date.
#[derive(Clone, Copy)]
pub(super) struct Synced {
    pub(super) basis: Basis,
    /// Bytes of what the receiver gets by this answer.
    pub(super) len: u64,
}

/// An extension of answers: what is kept until the answer is sent, or cannot be.
#[derive(Clone)]
pub(super) struct UntilSent {
    _kept: Arc<dyn Send + Sync>,
}

impl UntilSent {
    pub(super) fn new(kept: impl Send + Sync + 'static) -> UntilSent {
        UntilSent { _kept: Arc::new(kept) }
    }
}

/// A request that is measured.
pub(super) struct Measurement {
    metrics: Arc<RequestMetrics>,
    kind: RequestKind,
    is_head: bool,
    begin: Instant,
}

impl Measurement {
    pub(super) fn begin(metrics: &Arc<RequestMetrics>, path: Option<&RequestPath>, method: &Method) -> Measurement {
        let is_head = method == Method::HEAD;
        Measurement { metrics: metrics.clone(), kind: kind(path), is_head, begin: Instant::now() }
    }

    /// The same answer. It is counted when its body is dropped.
    pub(super) fn of(mut self, mut response: Response) -> Response {
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            self.kind = RequestKind::Other;
        }
        // Not "not modified", and no part of a delta: the receiver has begun that delta before.
        let synced = response.extensions_mut().remove::<Synced>();
        let synced = synced.filter(|_| status == StatusCode::OK && !self.is_head);
        if let Some(synced) = synced {
            self.metrics.synced(synced.basis);
        }
        let _until_sent = response.extensions_mut().remove::<UntilSent>();
        let stated = response.headers().get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok()?.parse().ok());
        response.map(|body| {
            let len = stated.or_else(|| body.size_hint().exact());
            let measurement = self;
            Body::new(MeasuredBody { body, measurement, status, synced, len, sent: 0, has_ended: false, _until_sent })
        })
    }
}

/// What a request asks for.
fn kind(path: Option<&RequestPath>) -> RequestKind {
    let Some(path) = path else { return RequestKind::Other };
    match &path.resource {
        None => RequestKind::Plain,
        Some(Resource::From(_) | Resource::Pair(..)) => RequestKind::Delta,
        Some(Resource::PartOfPair(..) | Resource::Part(_)) => RequestKind::Part,
        Some(Resource::Signature) => RequestKind::Signature,
        Some(Resource::Have) => RequestKind::Have,
        Some(Resource::Head) => RequestKind::Head,
        Some(Resource::Manifest(_)) => RequestKind::Manifest,
        Some(Resource::Other(name)) if path.folder && path.asset.is_empty() && name != "health" => RequestKind::Client,
        Some(Resource::Live) => RequestKind::Live,
        Some(Resource::Other(_) | Resource::Grant(_)) => RequestKind::Other,
    }
}

struct MeasuredBody {
    body: Body,
    measurement: Measurement,
    status: StatusCode,
    synced: Option<Synced>,
    /// The length of the whole body, if it is known at the start.
    len: Option<u64>,
    sent: u64,
    has_ended: bool,
    _until_sent: Option<UntilSent>,
}

impl hyper::body::Body for MeasuredBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => self.sent += frame.data_ref().map_or(0, |data| data.len() as u64),
            Poll::Ready(None) => self.has_ended = true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for MeasuredBody {
    fn drop(&mut self) {
        let Measurement { metrics, kind, begin, .. } = &self.measurement;
        metrics.answered(*kind, self.status.as_u16(), begin.elapsed(), self.sent);
        // A body of a known length is not asked for its end.
        let is_whole = self.has_ended || self.len == Some(self.sent);
        if let Some(Synced { basis, len }) = self.synced.filter(|_| is_whole) {
            metrics.saved(basis, len.saturating_sub(self.sent));
        }
    }
}
