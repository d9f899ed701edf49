//! Applies a delta while it arrives.

use std::io::Write;

use bytes::Bytes;
use driblet_core::{Basis, DecodeError, Decoder, Event, Limits, MatchedBasis, Version};
use tokio::sync::mpsc;

use super::partial::Partial;
use super::pulled::{BasisKind, Pulled};
use super::request::{Asset, DeltaBody};
use crate::output::Staged;
use crate::task::{TaskFailed, blocking};
use crate::transfer::{Destination, NetworkCause, Progress, ProtocolCause, PullError, PullState, Report};

/// The most pieces of the delta that wait for the file thread.
const QUEUE: usize = 16;
/// Bytes of an earlier pull that one call reads.
const KEPT_PIECE: usize = 64 << 10;

/// A delta to apply.
pub(super) struct Apply {
    dest: Destination,
    basis: Basis,
    kind: BasisKind,
    limits: Limits,
    report: Report,
    matched: Option<MatchedBasis>,
    partial: Option<Partial>,
}

impl Apply {
    pub(super) fn new(dest: Destination, basis: Basis, kind: BasisKind, limits: Limits, report: Report) -> Apply {
        Apply { dest, basis, kind, limits, report, matched: None, partial: None }
    }

    /// Sets the basis: these chunks of the held file, instead of the whole file.
    pub(super) fn over(self, matched: MatchedBasis) -> Apply {
        Apply { matched: Some(matched), ..self }
    }

    /// Keeps the bytes of the delta until it is complete.
    pub(super) fn keeping(self, partial: Option<Partial>) -> Apply {
        Apply { partial, ..self }
    }

    /// Decodes the body on a file thread, and replaces the destination.
    pub(super) async fn run(mut self, mut body: DeltaBody, asset: &mut Asset) -> Result<Pulled, PullError> {
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
                    // The file thread closes the channel when it fails. Its error says why.
                    if pieces.send(DeltaPiece::Bytes(bytes, asset.cost().received)).await.is_err() {
                        break None;
                    }
                }
                Ok(None) => {
                    let _ = pieces.send(DeltaPiece::End).await;
                    break None;
                }
                Err(error) => break Some(error),
            }
        };
        drop(pieces);
        let decoded = work.await.unwrap_or_else(|error| Err(TaskFailed::of(error).into()));
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

    fn decode(mut self, mut queue: mpsc::Receiver<DeltaPiece>) -> Result<Pulled, PullError> {
        let mut decoder = Decoder::new(self.basis.clone(), self.limits);
        let result = self.drive(&mut decoder, &mut queue);
        // The next pull continues a delta that was cut off. The bytes of a complete or wrong delta are of no use.
        let keep = matches!(result, Err(PullError::Network { .. } | PullError::Store { .. }));
        if let Some(partial) = self.partial.take().filter(|_| !keep) {
            partial.discard();
        }
        result
    }

    fn drive(&mut self, decoder: &mut Decoder, queue: &mut mpsc::Receiver<DeltaPiece>) -> Result<Pulled, PullError> {
        let mut staged: Option<Staged> = None;
        let (mut done, mut received, mut basis) = (0, 0, Vec::new());
        loop {
            match decoder.poll_event().map_err(undecoded)? {
                Event::NeedInput => match self.next_piece(queue)? {
                    DeltaPiece::Bytes(bytes, so_far) => {
                        received = so_far;
                        decoder.handle_input(&bytes);
                    }
                    DeltaPiece::End => decoder.handle_end(),
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
                    file.write_all(bytes).map_err(|error| self.dest.error("cannot write", error))?;
                    done += bytes.len() as u64;
                    let total = decoder.header().map_or(done, |header| header.len());
                    (self.report)(Progress { done, total, received, state: PullState::Receiving });
                }
                Event::Same => {
                    self.dest.copy_held()?;
                    return Ok(self.pulled(decoder, BasisKind::Same));
                }
                Event::Done => break,
            }
        }
        self.dest.commit(staged.map_or_else(|| self.dest.stage(), Ok)?)?;
        Ok(self.pulled(decoder, self.kind))
    }

    /// First the bytes that an earlier pull kept, then those from the server, which are kept too.
    fn next_piece(&mut self, queue: &mut mpsc::Receiver<DeltaPiece>) -> Result<DeltaPiece, PullError> {
        if let Some(partial) = &mut self.partial {
            let kept = partial
                .read(KEPT_PIECE)
                .map_err(|error| PullError::store("cannot read the delta of an earlier pull", error))?;
            if !kept.is_empty() {
                return Ok(DeltaPiece::Bytes(kept.into(), 0));
            }
        }
        let piece =
            queue.blocking_recv().ok_or_else(|| PullError::network("reading the delta", NetworkCause::CutOff))?;
        if let (Some(partial), DeltaPiece::Bytes(bytes, _)) = (&mut self.partial, &piece) {
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

/// A message to the file thread.
enum DeltaPiece {
    /// Bytes of the delta, and how many bytes were received so far.
    Bytes(Bytes, u64),
    End,
}

fn undecoded(error: DecodeError) -> PullError {
    PullError::protocol("the delta is invalid", ProtocolCause::Decode(error))
}
