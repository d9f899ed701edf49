//! Follows the newest version of an asset, as spec/live.md says.
//!
//! `session` decides when to open a stream and when to ask for the head, `requests` asks. `events` parses streams and
//! `head` what they say, `followed` judges it, and `backoff` decides when to come back. `newest` hands
//! the result to `watch`, which is what the consumer polls.

mod awake;
mod backoff;
mod events;
#[cfg(test)]
mod examples;
mod followed;
mod head;
mod newest;
mod requests;
mod session;
#[cfg(test)]
mod tests;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use url::Url;

pub use head::{Epoch, LiveHead};
use session::Pace;
pub use watch::Watch;

use super::Client;
use super::request::Asset;

/// How long a request for a head waits while the server says that it is busy. The next request comes soon.
const BUSY_TIMEOUT: Duration = Duration::from_secs(60);

impl Client {
    /// Follows the asset at `url`: a file, or a directory, whose URL ends with `/`.
    ///
    /// The stream gives the newest head at once, and then each newer one. If the consumer is slow, it gets the newest
    /// head only. It has no end: while the server cannot be reached, the client tries again and again. Where the server
    /// has no room for a live stream, or a proxy holds it back, the client asks for the head every few seconds.
    ///
    /// If many receivers follow an asset, the server asks each of them to wait for a part of up to a minute before it
    /// asks for the delta. The stream waits for that time before it gives the head.
    ///
    /// ```no_run
    /// use futures_util::StreamExt;
    ///
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = driblet::Client::new()?;
    /// let url = "https://example.com/app.js".parse()?;
    /// let mut heads = client.watch(&url).on_failure(|error| eprintln!("{error}; trying again"));
    /// while let Some(head) = heads.next().await {
    ///     println!("version {}", head?.version);
    ///     client.pull(&url, "app.js", |_| {}).await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// An error is the last item. [`PullError::Protocol`](super::PullError::Protocol): the server refuses with 401 or 403, there is no such asset
    /// when the client first asks, or the URL is not one of HTTP.
    pub fn watch(&self, url: &Url) -> Watch {
        let options = self.options.clone().busy_timeout(self.options.busy_timeout.min(BUSY_TIMEOUT));
        Watch::new(Asset::new(self.http.clone(), url, &options, Arc::new(|_| {})), Pace::default())
    }
}
