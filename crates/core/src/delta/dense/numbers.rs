//! The numbers of a jump: whether there is one, from which base, how far.

use super::binary::Coder;
use super::mix::{Counter, Curves};
use super::recall::agreed_class;

pub(crate) struct Numbers {
    jumps: Vec<Counter>,
    /// Whether the last distance is jumped again.
    pub(crate) again: [Counter; 2],
    bases: [Counter; 32],
    last_base: usize,
    lens: Vec<Counter>,
    digits: Vec<Counter>,
    signs: [Counter; 3],
}

impl Numbers {
    pub(crate) fn new() -> Numbers {
        Numbers {
            jumps: vec![Counter::at(4096); 16],
            again: [Counter::EVEN; 2],
            bases: [Counter::EVEN; 32],
            last_base: 0,
            lens: vec![Counter::EVEN; 96],
            digits: vec![Counter::EVEN; 768],
            signs: [Counter::EVEN; 3],
        }
    }

    pub(crate) fn jump(&mut self, coder: &mut impl Coder, curves: &Curves, context: u32, jump: bool) -> bool {
        self.jumps[context as usize].code(curves, coder, jump)
    }

    /// 0 the pointer, 1 the anchor, 2 the recall's place.
    pub(crate) fn base(&mut self, coder: &mut impl Coder, curves: &Curves, agreed: usize, base: usize) -> usize {
        let context = (agreed_class(agreed).min(3) as usize) << 2 | self.last_base;
        self.last_base = if agreed != 0 && self.bases[context].code(curves, coder, base == 2) {
            2
        } else {
            usize::from(self.bases[16 | self.last_base].code(curves, coder, base == 1))
        };
        self.last_base
    }

    /// A signed number: the length of its size, then its upper digits by what was seen, the rest as they are.
    pub(crate) fn distance(&mut self, coder: &mut impl Coder, curves: &Curves, base: usize, distance: i64) -> i64 {
        let size = distance.unsigned_abs() as u32 + 1;
        let mut node = 1;
        for at in (0..5).rev() {
            let bit = self.lens[base << 5 | node].code(curves, coder, size.ilog2() >> at & 1 == 1);
            node = node << 1 | usize::from(bit);
        }
        let len = node as u32 & 31;
        let mut value = 1u32;
        for at in (0..len).rev() {
            let wanted = size >> at & 1 == 1;
            let bit = if len - at <= 3 {
                self.digits[base << 8 | (len as usize) << 3 | value as usize & 7].code(curves, coder, wanted)
            } else {
                coder.code(32_768, wanted)
            };
            value = value << 1 | u32::from(bit);
        }
        let size = i64::from(value) - 1;
        if size != 0 && self.signs[base].code(curves, coder, distance < 0) { -size } else { size }
    }
}
