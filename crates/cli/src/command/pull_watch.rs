//! `driblet pull --watch`: pulls each new version.

use std::collections::hash_map::RandomState;
use std::convert::Infallible;
use std::error::Error;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use driblet::client::{FolderProblem, LiveHead};
use driblet::output::Output;
use driblet::{BasisFile, Client, PullDirectoryError, PullError, Version};
use futures_util::StreamExt;
use rustix::process::{Pid, Signal as ProcessSignal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use url::Url;

use super::pull_directory::{self, DirectoryArgs};
use super::pull_file;
use crate::failure::Failure;
use crate::paths::output;
use crate::print;
use crate::progress::bar;
use crate::signals::EndSignals;

/// The longest wait after an error of the network.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// The longest wait after another error.
const LONGEST_WAIT_FOR_REPAIR: Duration = Duration::from_secs(60);
/// How long to wait before a pull that brought another version than the head is repeated. Twice as long each time, up to
/// [`LONGEST_WAIT_FOR_REPAIR`].
const BEHIND: Duration = Duration::from_secs(10);
/// How long a command of `--exec` may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// How to follow an asset.
#[derive(clap::Args)]
pub(crate) struct WatchArgs {
    /// Pull, and pull again whenever there is a newer version, until SIGINT or SIGTERM
    ///
    /// A line on stdout tells each version. An error that may pass, such as a server that cannot be reached, is told once
    /// on stderr, and the command tries again.
    #[arg(long)]
    watch: bool,
    /// Run a shell command after each version, also after the first one
    ///
    /// It has DRIBLET_VERSION, DRIBLET_URL and DRIBLET_DEST in its environment. The next version is pulled when it has
    /// ended. If it fails, that is told on stderr. When the command ends by a signal, it gets SIGTERM.
    #[arg(long, value_name = "CMD", requires = "watch")]
    exec: Option<String>,
}

impl WatchArgs {
    pub(super) fn is_given(&self) -> bool {
        self.watch
    }
}

/// Pulls one asset again and again.
pub(super) struct Follower<'a> {
    client: &'a Client,
    url: &'a Url,
    dest: PathBuf,
    asset: AssetKind<'a>,
    has_pulled: bool,
    /// The command of `--exec` while it runs.
    child: Option<Child>,
}

enum AssetKind<'a> {
    File(Option<&'a BasisFile>),
    Directory(&'a DirectoryArgs),
}

/// What a pull brought.
struct Done {
    version: Version,
    stats: serde_json::Value,
    summary: String,
}

/// Why a pull failed, and after how long at most it is worth another try.
struct Trouble {
    failure: Failure,
    try_within: Option<Duration>,
}

impl<'a> Follower<'a> {
    pub(super) fn of_file(
        client: &'a Client,
        url: &'a Url,
        dest: &Output,
        basis: Option<&'a BasisFile>,
    ) -> Result<Follower<'a>, Failure> {
        if dest.file().is_none() {
            return Err(Failure::usage("--watch needs a DEST that is a file or a folder"));
        }
        Ok(Follower::new(client, url, dest.name(), AssetKind::File(basis)))
    }

    pub(super) fn of_directory(
        client: &'a Client,
        url: &'a Url,
        dest: &Path,
        args: &'a DirectoryArgs,
    ) -> Result<Follower<'a>, Failure> {
        if args.is_dry_run() {
            return Err(Failure::usage("--dry-run changes nothing, so there is nothing to --watch"));
        }
        Ok(Follower::new(client, url, dest, AssetKind::Directory(args)))
    }

    fn new(client: &'a Client, url: &'a Url, dest: &Path, asset: AssetKind<'a>) -> Follower<'a> {
        Follower { client, url, dest: dest.to_path_buf(), asset, has_pulled: false, child: None }
    }

    /// Follows the asset until a signal or an error that does not pass. With `stats` the lines are JSON.
    pub(super) async fn run(mut self, args: &WatchArgs, stats: bool) -> Result<(), Failure> {
        let mut signals = EndSignals::new()?;
        let result = tokio::select! {
            result = self.follow(args.exec.as_deref(), stats) => result.map(|never| match never {}),
            () = signals.next() => Ok(()),
        };
        if let Some(child) = self.child.take() {
            stop(child, &mut signals).await;
        }
        result
    }

    async fn follow(&mut self, exec: Option<&str>, stats: bool) -> Result<Infallible, Failure> {
        let mut heads = self.client.watch(self.url).on_failure(|error| tell(&failure_of(error)));
        let (mut head, mut held, mut behind) = (None::<LiveHead>, None, BEHIND);
        loop {
            let done = self.pull_until_done(head.as_ref()).await?;
            if held.replace(done.version) != Some(done.version) {
                let told = if stats { print::line(done.stats) } else { print::line(done.summary) };
                told.map_err(|error| Failure::stdout(&error))?;
                if let Some(command) = exec {
                    self.execute(command, done.version).await;
                }
            }
            head = loop {
                let next = match &head {
                    // Behind a balancer, one server may tell the head and another one answer the pull.
                    Some(head) if head.version != done.version => match timeout(behind, heads.next()).await {
                        Ok(next) => next,
                        Err(_) => {
                            behind = (behind * 2).min(LONGEST_WAIT_FOR_REPAIR);
                            break Some(head.clone());
                        }
                    },
                    _ => heads.next().await,
                };
                let ended = || Failure::said("cannot follow the URL any longer");
                let next = next.ok_or_else(ended)?.map_err(|error| Failure::pull(&self.dest, &error))?;
                behind = BEHIND;
                if next.version != done.version {
                    break Some(next);
                }
                head = Some(next);
            };
        }
    }

    /// Pulls, and tries again after errors that may pass.
    async fn pull_until_done(&mut self, head: Option<&LiveHead>) -> Result<Done, Failure> {
        let (mut limit, mut is_told) = (Duration::from_secs(1), false);
        loop {
            let trouble = match self.pull(head).await {
                Ok(done) => {
                    self.has_pulled = true;
                    return Ok(done);
                }
                Err(trouble) => trouble,
            };
            let Some(longest) = trouble.try_within else { return Err(trouble.failure) };
            if !std::mem::replace(&mut is_told, true) {
                tell(&trouble.failure);
            }
            sleep(limit.min(longest).mul_f64(random_share())).await;
            limit = (limit * 2).min(longest);
        }
    }

    async fn pull(&mut self, head: Option<&LiveHead>) -> Result<Done, Trouble> {
        let AssetKind::Directory(args) = self.asset else { return self.pull_file(head).await };
        match self.pull_directory(args, head).await {
            // A single file is published at the root too.
            Err(error) if error.is_url_of_file() && self.url.path() == "/" && args.given().is_none() => {
                self.asset = AssetKind::File(None);
                self.pull_file(head).await
            }
            Err(error) => Err(self.trouble_of_directory(&error)),
            Ok(done) => Ok(done),
        }
    }

    async fn pull_file(&self, head: Option<&LiveHead>) -> Result<Done, Trouble> {
        let dest = output(&self.dest).map_err(|failure| Trouble { failure, try_within: None })?;
        let bar = bar();
        let shown = bar.clone();
        let report = move |progress| pull_file::show(&shown, progress);
        let pulled = match (head, &self.asset) {
            (Some(head), _) => self.client.pull_live(self.url, dest, head, report).await,
            (None, AssetKind::File(Some(basis))) => self.client.pull_with_basis(self.url, dest, basis, report).await,
            (None, _) => self.client.pull_to(self.url, dest, report).await,
        };
        bar.finish_and_clear();
        let pulled = pulled.map_err(|error| Trouble {
            failure: Failure::pull(&self.dest, &error),
            try_within: self.try_within(&error),
        })?;
        Ok(Done { version: pulled.version, stats: pull_file::stats(&pulled), summary: pull_file::summary(&pulled) })
    }

    async fn pull_directory(&self, args: &DirectoryArgs, head: Option<&LiveHead>) -> Result<Done, PullDirectoryError> {
        let (bar, options) = (bar(), args.options());
        let shown = bar.clone();
        let report = move |progress| pull_directory::show(&shown, progress);
        let pulled = match head {
            Some(head) => self.client.pull_directory_live(self.url, &self.dest, &options, head, report).await,
            None => self.client.pull_directory(self.url, &self.dest, &options, report).await,
        };
        bar.finish_and_clear();
        let pulled = pulled?;
        pull_directory::tell_kept(&pulled);
        let summary = pull_directory::summary(&pulled, false);
        Ok(Done { version: pulled.version, stats: pull_directory::json(&pulled), summary })
    }

    fn trouble_of_directory(&self, error: &PullDirectoryError) -> Trouble {
        let try_within = match error {
            PullDirectoryError::Pull(error) => self.try_within(error),
            PullDirectoryError::Folder { source: FolderProblem::Busy, .. } => Some(LONGEST_WAIT),
            PullDirectoryError::Invalid { .. } => self.has_pulled.then_some(LONGEST_WAIT_FOR_REPAIR),
            _ => None,
        };
        let try_within = try_within.filter(|_| !error.is_url_of_file());
        Trouble { failure: pull_directory::failure(&self.dest, error), try_within }
    }

    /// After how long another try is worth it. What was right once may be right again: while an asset is deployed anew it
    /// may be missing, and a proxy may answer in place of the server.
    fn try_within(&self, error: &PullError) -> Option<Duration> {
        match error {
            PullError::Network { .. } => Some(LONGEST_WAIT),
            PullError::Protocol { source, .. } => match source.status() {
                Some(401 | 403) => None,
                Some(500..) => Some(LONGEST_WAIT),
                _ if error.is_url_of_directory() => None,
                _ => self.has_pulled.then_some(LONGEST_WAIT_FOR_REPAIR),
            },
            _ => None,
        }
    }

    /// Runs the command of `--exec` to its end.
    async fn execute(&mut self, command: &str, version: Version) {
        let mut url = self.url.clone();
        // Both calls fail only for a URL without a host, which has no user name.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let child = Command::new("sh")
            .args(["-c", command])
            .env("DRIBLET_VERSION", version.to_string())
            .env("DRIBLET_URL", url.as_str())
            .env("DRIBLET_DEST", &self.dest)
            .stdin(Stdio::null())
            // A group of its own, so that a signal reaches all that the shell started.
            .process_group(0)
            .spawn();
        let result = match child {
            Ok(child) => self.child.insert(child).wait().await,
            Err(error) => Err(error),
        };
        self.child = None;
        match result {
            Ok(status) if status.success() => {}
            Ok(status) => print::error(format_args!("driblet: the command of --exec failed: {status}")),
            Err(error) => {
                let failure = Failure::new("cannot run the command of --exec", &error);
                print::error(format_args!("driblet: {failure}"));
            }
        }
    }
}

/// Ends the command of `--exec`, and waits for it.
async fn stop(mut child: Child, signals: &mut EndSignals) {
    signal_group(&child, ProcessSignal::TERM);
    tokio::select! {
        _ = child.wait() => return,
        () = signals.next() => {}
        () = sleep(GRACE) => {}
    }
    signal_group(&child, ProcessSignal::KILL);
    let _ = child.wait().await;
}

fn signal_group(child: &Child, signal: ProcessSignal) {
    // A child that has ended has no id any more.
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    if let Some(group) = group {
        let _ = kill_process_group(group, signal);
    }
}

fn failure_of(error: &PullError) -> Failure {
    Failure::of(error as &dyn Error)
}

fn tell(failure: &Failure) {
    print::error(format_args!("driblet: {failure}; trying again"));
}

/// A random number from 0 to 1, so that clients that failed together do not come back together.
fn random_share() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}
