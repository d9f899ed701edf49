//! Decides which artifact a receiver gets. No other module does.

use std::sync::Arc;

use driblet_core::{Codec, Matches, encode_same};
use tokio::time::timeout;

use super::accepted::Accepted;
use super::ahead;
use super::cache::Artifacts;
use super::coding::{Coding, Effort};
use super::dictionary::{self, DictionaryCoding, DictionaryHash};
use super::error::ArtifactError;
use super::key::Key;
use super::queue::{Job, MatchedChunks, Work};
use super::spool::{Artifact, Content};
use crate::history::StoredVersion;

/// The least share of the head, in percent, that must match a signature so that a delta is made from what matched.
/// Below this share the receiver gets the shared delta from nothing.
const WORTH_MATCHING: u64 = 3;
/// From this share of the head on, in percent, the delta from what matched is the smaller one. Below this share the
/// server makes both deltas and compares them.
const SURELY_SMALLER: u64 = 50;
/// The most unmatched bytes for which a receiver waits for a delta from what matched, although little matches.
const MAX_UNSHARED: u64 = 32 << 20;

/// The most bytes of memory that the list of matched chunks may take while its delta is queued.
const MAX_QUEUED: usize = 8 << 20;

/// What is known of a receiver that asks for a delta.
pub(crate) struct DeltaRequest<'a> {
    pub(crate) path: &'a str,
    /// The version that the receiver holds; `None` if it holds nothing.
    pub(crate) basis: Option<Arc<StoredVersion>>,
    pub(crate) target: Arc<StoredVersion>,
    pub(crate) accepted: Accepted,
    /// Whether the answer has no body.
    pub(crate) is_head: bool,
    /// Whether the receiver asks for a part of the delta.
    pub(crate) wants_range: bool,
    /// Whether the receiver says that it holds the bytes of an ETag.
    pub(crate) is_held: &'a (dyn Fn(&str) -> bool + Sync),
    /// Whether a receiver that continues a download may get the artifact with this ETag.
    pub(crate) continues: &'a (dyn Fn(&str) -> bool + Sync),
}

/// The delta that a receiver gets.
pub(crate) struct ChosenDelta {
    pub(crate) content: Content,
    /// Without its quotes.
    pub(crate) etag: String,
    /// Whether the delta says that the receiver holds the target already.
    pub(crate) is_same: bool,
}

/// What is known of a client that accepts a content coding.
pub(crate) struct EncodedRequest<'a> {
    pub(crate) path: &'a str,
    pub(crate) stored: Arc<StoredVersion>,
    pub(crate) coding: Coding,
    /// Whether the answer has no body.
    pub(crate) is_head: bool,
}

/// What is known of a client that holds a compression dictionary.
pub(crate) struct DictionaryRequest<'a> {
    pub(crate) path: &'a str,
    pub(crate) stored: Arc<StoredVersion>,
    /// The path and the version that the client names.
    pub(crate) dictionary: (&'a str, Arc<StoredVersion>),
    /// The hash of the dictionary that the client holds.
    pub(crate) hash: DictionaryHash,
    /// The codings that the client accepts.
    pub(crate) accepted: Vec<DictionaryCoding>,
    /// Whether the answer has no body.
    pub(crate) is_head: bool,
}

/// A file, encoded against a dictionary.
pub(crate) struct WithDictionary {
    pub(crate) content: Content,
    /// Without its quotes.
    pub(crate) etag: String,
    pub(crate) coding: DictionaryCoding,
}

impl Artifacts {
    /// The delta for a receiver: "same" if the receiver holds the target; otherwise the best delta that is made and
    /// that the receiver accepts; otherwise the interactive one.
    ///
    /// If the best delta that this receiver accepts is not made yet, it is queued for later receivers.
    pub(crate) async fn choose_delta(&self, request: DeltaRequest<'_>) -> Result<ChosenDelta, ArtifactError> {
        let DeltaRequest { path, basis, target, .. } = &request;
        if basis.as_ref().is_some_and(|basis| basis.version == target.version) {
            let content = Content::Memory(encode_same(target.version, target.len).into());
            let etag = format!("{}-same", &target.version.to_string()[..16]);
            return Ok(ChosenDelta { content, etag, is_same: true });
        }
        let from = basis.as_ref().map(|basis| basis.version);
        let is_held = (request.is_held)(&self.delta_etag(from, target.version));
        let fits = |artifact: &Artifact| !is_held && (request.continues)(&artifact.etag);
        let better = self.ready_or_queued(path, basis.as_deref(), target, request.accepted, fits).await?;
        let Artifact { content, etag, .. } = match better {
            Some(better) => better,
            // Nothing is made for an answer without a body.
            None if is_held || request.is_head => self.delta_if_made(from, target.version),
            None => self.interactive_delta(request.basis, request.target).await?,
        };
        // A range needs the length, which is known when all bytes are made.
        let content = match request.wants_range {
            true => timeout(self.queue_timeout(), content.finished()).await.map_err(|_| ArtifactError::Busy)??,
            false => content,
        };
        Ok(ChosenDelta { content, etag: etag.to_string(), is_same: false })
    }

    /// The answer to a signature: the runs, and the delta after them. It is the delta from what matched or the one from
    /// nothing, whichever is smaller.
    pub(crate) async fn choose_matched(
        &self,
        path: &str,
        matches: Arc<Matches>,
        target: Arc<StoredVersion>,
    ) -> Result<(Vec<u8>, Content), ArtifactError> {
        let (matched, len) = (matches.matched_bytes(), target.len);
        let is_worth_it = len * WORTH_MATCHING <= matched * 100;
        let best = if is_worth_it { self.matched_or_queued(path, &matches, &target).await? } else { None };
        let runs = matches.encode_runs();
        if len * SURELY_SMALLER <= matched * 100 {
            let delta = match best {
                Some(best) => best,
                None => self.interactive_matched(matches, target).await?,
            };
            return Ok((runs, delta.content));
        }
        let ready = self.ready_or_queued(path, None, &target, Accepted::Basic, |_| true).await?;
        let is_short = len - matched <= MAX_UNSHARED;
        let (best, ready) = match (best, ready) {
            // The other one is longer, and takes long to make.
            (Some(best), None) if !is_short => return Ok((runs, best.content)),
            both => both,
        };
        let from_nothing = match ready {
            Some(ready) => ready.content,
            None => self.interactive_delta(None, target.clone()).await?.content,
        };
        let no_runs = matches.encode_no_runs();
        let from_matches = match best {
            Some(best) => best,
            None if is_worth_it && is_short => self.interactive_matched(matches, target).await?,
            None => return Ok((no_runs, from_nothing)),
        };
        // Both lengths are known only when both deltas are made.
        let (from_matches, from_nothing) = (from_matches.content.finished().await?, from_nothing.finished().await?);
        let with = |start: &[u8], delta: &Content| delta.len().map(|len| start.len() as u64 + len);
        let is_shorter = with(&runs, &from_matches) < with(&no_runs, &from_nothing);
        Ok(if is_shorter { (runs, from_matches) } else { (no_runs, from_nothing) })
    }

    /// The background delta from matched chunks, if it is made. It is queued if a receiver asked for it before: a file
    /// that one person edited is asked for once, but a version that the server forgot by all who hold it.
    async fn matched_or_queued(
        &self,
        path: &str,
        matches: &Arc<Matches>,
        to: &StoredVersion,
    ) -> Result<Option<Artifact>, ArtifactError> {
        let work = Work::Matched(MatchedChunks(matches.clone()));
        let job = Job { path: path.into(), to: to.version, work, is_long: false };
        let key = job.key();
        let best = self.ready(key.clone()).await?;
        let may_improve = matches.memory() <= MAX_QUEUED
            && self.ahead.improves_shared_delta(to.len)
            && self.made.fits(&key, to.len - matches.matched_bytes());
        if best.is_none() && may_improve {
            match self.asked_matched.contains_key(&key) {
                true => self.background.change(|queue| queue.ask(job)),
                false => self.asked_matched.insert(key, ()),
            }
        }
        Ok(best)
    }

    /// The encoding of a version for a client, and its ETag: the best one if it is made, otherwise the interactive one.
    /// `None` if the client gets the file itself, because that is hardly longer or because no encoding can be made.
    ///
    /// If the best encoding is not made yet, it is queued for later clients.
    pub(crate) async fn choose_encoding(
        &self,
        request: EncodedRequest<'_>,
    ) -> Result<Option<(Content, String)>, ArtifactError> {
        let EncodedRequest { path, stored, coding, is_head } = request;
        let job = Job { path: path.into(), to: stored.version, work: Work::Coding(coding), is_long: false };
        let best = self.ready(job.key()).await?;
        let may_shrink = !self.incompressible.contains_key(&stored.version);
        if best.is_none() && may_shrink && self.ahead.improves_encoding(stored.len) {
            self.background.change(|queue| queue.ask(job));
        }
        let quick = format!("{}-{}", stored.version, coding.name());
        Ok(match best {
            Some(best) if best.content.len().is_none_or(|len| stored.len * 9 / 10 <= len) => None,
            Some(best) => Some((best.content, format!("{quick}-{}", &best.etag[..8]))),
            None => {
                let encoded = self.interactive_encoding(stored, coding, &quick, is_head).await?;
                encoded.map(|encoded| (encoded.content, quick))
            }
        })
    }

    /// A version that is encoded against the client's dictionary: in the shortest form that is made, otherwise in one
    /// that is made at once. `None` if the client holds another dictionary, or if no form can be made now.
    ///
    /// If the form that takes longest is not made yet, it is queued for later clients.
    pub(crate) async fn choose_with_dictionary(
        &self,
        request: DictionaryRequest<'_>,
    ) -> Result<Option<WithDictionary>, ArtifactError> {
        let DictionaryRequest { path, stored, dictionary: (dictionary_path, dictionary), hash, .. } = &request;
        let (from, to) = (dictionary.version, stored.version);
        let is_allowed =
            |coding: &DictionaryCoding| request.accepted.contains(coding) && coding.allows(dictionary.len, stored.len);
        let codings: Vec<DictionaryCoding> = DictionaryCoding::ALL.iter().copied().filter(is_allowed).collect();
        let (Some(&best), Some(&quickest)) = (codings.first(), codings.last()) else { return Ok(None) };
        if self.dictionary_hash(dictionary.clone()).await? != *hash {
            return Ok(None);
        }
        let mut made = Vec::new();
        for &coding in &codings {
            for effort in [Effort::Background, Effort::Interactive] {
                let artifact = self.ready(Key::WithDictionary { from, to, coding, effort }).await?;
                let etag = || dictionary::etag(coding, effort, from, to);
                made.extend(artifact.map(|made| WithDictionary { content: made.content, etag: etag(), coding }));
            }
        }
        let is_best_made = made.iter().any(|form| form.etag == dictionary::etag(best, Effort::Background, from, to));
        // A client that holds what it asks for has lost its ETag: nothing gets shorter than the first form.
        if from != to && !is_best_made {
            let work = Work::WithDictionary { dictionary: (*dictionary_path).into(), from, hash: *hash, coding: best };
            let job = Job { path: (*path).into(), to, work, is_long: false };
            self.background.change(|queue| queue.ask(job));
        }
        // No form is always the shortest one.
        if let Some(shortest) = made.into_iter().min_by_key(|form| form.content.len()) {
            return Ok(Some(shortest));
        }
        let etag = dictionary::etag(quickest, Effort::Interactive, from, to);
        if request.is_head {
            return Ok(Some(WithDictionary { content: Content::Unmade, etag, coding: quickest }));
        }
        let (stored, dictionary) = (stored.clone(), (dictionary.clone(), *hash));
        let made = self.interactive_with_dictionary(dictionary, stored, quickest, &etag).await?;
        Ok(made.map(|made| WithDictionary { content: made.content, etag, coding: quickest }))
    }

    /// The best of the deltas that were made in the background, that the receiver accepts, and that fit. If the best one
    /// that the receiver accepts is not made yet, it is queued.
    async fn ready_or_queued(
        &self,
        path: &str,
        from: Option<&StoredVersion>,
        to: &StoredVersion,
        accepted: Accepted,
        fits: impl Fn(&Artifact) -> bool,
    ) -> Result<Option<Artifact>, ArtifactError> {
        let codecs: Vec<Codec> = match from {
            Some(from) => self.ahead.codecs(from.len, to.len, accepted).collect(),
            None => self.ahead.improves_shared_delta(to.len).then_some(Codec::Fast).into_iter().collect(),
        };
        for (place, codec) in codecs.into_iter().enumerate() {
            let work = Work::Delta { from: from.map(|from| from.version), codec };
            let is_long = from.is_some_and(|from| ahead::is_long(from.len, to.len));
            let job = Job { path: path.into(), to: to.version, work, is_long };
            match self.ready(job.key()).await? {
                Some(artifact) if fits(&artifact) => return Ok(Some(artifact)),
                None if place == 0 => self.background.change(|queue| queue.ask(job)),
                _ => {}
            }
        }
        Ok(None)
    }
}
