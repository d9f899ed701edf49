//! Runs: which tags of a signature matched.

use crate::wire::{ByteReader, Stop, put_varint};

/// The most bytes that encoded runs may take.
const MAX_RUNS_LEN: u64 = 8 << 20;

/// Which tags of a signature matched, as run lengths: unmatched, matched, unmatched, and so on.
///
/// ```
/// use driblet_core::Runs;
///
/// // Two bytes of runs: one tag that did not match, then two that did.
/// let (runs, consumed) = Runs::decode(&[2, 1, 2], 3)?.ok_or("more bytes are needed")?;
/// assert_eq!((runs.matched().collect::<Vec<_>>(), consumed), (vec![1, 2], 3));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Runs(Vec<u64>);

impl Runs {
    /// Reads the runs at the start of a matched answer to a signature of `count` tags.
    ///
    /// Returns the runs and how many bytes they took, or `None` if more bytes are needed.
    pub fn decode(bytes: &[u8], count: u64) -> Result<Option<(Runs, usize)>, RunsError> {
        let mut reader = ByteReader::new(bytes);
        let len = match reader.varint() {
            Ok(len) => len,
            Err(Stop::Incomplete) => return Ok(None),
            Err(Stop::BadVarint) => return Err(RunsError::BadVarint),
        };
        if MAX_RUNS_LEN < len {
            return Err(RunsError::TooLong { len, limit: MAX_RUNS_LEN });
        }
        let Ok(body) = reader.take(len as usize) else { return Ok(None) };
        let consumed = reader.position();
        let mut reader = ByteReader::new(body);
        let (mut runs, mut sum) = (Vec::new(), 0u64);
        while !reader.is_empty() {
            let run = match reader.varint() {
                Ok(run) => run,
                Err(Stop::Incomplete) => return Err(RunsError::Cut { len }),
                Err(Stop::BadVarint) => return Err(RunsError::BadVarint),
            };
            if run == 0 && !runs.is_empty() {
                return Err(RunsError::EmptyRun { index: runs.len() });
            }
            sum = sum.saturating_add(run);
            runs.push(run);
        }
        if sum != count {
            return Err(RunsError::Sum { sum, count });
        }
        Ok(Some((Runs(runs), consumed)))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.0.iter().for_each(|&run| put_varint(&mut body, run));
        let mut out = Vec::with_capacity(body.len() + 4);
        put_varint(&mut out, body.len() as u64);
        out.extend_from_slice(&body);
        out
    }

    pub(super) fn memory(&self) -> usize {
        self.0.capacity() * size_of::<u64>()
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The indices of the tags that matched, in ascending order.
    pub fn matched(&self) -> impl Iterator<Item = usize> + '_ {
        let mut start = 0;
        let ranges = self.0.iter().map(move |&run| {
            let range = start as usize..(start + run) as usize;
            start += run;
            range
        });
        ranges.skip(1).step_by(2).flatten()
    }
}

#[derive(Default)]
pub(super) struct RunsWriter {
    done: Vec<u64>,
    run: u64,
    matched: bool,
}

impl RunsWriter {
    pub(super) fn push(&mut self, matched: bool) {
        if matched != self.matched {
            self.done.push(self.run);
            self.run = 0;
            self.matched = matched;
        }
        self.run += 1;
    }

    pub(super) fn finish(mut self) -> Runs {
        if self.run != 0 {
            self.done.push(self.run);
        }
        Runs(self.done)
    }
}

/// Why the start of a matched answer was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunsError {
    /// A number is not a varint in its shortest form.
    #[error("a run of the matched answer is not a varint in its shortest form")]
    BadVarint,
    /// The runs are longer than the protocol allows.
    #[error("runs of {len} bytes announced, at most {limit} allowed")]
    #[non_exhaustive]
    TooLong {
        /// The announced length in bytes.
        len: u64,
        /// The greatest allowed length in bytes.
        limit: u64,
    },
    /// The announced length ends inside a run.
    #[error("the {len} bytes announced for the runs end inside a run")]
    #[non_exhaustive]
    Cut {
        /// The announced length in bytes.
        len: u64,
    },
    /// A run after the first is empty.
    #[error("run {index} of the matched answer is empty")]
    #[non_exhaustive]
    EmptyRun {
        /// The index of the run, from 0.
        index: usize,
    },
    /// The runs do not cover each tag once.
    #[error("the runs cover {sum} tags; the signature has {count}")]
    #[non_exhaustive]
    Sum {
        /// The sum of the runs.
        sum: u64,
        /// The tags that were sent.
        count: u64,
    },
}

impl RunsError {
    /// The name of the reason in `spec/vectors.json`.
    pub fn reason(&self) -> &'static str {
        match self {
            RunsError::BadVarint => "bad-varint",
            RunsError::TooLong { .. } => "limit-runs",
            RunsError::Cut { .. } | RunsError::EmptyRun { .. } | RunsError::Sum { .. } => "bad-runs",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_do_not_add_up_are_refused() {
        assert_eq!(Runs::decode(&[2, 1, 2], 3), Ok(Some((Runs(vec![1, 2]), 3))));
        assert_eq!(Runs::decode(&[2, 1], 3), Ok(None));
        assert_eq!(Runs::decode(&[2, 1, 2], 4), Err(RunsError::Sum { sum: 3, count: 4 }));
        assert_eq!(Runs::decode(&[3, 1, 0, 2], 3), Err(RunsError::EmptyRun { index: 1 }));
        let long = RunsError::TooLong { len: 1 << 35, limit: MAX_RUNS_LEN };
        assert_eq!(Runs::decode(&[0x80, 0x80, 0x80, 0x80, 0x80, 1], 3), Err(long));
    }
}
