//! The native client: brings a file up to date with what a server publishes.
//!
//! The way of a sync: `dest` says what is held, `request` asks for the delta, `apply` turns it into a staging file on a blocking
//! thread, `partial` keeps the delta's bytes in case the connection is cut, and `dest` makes the staging file the new version.
//! `wait` knows how long a server is waited for.

mod apply;
mod partial;
mod pulled;
mod request;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use driblet_core::{Basis, ChunkSize, ChunkSizes, Limits, MatchedBasis, Signature};
use url::Url;

use apply::Apply;
use partial::Partial;
pub use pulled::{BasisKind, Pulled};
use request::{Answer, Asset, Unknown};

use crate::output::Output;
use crate::transfer::{Dest, Report, blocking, output};
pub use crate::transfer::{Phase, Progress, PullError, PullOptions, State};

/// Makes the file at `dest` the head of the asset at `url`, moving only the difference.
///
/// What `dest` holds now is the basis. It is replaced in one atomic step after the new bytes are verified and durable; until then, and after
/// any error, it stays as it was. (Where the system permits no such step the bytes are written over the old ones, see [`output`](crate::output).)
/// A pull that was cut off leaves the delta's bytes beside `dest`, and the next one goes on from there.
///
/// A user name and a password in `url` are sent as basic authorisation, to no other host, and neither shown nor stored.
///
/// One request where the server knows the version held or nothing is held, two otherwise.
///
/// # Errors
/// [`PullError::Network`]: try again. [`PullError::Protocol`]: the server, or something between, does not speak
/// driblet, or sent bytes that do not verify. [`PullError::Store`]: `dest` cannot be read or written.
pub async fn pull(
    url: &Url,
    dest: &Path,
    options: &PullOptions,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Pulled, PullError> {
    pull_to(url, output(dest)?, options, progress).await
}

/// As [`pull`], into any [`Output`]. What is no regular file holds nothing: the whole asset is transferred and, once it is verified, written
/// into it.
///
/// # Errors
/// As [`pull`].
pub async fn pull_to(
    url: &Url,
    dest: Output,
    options: &PullOptions,
    progress: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Pulled, PullError> {
    let start = Instant::now();
    let progress: Report = Arc::new(progress);
    let asset = Asset::new(url, options, progress.clone())?;
    let dest = Dest::open(dest).await?;
    let session = Session { asset, dest, limits: Limits { target: options.max_len }, progress };
    let mut pulled = session.run().await?;
    pulled.elapsed = start.elapsed();
    Ok(pulled)
}

struct Session {
    asset: Asset,
    dest: Dest,
    limits: Limits,
    progress: Report,
}

impl Session {
    async fn run(mut self) -> Result<Pulled, PullError> {
        if let Some(partial) = self.partial().await? {
            match self.resume(partial).await {
                Err(error) if error.is_about_bytes() => self.forget_partial().await?,
                Ok(None) => self.forget_partial().await?,
                Ok(Some(pulled)) => return Ok(pulled),
                Err(error) => return Err(error),
            }
        }
        let Some((version, len)) = self.dest.held() else { return self.whole().await };
        match self.asset.delta_from(version).await? {
            Answer::Delta(body) => {
                let partial = self.begin_partial(body.etag());
                let apply = self.apply(Basis::of(&version, len), BasisKind::Version).keeping(partial);
                apply.run(body, &mut self.asset).await
            }
            Answer::Unknown(unknown) => self.matched(unknown).await,
        }
    }

    async fn resume(&mut self, partial: Partial) -> Result<Option<Pulled>, PullError> {
        let (basis, kind) = match self.dest.held() {
            Some((version, len)) => (Basis::of(&version, len), BasisKind::Version),
            None => (Basis::EMPTY, BasisKind::None),
        };
        let Some(body) = self.asset.rest_of(&partial).await? else { return Ok(None) };
        let apply = self.apply(basis, kind).keeping(Some(partial));
        apply.run(body, &mut self.asset).await.map(Some)
    }

    async fn whole(&mut self) -> Result<Pulled, PullError> {
        let body = self.asset.delta_from_nothing().await?;
        let apply = self.apply(Basis::EMPTY, BasisKind::None);
        let apply = match self.dest.held() {
            // A partial delta from nothing is only found again where nothing is held.
            Some(_) => apply,
            None => apply.keeping(self.begin_partial(body.etag())),
        };
        apply.run(body, &mut self.asset).await
    }

    /// The server does not know what is held: sign it, and go on from what matches.
    async fn matched(&mut self, unknown: Unknown) -> Result<Pulled, PullError> {
        let size = |log2| ChunkSize::new(log2).map_err(|error| PullError::protocol("the server's sizes", error));
        let [sections, chunks] = unknown.chunk_sizes;
        let sizes = ChunkSizes { sections: size(sections)?, chunks: size(chunks)? };
        let chunks = self.dest.cut(sizes).await?.describe(&unknown.list()?);
        let nonce: [u8; 16] = rand_nonce()?;
        let signature = Signature::sign(nonce, &chunks);
        let Some((runs, body)) = self.asset.matched(&signature).await? else { return self.whole().await };
        let basis = MatchedBasis::new(&runs, &chunks);
        let kind = if basis.is_empty() { BasisKind::None } else { BasisKind::Matched };
        match self.apply_matched(basis, kind).run(body, &mut self.asset).await {
            // A false match; rare.
            Err(error) if error.is_about_bytes() => self.whole().await,
            result => result,
        }
    }

    /// The delta's bytes that an earlier pull left, if they continue what is held now.
    async fn partial(&self) -> Result<Option<Partial>, PullError> {
        let Some(path) = self.dest.partial_path() else { return Ok(None) };
        let (url, from) = (self.asset.url().clone(), self.dest.held().map(|(version, _)| version));
        blocking(move || Ok(Partial::load(&path, &url, from))).await
    }

    /// A partial delta that begins now.
    fn begin_partial(&self, etag: Option<&str>) -> Option<Partial> {
        let from = self.dest.held().map(|(version, _)| version);
        self.dest.partial_path().map(|path| Partial::begin(path, self.asset.url(), from, etag))
    }

    async fn forget_partial(&self) -> Result<(), PullError> {
        let path = self.dest.partial_path();
        blocking(move || {
            if let Some(path) = path {
                Partial::remove(&path);
            }
            Ok(())
        })
        .await
    }

    fn apply(&self, basis: Basis, kind: BasisKind) -> Apply {
        Apply::new(self.dest.clone(), basis, kind, self.limits, self.progress.clone())
    }

    fn apply_matched(&self, basis: MatchedBasis, kind: BasisKind) -> Apply {
        self.apply(Basis::matched(&basis), kind).over(basis)
    }
}

fn rand_nonce() -> Result<[u8; 16], PullError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)
        .map_err(|error| PullError::store("the system's random numbers", std::io::Error::other(error)))?;
    Ok(nonce)
}
