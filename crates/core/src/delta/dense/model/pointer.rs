//! Where the model's pointer goes by other ways than on: jumps, and finding its place again after misses.

use super::super::guide::GuidedCoder;
use super::{CALM, MARGIN, Model, OutsideWindow};

/// Bytes that a text's pointer may be near its place before it is made to jump there.
const PATIENT: u32 = 12;
/// How far around itself the pointer looks for its place after misses.
const RESYNC: usize = 32;
/// The most of the last bytes that are compared there.
const RESYNC_AGREED: usize = 16;

impl Model {
    /// Where the encoder wants the pointer to be now, if it is not there and will not find the way by itself.
    pub(super) fn scripted_jump(&mut self, coder: &impl GuidedCoder) -> Option<usize> {
        let guide = coder.guide().filter(|_| !self.jumped)?;
        let at = self.buffer.len() - self.window_end;
        let wanted = MARGIN + guide.places[at].checked_add(1)? as usize - 1;
        if wanted == self.follower.at {
            self.astray = 0;
            return None;
        }
        self.astray += 1;
        let near = self.words && wanted.abs_diff(self.follower.at) < RESYNC;
        if near && self.astray <= PATIENT {
            return None;
        }
        let agreed = |place: usize| {
            self.buffer[place..self.window_end]
                .iter()
                .zip(&guide.target[at..])
                .take(64)
                .take_while(|(a, b)| a == b)
                .count()
        };
        let there = agreed(wanted);
        (if self.words { 8 } else { 4 } <= there && agreed(self.follower.at) < there).then_some(wanted)
    }

    /// Codes where the pointer goes.
    pub(super) fn jump(&mut self, coder: &mut impl GuidedCoder, wanted: usize) -> Result<(), OutsideWindow> {
        let due = self.since_jump == self.gap;
        let again = self.follower.at as i64 + self.last_distance;
        let to = if self.numbers.again[usize::from(due)].code(coder, wanted as i64 == again) {
            again
        } else {
            let recalled = if self.recall.agreed == 0 { self.follower.at } else { self.recall.position() };
            let bases = [self.follower.at, self.anchor, recalled];
            let nearest = (0..3).min_by_key(|base| bases[*base].abs_diff(wanted)).unwrap_or(0);
            let base = self.numbers.base(coder, self.recall.agreed, nearest);
            let distance = self.numbers.distance(coder, base, wanted as i64 - bases[base] as i64);
            self.last_distance = distance + bases[base] as i64 - self.follower.at as i64;
            bases[base] as i64 + distance
        };
        if to < MARGIN as i64 || (self.window_end as i64) < to {
            return Err(OutsideWindow);
        }
        self.follower.jump(to as usize);
        self.jumped = true;
        (self.gap, self.since_jump) = (self.since_jump, 0);
        self.misses = self.misses << 1 | 1;
        self.hits = 0;
        self.patience = CALM;
        Ok(())
    }

    /// Puts the pointer where, near it, the most of the last bytes agree.
    pub(super) fn resync(&mut self) {
        let b = &self.buffer;
        let at = self.follower.at;
        let near =
            (0..2 * RESYNC).map(|step| if step % 2 == 0 { at + step / 2 } else { at.wrapping_sub(step.div_ceil(2)) });
        let mut best = (0, at);
        for (step, place) in near.enumerate().filter(|(_, place)| (MARGIN..self.window_end).contains(place)) {
            if 4 * RESYNC_AGREED <= best.0 + step / 16 {
                break;
            }
            let back = b[..place].iter().rev().zip(b.iter().rev());
            let agreed = back.take(RESYNC_AGREED).take_while(|(a, b)| a == b).count();
            let score = (4 * agreed).saturating_sub(step / 16);
            if 4 <= agreed && best.0 < score {
                best = (score, place);
            }
        }
        self.follower.at = best.1;
    }
}
