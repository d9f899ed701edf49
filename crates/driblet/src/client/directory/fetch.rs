//! Asks for the resources of a directory.

use reqwest::header::{ACCEPT, CONTENT_TYPE, IF_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};

use crate::client::PullError;
use crate::client::request::{Asset, DIRECTORY, DeltaBody};

const PART: &str = "application/vnd.driblet.delta";
const HAVE: &str = "application/vnd.driblet.have";
/// The media type on a host for plain files.
const OCTETS: &str = "application/octet-stream";

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Resource {
    DirectoryDelta,
    Part,
}

/// The server's answer.
pub(super) enum Fetched {
    Body(DeltaBody),
    /// 416: there is nothing after the bytes that are kept.
    NoMore,
    /// 404, with the code of the problem.
    Missing(String),
    /// 405 or 413: the server does not take the request.
    NotTaken,
}

/// The bytes of an earlier response that the next one continues.
pub(super) struct Resume<'a> {
    pub(super) len: u64,
    pub(super) etag: &'a str,
}

impl Asset {
    /// Asks for a resource, or for the rest of one.
    pub(super) async fn fetch(
        &mut self,
        resource: Resource,
        name: &str,
        resume: Option<Resume<'_>>,
    ) -> Result<Fetched, PullError> {
        let (media_type, accept) = match resource {
            Resource::DirectoryDelta => (DIRECTORY, "application/vnd.driblet.directory;codec=dense, */*;q=0.5"),
            Resource::Part => (PART, "application/vnd.driblet.delta;codec=dense, */*;q=0.5"),
        };
        let mut request = self.request(Method::GET, name).header(ACCEPT, accept);
        if let Some(Resume { len, etag }) = resume {
            request = request.header(RANGE, format!("bytes={len}-")).header(IF_RANGE, etag);
        }
        let response = self.send(request, name.len() as u64).await?;
        self.answered(response, media_type).await
    }

    /// Says what the receiver holds.
    pub(super) async fn have(&mut self, body: Vec<u8>) -> Result<Fetched, PullError> {
        let len = body.len() as u64;
        let request = self.request(Method::POST, "have").header(CONTENT_TYPE, HAVE).body(body);
        let response = self.send(request, len).await?;
        self.answered(response, DIRECTORY).await
    }

    async fn answered(&mut self, response: Response, media_type: &'static str) -> Result<Fetched, PullError> {
        match response.status() {
            StatusCode::NOT_FOUND => {
                let refusal = self.refusal(response).await?;
                // Other codes say that there is no such directory.
                match refusal.code.as_str() {
                    "no-such-file" => Err(self.refused(StatusCode::NOT_FOUND, refusal.detail)),
                    _ => Ok(Fetched::Missing(refusal.code)),
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(Fetched::NoMore),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::PAYLOAD_TOO_LARGE => Ok(Fetched::NotTaken),
            _ => self.body(response, &[media_type, OCTETS]).await.map(Fetched::Body),
        }
    }
}
