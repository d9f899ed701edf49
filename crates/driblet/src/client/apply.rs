use std::io::Write;

use bytes::Bytes;
use driblet_core::{Basis, Decoder, Event, Limits, MatchedBasis, Version};
use tokio::sync::mpsc;

use super::partial::Partial;
use super::pulled::{BasisKind, Pulled};
use super::request::{Asset, Body};
use crate::output::Staged;
use crate::transfer::{Dest, Progress, PullError, Report, State, blocking};

/// Pieces of the delta that may wait for the file thread.
const QUEUE: usize = 16;
/// Bytes of an earlier pull read at once.
const KEPT_PIECE: usize = 64 << 10;

/// A delta about to be applied.
pub(super) struct Apply {
    dest: Dest,
    basis: Basis,
    kind: BasisKind,
    limits: Limits,
    report: Report,
    matched: Option<MatchedBasis>,
    partial: Option<Partial>,
}

impl Apply {
    pub(super) fn new(dest: Dest, basis: Basis, kind: BasisKind, limits: Limits, report: Report) -> Apply {
        Apply { dest, basis, kind, limits, report, matched: None, partial: None }
    }

    /// The basis is not what is held as it stands, but these chunks of it.
    pub(super) fn over(self, matched: MatchedBasis) -> Apply {
        Apply { matched: Some(matched), ..self }
    }

    /// The delta's bytes are kept until it is complete.
    pub(super) fn keeping(self, partial: Option<Partial>) -> Apply {
        Apply { partial, ..self }
    }

    /// Feeds the body to a decoder on a file thread, and commits what it makes.
    pub(super) async fn run(mut self, mut body: Body, asset: &mut Asset) -> Result<Pulled, PullError> {
        if let Some(partial) = &mut self.partial
            && !body.continues()
        {
            partial.restart(body.etag());
        }
        let (pieces, queue) = mpsc::channel(QUEUE);
        let work = tokio::spawn(blocking(move || self.decode(queue)));
        let cut_off = loop {
            match body.next(asset.cost()).await {
                Ok(Some(bytes)) => {
                    // The file thread stops listening when it has failed; its error says why.
                    if pieces.send(Piece::Bytes(bytes, asset.cost().received)).await.is_err() {
                        break None;
                    }
                }
                Ok(None) => {
                    let _ = pieces.send(Piece::End).await;
                    break None;
                }
                Err(error) => break Some(error),
            }
        };
        drop(pieces);
        let decoded = work
            .await
            .unwrap_or_else(|error| Err(PullError::store("a task ended early", std::io::Error::other(error))));
        match (cut_off, decoded) {
            (Some(error), Err(PullError::Network { .. })) | (Some(error), Ok(_)) => Err(error),
            (_, Err(error)) => Err(error),
            (None, Ok(mut pulled)) => {
                let cost = *asset.cost();
                (pulled.sent, pulled.received, pulled.requests) = (cost.sent, cost.received, cost.requests);
                Ok(pulled)
            }
        }
    }

    fn decode(mut self, mut queue: mpsc::Receiver<Piece>) -> Result<Pulled, PullError> {
        let mut decoder = Decoder::new(self.basis.clone(), self.limits);
        let result = self.drive(&mut decoder, &mut queue);
        // What was cut off is continued next time; what is complete or wrong is of no more use.
        let keep = matches!(result, Err(PullError::Network { .. } | PullError::Store { .. }));
        if let Some(partial) = self.partial.take().filter(|_| !keep) {
            partial.discard();
        }
        result
    }

    fn drive(&mut self, decoder: &mut Decoder, queue: &mut mpsc::Receiver<Piece>) -> Result<Pulled, PullError> {
        let mut staged: Option<Staged> = None;
        let (mut done, mut received, mut basis) = (0, 0, Vec::new());
        loop {
            match decoder.poll_event().map_err(PullError::bytes)? {
                Event::NeedInput => match self.next_piece(queue)? {
                    Piece::Bytes(bytes, so_far) => {
                        received = so_far;
                        decoder.handle_input(&bytes);
                    }
                    Piece::End => decoder.handle_end(),
                },
                Event::NeedBasis(range) => {
                    basis.resize((range.end - range.start) as usize, 0);
                    self.read_basis(&mut basis, range)?;
                    decoder.handle_basis(&basis);
                }
                Event::Output(bytes) => {
                    let file = match &mut staged {
                        Some(file) => file,
                        None => staged.insert(self.dest.stage()?),
                    };
                    file.write_all(bytes).map_err(|error| self.dest.error("cannot stage", error))?;
                    done += bytes.len() as u64;
                    let total = decoder.header().map_or(done, |header| header.len());
                    (self.report)(Progress { done, total, received, state: State::Receiving });
                }
                Event::Same => return Ok(self.pulled(decoder, BasisKind::Same)),
                Event::Done => break,
            }
        }
        self.dest.commit(staged.map_or_else(|| self.dest.stage(), Ok)?)?;
        Ok(self.pulled(decoder, self.kind))
    }

    /// First what an earlier pull kept, then what comes over the wire, which is kept too.
    fn next_piece(&mut self, queue: &mut mpsc::Receiver<Piece>) -> Result<Piece, PullError> {
        if let Some(partial) = &mut self.partial {
            let kept = partial.read(KEPT_PIECE).map_err(|error| PullError::store("an earlier pull's delta", error))?;
            if !kept.is_empty() {
                return Ok(Piece::Bytes(kept.into(), 0));
            }
        }
        let piece = queue.blocking_recv().ok_or_else(|| PullError::network("the delta", "it was cut off"))?;
        if let (Some(partial), Piece::Bytes(bytes, _)) = (&mut self.partial, &piece) {
            partial.keep(bytes);
        }
        Ok(piece)
    }

    fn read_basis(&self, bytes: &mut [u8], range: std::ops::Range<u64>) -> Result<(), PullError> {
        let Some(matched) = &self.matched else { return self.dest.read_at(bytes, range.start) };
        let mut rest = bytes;
        for piece in matched.locate(range) {
            let (part, after) = rest.split_at_mut((piece.end - piece.start) as usize);
            self.dest.read_at(part, piece.start)?;
            rest = after;
        }
        Ok(())
    }

    fn pulled(&self, decoder: &Decoder, basis: BasisKind) -> Pulled {
        let (version, len) = decoder.header().map_or((Version::EMPTY, 0), |header| (header.target(), header.len()));
        let reused = if basis == BasisKind::Same { len } else { decoder.reused() };
        Pulled { version, len, sent: 0, received: 0, requests: 0, basis, reused, elapsed: Default::default() }
    }
}

enum Piece {
    /// Bytes of the delta, and how many came over the wire so far.
    Bytes(Bytes, u64),
    End,
}
