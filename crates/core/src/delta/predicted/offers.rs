//! What followed a context before: up to three bytes, the likeliest first.

/// The most offers of one context.
pub(super) const OFFERS: usize = 3;

/// From the low bits up: 16 bits that tell contexts of one place apart, then for each offer the byte (8 bits) and how often
/// it came (8 bits). A count of 0 ends the list.
#[derive(Clone, Copy, Default)]
pub(super) struct Offers(u64);

impl Offers {
    /// The offers of a context with this check value, if these are its offers, else none.
    #[inline]
    pub(super) fn of(self, check: u16) -> Offers {
        if self.0 as u16 == check { self } else { Offers(check.into()) }
    }

    /// The byte and its count; a count of 0 if there are fewer offers.
    #[inline]
    pub(super) fn get(self, rank: usize) -> (u8, u32) {
        let offer = self.0 >> (16 + 16 * rank);
        (offer as u8, (offer >> 8) as u32 & 255)
    }

    /// The likeliest byte.
    #[inline]
    pub(super) fn first(self) -> Option<u8> {
        let (byte, count) = self.get(0);
        (count != 0).then_some(byte)
    }

    /// How often all offers came together.
    #[inline]
    pub(super) fn total(self) -> u32 {
        (0..OFFERS).map(|rank| self.get(rank).1).sum()
    }

    /// Counts the byte. A byte that is no offer takes the last one's place. An offer moves ahead of those that came no more
    /// often.
    #[inline]
    pub(super) fn learn(&mut self, byte: u8) {
        let mut offers: [(u8, u32); OFFERS] = [self.get(0), self.get(1), self.get(2)];
        let found = offers.iter().position(|(other, count)| *count == 0 || *other == byte).unwrap_or(OFFERS - 1);
        let count = if offers[found].0 == byte { (offers[found].1 + 1).min(255) } else { 1 };
        offers[found] = (byte, count);
        let mut at = found;
        while 0 < at && offers[at - 1].1 <= count {
            offers.swap(at - 1, at);
            at -= 1;
        }
        self.0 = offers.iter().rev().fold(0, |all, (byte, count)| all << 16 | u64::from(count << 8 | u32::from(*byte)))
            << 16
            | self.0 & 0xffff;
    }
}
