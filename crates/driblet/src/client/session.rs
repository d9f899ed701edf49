//! One pull: what to ask for, in which order.

use driblet_core::{Basis, ChunkSize, ChunkSizes, Chunker, Cuts, Limits, MatchedBasis, Signature};

use super::apply::Apply;
use super::live::LiveHead;
use super::partial::{Partial, path_beside};
use super::pulled::{BasisKind, Pulled};
use super::request::{Answer, Asset, UnknownVersion};
use crate::task::blocking;
use crate::transfer::{Destination, ProtocolCause, PullError, Report};

/// Bytes that are cut with one call.
const PIECE: usize = 1 << 20;

pub(super) struct PullSession {
    asset: Asset,
    dest: Destination,
    limits: Limits,
    report: Report,
    /// A head that was told already.
    told: Option<LiveHead>,
}

impl PullSession {
    pub(super) fn new(asset: Asset, dest: Destination, max_len: u64, report: Report) -> PullSession {
        PullSession { asset, dest, limits: Limits::new().target(max_len), report, told: None }
    }

    /// Uses the delta that came with a head, if it is one from the held version.
    pub(super) fn told(self, told: Option<&LiveHead>) -> PullSession {
        PullSession { told: told.cloned(), ..self }
    }

    pub(super) async fn run(mut self) -> Result<Pulled, PullError> {
        if let Some(partial) = self.partial().await? {
            match self.resume(partial).await {
                Err(error) if error.is_about_bytes() => self.forget_partial().await?,
                Ok(None) => self.forget_partial().await?,
                Ok(Some(finished)) => return self.pull_after(finished).await,
                Err(error) => return Err(error),
            }
        }
        self.pull_head().await
    }

    /// Asks for the head again: the version of a finished delta may no longer be it.
    async fn pull_after(mut self, finished: Pulled) -> Result<Pulled, PullError> {
        self.dest = self.dest.reopened().await?;
        let pulled = self.pull_head().await?;
        Ok(match pulled.basis {
            // The costs are those of all requests.
            BasisKind::Same => Pulled { basis: finished.basis, reused: finished.reused, ..pulled },
            _ => pulled,
        })
    }

    async fn pull_head(&mut self) -> Result<Pulled, PullError> {
        let Some((version, len)) = self.dest.held() else { return self.pull_from_nothing().await };
        if let Some(bytes) = self.told.take().and_then(|head| head.delta_from(version)) {
            let body = self.asset.received(bytes);
            match self.apply(Basis::of(&version, len), BasisKind::Version).run(body, &mut self.asset).await {
                // Something between the server and this client changed the delta.
                Err(PullError::Protocol { .. } | PullError::Network { .. }) => {}
                result => return result,
            }
        }
        match self.asset.delta_from(version).await? {
            Answer::Delta(body) => {
                let partial = self.begin_partial(body.etag());
                let apply = self.apply(Basis::of(&version, len), BasisKind::Version).keeping(partial);
                apply.run(body, &mut self.asset).await
            }
            Answer::Unknown(unknown) => self.pull_from_matches(unknown).await,
        }
    }

    /// Continues an incomplete delta; `None` if the server no longer has it.
    async fn resume(&mut self, partial: Partial) -> Result<Option<Pulled>, PullError> {
        let (basis, kind) = match self.dest.held() {
            Some((version, len)) => (Basis::of(&version, len), BasisKind::Version),
            None => (Basis::EMPTY, BasisKind::None),
        };
        let Some(body) = self.asset.rest_of(&partial).await? else { return Ok(None) };
        let apply = self.apply(basis, kind).keeping(Some(partial));
        apply.run(body, &mut self.asset).await.map(Some)
    }

    /// Gets the delta from nothing.
    async fn pull_from_nothing(&mut self) -> Result<Pulled, PullError> {
        let body = self.asset.delta_from_nothing().await?;
        let apply = self.apply(Basis::EMPTY, BasisKind::None);
        let apply = match self.dest.held() {
            // The next pull would look for a delta from the held version, not for this one.
            Some(_) => apply,
            None => apply.keeping(self.begin_partial(body.etag())),
        };
        apply.run(body, &mut self.asset).await
    }

    /// The server does not have the held version: sends a signature, and gets a delta from what matches.
    async fn pull_from_matches(&mut self, unknown: UnknownVersion) -> Result<Pulled, PullError> {
        let size = |log2| {
            let invalid =
                |error| PullError::protocol("the server's chunk sizes are invalid", ProtocolCause::ChunkSize(error));
            ChunkSize::new(log2).map_err(invalid)
        };
        let [sections, chunks] = unknown.chunk_sizes;
        let sizes = ChunkSizes { sections: size(sections)?, chunks: size(chunks)? };
        let chunks = cut(&self.dest, sizes).await?.describe(&unknown.list()?);
        let nonce: [u8; 16] = random_nonce()?;
        let signature = Signature::sign(nonce, &chunks);
        let Some((runs, body)) = self.asset.matched(&signature).await? else { return self.pull_from_nothing().await };
        let basis = MatchedBasis::new(&runs, &chunks);
        let kind = if basis.is_empty() { BasisKind::None } else { BasisKind::Matched };
        match self.apply(Basis::matched(&basis), kind).over(basis).run(body, &mut self.asset).await {
            // A tag matched by chance, which is rare.
            Err(error) if error.is_about_bytes() => self.pull_from_nothing().await,
            result => result,
        }
    }

    /// The incomplete delta that an earlier pull left, if it is a delta from the held version.
    async fn partial(&self) -> Result<Option<Partial>, PullError> {
        let Some(path) = self.dest.file().and_then(path_beside) else { return Ok(None) };
        let (url, from) = (self.asset.url().clone(), self.dest.held().map(|(version, _)| version));
        blocking(move || Ok(Partial::load(&path, &url, from))).await
    }

    fn begin_partial(&self, etag: Option<&str>) -> Option<Partial> {
        let from = self.dest.held().map(|(version, _)| version);
        let path = self.dest.file().and_then(path_beside);
        path.map(|path| Partial::begin(path, self.asset.url(), from, etag))
    }

    async fn forget_partial(&self) -> Result<(), PullError> {
        let path = self.dest.file().and_then(path_beside);
        blocking(move || {
            if let Some(path) = path {
                Partial::remove(&path);
            }
            Ok(())
        })
        .await
    }

    fn apply(&self, basis: Basis, kind: BasisKind) -> Apply {
        Apply::new(self.dest.clone(), basis, kind, self.limits, self.report.clone())
    }
}

/// Cuts the held bytes.
async fn cut(dest: &Destination, sizes: ChunkSizes) -> Result<Cuts, PullError> {
    let dest = dest.clone();
    blocking(move || {
        let len = dest.held().map_or(0, |(_, len)| len);
        let mut chunker = Chunker::new(sizes);
        let mut bytes = vec![0; PIECE];
        for offset in (0..len).step_by(PIECE) {
            let piece = &mut bytes[..(len - offset).min(PIECE as u64) as usize];
            dest.read_at(piece, offset)?;
            chunker.handle_input(piece);
        }
        Ok(chunker.finish().clone())
    })
    .await
}

fn random_nonce() -> Result<[u8; 16], PullError> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)
        .map_err(|error| PullError::store("cannot get random numbers from the system", std::io::Error::other(error)))?;
    Ok(nonce)
}
