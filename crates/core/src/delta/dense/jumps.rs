//! Jumps: how the pointer gets to a window position other than the next one.
//!
//! The encoder codes a jump where its guide wants the pointer elsewhere. After misses, both sides also move the pointer
//! to the best place near it, which costs no decision.

use super::buffer::MARGIN;
use super::guide::{Guide, GuidedCoder};
use super::recall::agreed_class;
use crate::delta::adaptive::{Counter, NumberCoder};
use crate::delta::arithmetic::DecisionCoder;

/// In text, the most bytes that the encoder writes while the pointer is near the wanted place but not at it. After that
/// the encoder makes the pointer jump there.
const MAX_STRAY_BYTES: u32 = 12;
/// The probability of a jump, in 65,536ths, before any was observed.
const FIRST_JUMP_PROBABILITY: u16 = 4096;
/// The number of window positions around the pointer that are compared after misses, half of them on each side.
const RESYNC_STEPS: usize = 64;
/// The most bytes that are compared at each of these positions.
const RESYNC_AGREED: usize = 16;
/// The fewest bytes before a position that must agree, so that the pointer moves there.
const RESYNC_MIN: usize = 4;

/// A jump led outside the window.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OutsideWindow;

/// Where a jump can start to count from: the pointer, the anchor, and the recalled place.
pub(super) struct JumpBases {
    pub(super) pointer: usize,
    /// The recalled place, and how many bytes before it agree with the target's end.
    pub(super) recalled: usize,
    pub(super) agreed: usize,
}

/// Codes jumps, and remembers what later jumps are predicted from.
pub(super) struct Jumps {
    jump_counters: Vec<Counter>,
    /// Whether the last distance is jumped again.
    again_counters: [Counter; 2],
    bases: Vec<Counter>,
    last_base: usize,
    sizes: NumberCoder,
    sign_counters: [Counter; 3],
    /// Bytes since the last jump.
    since_jump: u32,
    /// Bytes between the last two jumps.
    last_gap: u32,
    last_distance: i64,
    /// Where the pointer was at the first of the latest misses.
    anchor: usize,
    /// Bytes for which the pointer was not where the guide wants it. Only the encoder counts.
    astray: u32,
    /// Whether the pointer jumped since the last byte.
    jumped: bool,
}

impl Jumps {
    pub(super) fn new() -> Jumps {
        Jumps {
            jump_counters: vec![Counter::at(FIRST_JUMP_PROBABILITY); 16],
            again_counters: [Counter::EVEN; 2],
            bases: vec![Counter::EVEN; 32],
            last_base: 0,
            sizes: NumberCoder::new(3),
            sign_counters: [Counter::EVEN; 3],
            since_jump: 0,
            last_gap: 0,
            last_distance: 0,
            anchor: MARGIN,
            astray: 0,
            jumped: false,
        }
    }

    /// Sets the anchor. A later jump can count from it.
    pub(super) fn set_anchor(&mut self, at: usize) {
        self.anchor = at;
    }

    /// Notes that the target grew by `len` bytes.
    #[inline]
    pub(super) fn advance(&mut self, len: u32) {
        self.since_jump = self.since_jump.saturating_add(len);
    }

    /// Notes that the target's next byte is known, so that the pointer may jump again.
    #[inline]
    pub(super) fn allow(&mut self) {
        self.jumped = false;
    }

    /// Bytes since the last jump, and between the two jumps before, each up to 255.
    #[inline]
    pub(super) fn distances(&self) -> (u32, u32) {
        (self.since_jump.min(255), self.last_gap.min(255))
    }

    /// Whether as many bytes have passed as between the last two jumps.
    fn is_due(&self) -> bool {
        self.since_jump == self.last_gap
    }

    /// Where the encoder wants the pointer to jump now, if it does. A decoder's coder has no guide and gets `None`.
    pub(super) fn wanted(
        &mut self,
        coder: &impl GuidedCoder,
        pointer: usize,
        buffer: &[u8],
        window_end: usize,
        words: bool,
    ) -> Option<usize> {
        let guide = coder.guide().filter(|_| !self.jumped)?;
        let at = buffer.len() - window_end;
        let wanted = MARGIN + guide.places[at].checked_add(1)? as usize - 1;
        if wanted == pointer {
            self.astray = 0;
            return None;
        }
        self.astray += 1;
        let is_near = words && wanted.abs_diff(pointer) < RESYNC_STEPS / 2;
        if is_near && self.astray <= MAX_STRAY_BYTES {
            return None;
        }
        let there = agreed_at(guide, at, &buffer[wanted..window_end]);
        let is_worth =
            (if words { 8 } else { 4 }) <= there && agreed_at(guide, at, &buffer[pointer..window_end]) < there;
        is_worth.then_some(wanted)
    }

    /// Codes whether the pointer jumps. Only one jump before each byte is possible, so that a delta cannot jump
    /// forever.
    pub(super) fn flag(&mut self, coder: &mut impl DecisionCoder, context: u32, jump: bool) -> bool {
        let context = context | u32::from(self.is_due()) << 3;
        !self.jumped && self.jump_counters[context as usize].code(coder, jump)
    }

    /// Codes where the pointer jumps to; `wanted` is the encoder's wish. The place lies inside the window.
    pub(super) fn jump(
        &mut self,
        coder: &mut impl DecisionCoder,
        from: &JumpBases,
        window_end: usize,
        wanted: usize,
    ) -> Result<usize, OutsideWindow> {
        let again = from.pointer as i64 + self.last_distance;
        let due = usize::from(self.is_due());
        let to = if self.again_counters[due].code(coder, wanted as i64 == again) {
            again
        } else {
            let recalled = if from.agreed == 0 { from.pointer } else { from.recalled };
            let bases = [from.pointer, self.anchor, recalled];
            let nearest = (0..3).min_by_key(|base| bases[*base].abs_diff(wanted)).unwrap_or(0);
            let base = self.base(coder, from.agreed, nearest);
            let distance = self.distance(coder, base, wanted as i64 - bases[base] as i64);
            self.last_distance = distance + bases[base] as i64 - from.pointer as i64;
            bases[base] as i64 + distance
        };
        if to < MARGIN as i64 || (window_end as i64) < to {
            return Err(OutsideWindow);
        }
        self.jumped = true;
        (self.last_gap, self.since_jump) = (self.since_jump, 0);
        Ok(to as usize)
    }

    /// Codes which base the jump counts from: 0 is the pointer, 1 the anchor, 2 the recalled place.
    fn base(&mut self, coder: &mut impl DecisionCoder, agreed: usize, base: usize) -> usize {
        let context = (agreed_class(agreed).min(3) as usize) << 2 | self.last_base;
        self.last_base = if agreed != 0 && self.bases[context].code(coder, base == 2) {
            2
        } else {
            usize::from(self.bases[16 | self.last_base].code(coder, base == 1))
        };
        self.last_base
    }

    /// Codes a signed distance.
    fn distance(&mut self, coder: &mut impl DecisionCoder, base: usize, distance: i64) -> i64 {
        let size = i64::from(self.sizes.code(coder, base, distance.unsigned_abs() as u32));
        if size != 0 && self.sign_counters[base].code(coder, distance < 0) { -size } else { size }
    }
}

/// The number of the target's next bytes that agree with these bytes of the window, at most 64.
fn agreed_at(guide: &Guide<'_>, at: usize, window: &[u8]) -> usize {
    window.iter().zip(&guide.target[at..]).take(64).take_while(|(a, b)| a == b).count()
}

/// The place near the pointer before which the most of the last bytes agree; the pointer itself if no place is better.
pub(super) fn resync(buffer: &[u8], window_end: usize, pointer: usize) -> usize {
    let step_place = |step: usize| match step % 2 {
        0 => pointer + step / 2,
        _ => pointer.wrapping_sub(step.div_ceil(2)),
    };
    let mut best = (0, pointer);
    let places = (0..RESYNC_STEPS).map(step_place).enumerate();
    for (step, place) in places.filter(|(_, place)| (MARGIN..window_end).contains(place)) {
        if 4 * RESYNC_AGREED <= best.0 + step / 16 {
            break;
        }
        let back = buffer[..place].iter().rev().zip(buffer.iter().rev());
        let agreed = back.take(RESYNC_AGREED).take_while(|(a, b)| a == b).count();
        let score = (4 * agreed).saturating_sub(step / 16);
        if RESYNC_MIN <= agreed && best.0 < score {
            best = (score, place);
        }
    }
    best.1
}
