//! By how much numbers moved: numbers of one part that are near each other mostly moved by the same distance.

use crate::delta::adaptive::hash;
use crate::delta::wasm::Part;

/// Numbers are near each other if they agree but for so many of their lowest bits. At the last level all are.
pub(super) const LEVELS: [u32; 4] = [3, 7, 12, 63];
/// log2 of the number of entries at each level.
const LEVEL_BITS: u32 = 14;
/// The highest confidence of an entry: the number of times in a row that it was right, up to this.
const MAX_CONFIDENCE: u8 = 3;

/// A distance by which the last number near another one moved.
#[derive(Clone, Copy, Default)]
pub(super) struct Shift {
    pub(super) distance: i64,
    /// 0 if there is no entry.
    check: u16,
    pub(super) confidence: u8,
}

pub(super) struct Shifts {
    levels: [Vec<Shift>; LEVELS.len()],
}

impl Shifts {
    pub(super) fn new() -> Shifts {
        Shifts { levels: LEVELS.map(|_| vec![Shift::default(); 1 << LEVEL_BITS]) }
    }

    #[inline]
    fn key(level: usize, part: Part, number: i64) -> u32 {
        let near = number >> LEVELS[level];
        hash(hash(part as u32 | (level as u32 + 1) << 8, near as u32), (near >> 32) as u32)
    }

    /// The distance at a level, if one is known.
    #[inline]
    fn near(&self, level: usize, part: Part, number: i64) -> Option<Shift> {
        let key = Shifts::key(level, part, number);
        let shift = self.levels[level][(key >> (32 - LEVEL_BITS)) as usize];
        (shift.check == key as u16 | 1).then_some(shift)
    }

    /// The distances at all levels, the nearest first.
    pub(super) fn all(&self, part: Part, number: i64) -> [Option<Shift>; LEVELS.len()] {
        std::array::from_fn(|level| self.near(level, part, number))
    }

    /// The distance at the nearest level where one is known.
    #[inline]
    pub(super) fn nearest(&self, part: Part, number: i64) -> Option<Shift> {
        (0..LEVELS.len()).find_map(|level| self.near(level, part, number))
    }

    pub(super) fn learn(&mut self, part: Part, number: i64, distance: i64) {
        for (level, shifts) in self.levels.iter_mut().enumerate() {
            let key = Shifts::key(level, part, number);
            let shift = &mut shifts[(key >> (32 - LEVEL_BITS)) as usize];
            let same = shift.check == key as u16 | 1 && shift.distance == distance;
            let confidence = if same { (shift.confidence + 1).min(MAX_CONFIDENCE) } else { 0 };
            *shift = Shift { distance, check: key as u16 | 1, confidence };
        }
    }
}
