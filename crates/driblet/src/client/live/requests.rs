//! Asks for the live stream of an asset, and for its head.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Method, Response, StatusCode};

use super::head::{HeadId, LiveHead};
use crate::client::PullError;
use crate::client::request::Asset;
use crate::client::retry::retry_after;
use crate::transfer::ProtocolCause;

const EVENT_STREAM: &str = "text/event-stream";

/// The answer to a request for a live stream.
pub(super) enum Opened {
    Stream(Response),
    /// The server has no room for another stream for this long.
    Busy(Duration),
    /// The server refuses.
    Denied(PullError),
    /// The answer is no stream.
    NoStream(PullError),
}

impl Asset {
    /// Asks for the live stream. `since` is the head that the receiver follows.
    pub(super) async fn open_live(&mut self, since: Option<HeadId>) -> Result<Opened, PullError> {
        let mut url = self.resource("live");
        if let Some(since) = since {
            url.query_pairs_mut().append_pair("since", &since.to_string());
        }
        let request = self.request_at(Method::GET, url).header(ACCEPT, EVENT_STREAM);
        let response = self.answer(request, 0).await?;
        let status = response.status();
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
            && let Some(wait) = retry_after(response.headers())
        {
            return Ok(Opened::Busy(wait));
        }
        if !status.is_success() {
            let refusal = self.refusal(response).await?;
            let error = self.refused(status, refusal.detail);
            return Ok(if is_denied(status.as_u16()) { Opened::Denied(error) } else { Opened::NoStream(error) });
        }
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media_type != EVENT_STREAM {
            let cause = ProtocolCause::MediaType { found: media_type, expected: EVENT_STREAM };
            let what = format!("{} does not answer with a live stream", self.url());
            return Ok(Opened::NoStream(PullError::protocol(what, cause)));
        }
        Ok(Opened::Stream(response))
    }

    /// Asks for the head.
    pub(super) async fn head(&mut self) -> Result<LiveHead, PullError> {
        let request = self.request(Method::GET, "head");
        let response = self.send(request, "head".len() as u64).await?;
        let status = response.status();
        if !status.is_success() {
            let refusal = self.refusal(response).await?;
            return Err(self.refused(status, refusal.detail));
        }
        let body = self.short_body(response, "the head").await?;
        LiveHead::parse(&body).ok_or_else(|| {
            let cause = ProtocolCause::Live("it is no head; is there a driblet server at this URL?");
            PullError::protocol(format!("cannot read what {} answers to a request for its head", self.url()), cause)
        })
    }
}

/// Whether a status says that this receiver may not read the asset.
pub(super) fn is_denied(status: u16) -> bool {
    matches!(status, 401 | 403)
}
