//! Pulls a directory: all of its files, as one version.
//!
//! `session` runs a pull. `delta` asks for the directory delta and `parts` for the parts, `decode` stages their files,
//! `changes` compares the folder with the new manifest, and `switch` changes the folder. `state` says where everything
//! lies that is kept.
//!
//! The order of writing: new files into `staging/`, flush; journal, flush; files to their places, flush; record, flush;
//! the journal goes.

mod atomic;
mod changes;
mod decode;
mod delta;
mod error;
mod fetch;
mod have;
mod journal;
mod local;
mod names;
mod options;
mod part_file;
mod parts;
mod place;
mod pulled;
mod record;
mod requests;
mod sealed;
mod session;
mod staging;
mod state;
mod switch;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use url::Url;

pub use error::{FolderProblem, InvalidDirectory, PathProblem, PatternError, PullDirectoryError};
pub use options::PullDirectoryOptions;
pub use pulled::{Change, ChangeKind, DirectoryProgress, PulledDirectory};

use super::Client;
use super::live::LiveHead;
use requests::Requests;
use session::Session;

impl Client {
    /// Makes the folder `dir` the head of the directory at `url`, which ends with `/`. Only what `dir` lacks is
    /// transferred.
    ///
    /// All new files are received, verified and durable before the first file of `dir` is changed. Each file is then
    /// replaced in one step. If the process ends in between, the next pull completes the switch before it does anything
    /// else. With [`atomic`](PullDirectoryOptions::atomic) the whole folder is switched in one step.
    ///
    /// Files that no pull wrote stay, unless [`delete`](PullDirectoryOptions::delete) is set. A file that was changed
    /// is overwritten; if the server's directory no longer has it, it stays, and the result names it. Symbolic links
    /// in `dir` are never followed. What driblet keeps lies in `.NAME.driblet` beside the folder `NAME`.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = driblet::Client::new()?;
    /// let url = "https://example.com/app/".parse()?;
    /// let pulled = client.pull_directory(&url, "app", &Default::default(), |_| {}).await?;
    /// println!("{} files changed, {} bytes received", pulled.changed, pulled.received);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`PullDirectoryError::Pull`] as for a file. [`PullDirectoryError::Path`] and [`PullDirectoryError::Folder`] say
    /// what to do. After an error no file was changed, or the next pull completes the switch.
    pub async fn pull_directory(
        &self,
        url: &Url,
        dir: impl AsRef<Path>,
        options: &PullDirectoryOptions,
        progress: impl Fn(DirectoryProgress) + Send + Sync + 'static,
    ) -> Result<PulledDirectory, PullDirectoryError> {
        let requests = Requests::new(self.http.clone(), url, self.options.clone(), Arc::new(progress));
        pull(requests, url, dir.as_ref(), options).await
    }

    /// As [`pull_directory`](Client::pull_directory), after a [`Watch`](super::Watch) of the same URL told of a head. If
    /// the last pull brought the version before that head, and the delta is short, the delta came with the head: then no
    /// request is made.
    ///
    /// # Errors
    /// As [`pull_directory`](Client::pull_directory).
    pub async fn pull_directory_live(
        &self,
        url: &Url,
        dir: impl AsRef<Path>,
        options: &PullDirectoryOptions,
        head: &LiveHead,
        progress: impl Fn(DirectoryProgress) + Send + Sync + 'static,
    ) -> Result<PulledDirectory, PullDirectoryError> {
        let requests = Requests::new(self.http.clone(), url, self.options.clone(), Arc::new(progress));
        pull(requests.told(head), url, dir.as_ref(), options).await
    }
}

async fn pull(
    requests: Requests,
    url: &Url,
    dir: &Path,
    options: &PullDirectoryOptions,
) -> Result<PulledDirectory, PullDirectoryError> {
    let start = Instant::now();
    let session = Session::open(requests, url, dir, options).await?;
    let mut pulled = session.run().await?;
    pulled.elapsed = start.elapsed();
    Ok(pulled)
}
