//! The numbers of a jump: whether there is one, from which base, how far.

use super::recall::agreed_class;
use crate::delta::adaptive::{Counter, NumberCoder};
use crate::delta::arithmetic::DecisionCoder;

pub(crate) struct Numbers {
    jumps: Vec<Counter>,
    /// Whether the last distance is jumped again.
    pub(crate) again: [Counter; 2],
    bases: [Counter; 32],
    last_base: usize,
    sizes: NumberCoder,
    signs: [Counter; 3],
}

impl Numbers {
    pub(crate) fn new() -> Numbers {
        Numbers {
            jumps: vec![Counter::at(4096); 16],
            again: [Counter::EVEN; 2],
            bases: [Counter::EVEN; 32],
            last_base: 0,
            sizes: NumberCoder::new(3),
            signs: [Counter::EVEN; 3],
        }
    }

    pub(crate) fn jump(&mut self, coder: &mut impl DecisionCoder, context: u32, jump: bool) -> bool {
        self.jumps[context as usize].code(coder, jump)
    }

    /// 0 the pointer, 1 the anchor, 2 the recall's place.
    pub(crate) fn base(&mut self, coder: &mut impl DecisionCoder, agreed: usize, base: usize) -> usize {
        let context = (agreed_class(agreed).min(3) as usize) << 2 | self.last_base;
        self.last_base = if agreed != 0 && self.bases[context].code(coder, base == 2) {
            2
        } else {
            usize::from(self.bases[16 | self.last_base].code(coder, base == 1))
        };
        self.last_base
    }

    /// A signed number.
    pub(crate) fn distance(&mut self, coder: &mut impl DecisionCoder, base: usize, distance: i64) -> i64 {
        let size = i64::from(self.sizes.code(coder, base, distance.unsigned_abs() as u32));
        if size != 0 && self.signs[base].code(coder, distance < 0) { -size } else { size }
    }
}
