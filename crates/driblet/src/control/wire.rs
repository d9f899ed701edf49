//! What passes through the socket: one line of JSON from the client, then lines of JSON from the server.

use serde::{Deserialize, Serialize};

use super::commands::{ForgottenVersions, PublishedSnapshot};
use crate::history::PathVersions;

/// A request.
#[derive(Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub(super) enum Command {
    Publish { path: Option<String> },
    Versions { path: Option<String> },
    Forget { path: String, version: Option<String> },
}

/// One line of an answer. The last is `Done` or `Failed`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    Published(PublishedSnapshot),
    Versions(PathVersions),
    Forgotten(ForgottenVersions),
    Done,
    Failed(String),
}
