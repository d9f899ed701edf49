//! Runs.

use crate::wire::{ByteReader, Stop, put_varint};

/// The most bytes that runs may take.
const MAX_RUNS_LEN: u64 = 8 << 20;

/// Which tags of a signature matched, as run lengths: unmatched, matched, unmatched, …
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Runs(Vec<u64>);

impl Runs {
    /// Reads the start of a matched answer to a signature of `count` tags.
    ///
    /// Gives the runs and how many bytes they took, or `None` where more bytes are needed.
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

    pub(super) fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The indices of the tags that matched, ascending.
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

/// Why the start of a matched answer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunsError {
    /// A number is no canonical varint.
    #[error("a run of the matched answer is not a varint in its shortest form")]
    BadVarint,
    /// The runs are longer than any may be.
    #[error("runs of {len} bytes announced, at most {limit} are taken")]
    TooLong {
        /// Bytes announced.
        len: u64,
        /// Bytes taken at most.
        limit: u64,
    },
    /// The length announced ends inside a run.
    #[error("the {len} bytes announced for the runs end inside one")]
    Cut {
        /// Bytes announced.
        len: u64,
    },
    /// A run after the first is empty.
    #[error("run {index} of the matched answer is empty")]
    EmptyRun {
        /// Its place, from 0.
        index: usize,
    },
    /// The runs do not speak of each tag once.
    #[error("the matched answer speaks of {sum} tags, the signature had {count}")]
    Sum {
        /// Tags spoken of.
        sum: u64,
        /// Tags sent.
        count: u64,
    },
}

impl RunsError {
    /// The reason's name in `spec/vectors.json`.
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
