//! Recall: predicts the byte that followed the same bytes before, in the target or in the indexed window.

use crate::delta::adaptive::hash;

/// A place is recalled only if at least this many bytes before it agree with the end of the target.
const MIN_AGREED: usize = 5;
/// The most bytes before a place that are compared.
const MAX_AGREED: usize = 40;

pub(crate) struct Recall {
    bits: u32,
    short: Vec<u32>,
    long: Vec<u32>,
    at: usize,
    /// How many bytes before the recalled place agree with the target's end; 0 if no place is recalled.
    pub(crate) agreed: usize,
}

fn tail(buffer: &[u8], at: usize, bits: u32) -> (usize, usize) {
    let word = |from: usize| u64::from_le_bytes(buffer[from..from + 8].try_into().unwrap_or_default());
    let (last, before) = (word(at - 8), word(at - 12));
    let short = hash((last >> 16) as u32, (last >> 48) as u32) >> (32 - bits);
    let long = hash(hash(before as u32, last as u32), (last >> 32) as u32) >> (32 - bits);
    (short as usize, long as usize)
}

impl Recall {
    pub(crate) fn new(bits: u32) -> Recall {
        Recall { bits, short: vec![0; 1 << bits], long: vec![0; 1 << bits], at: 0, agreed: 0 }
    }

    #[inline]
    pub(crate) fn expected(&self, buffer: &[u8]) -> Option<u8> {
        if self.agreed == 0 { None } else { Some(buffer[self.at]) }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// Remembers the place `at` by the bytes before it.
    #[inline]
    pub(crate) fn remember(&mut self, buffer: &[u8], at: usize) {
        let (short, long) = tail(buffer, at, self.bits);
        self.short[short] = at as u32;
        self.long[long] = at as u32;
    }

    pub(crate) fn forget_place(&mut self) {
        self.agreed = 0;
    }

    /// Looks for a place if none is recalled, and remembers the end of the target.
    pub(crate) fn refresh(&mut self, buffer: &[u8]) {
        let (short, long) = tail(buffer, buffer.len(), self.bits);
        let places = [self.long[long], self.short[short]];
        if self.agreed == 0 {
            for found in places.map(|place| place as usize) {
                let agreed = (0..MAX_AGREED.min(found))
                    .take_while(|back| buffer[found - 1 - back] == buffer[buffer.len() - 1 - back])
                    .count();
                if MIN_AGREED <= agreed {
                    (self.at, self.agreed) = (found, agreed);
                    break;
                }
            }
        }
        self.short[short] = buffer.len() as u32;
        self.long[long] = buffer.len() as u32;
    }

    /// Moves past the last byte of the target.
    #[inline]
    pub(crate) fn advance(&mut self, buffer: &[u8]) {
        if self.agreed != 0 {
            if buffer[self.at] == buffer[buffer.len() - 1] {
                self.agreed += 1;
                self.at += 1;
            } else {
                self.agreed = 0;
            }
        }
    }

    /// Moves past the last `len` bytes of the target if all of them were as recalled.
    pub(crate) fn skip(&mut self, buffer: &[u8], len: usize) {
        if self.agreed != 0 && buffer[self.at..][..len] == buffer[buffer.len() - len..] {
            self.agreed += len;
            self.at += len;
        } else {
            self.agreed = 0;
        }
    }
}

/// A class for the number of agreeing bytes, from 0 to 4.
#[inline]
pub(crate) fn agreed_class(agreed: usize) -> u32 {
    match agreed {
        0 => 0,
        1..=7 => 1,
        8..=15 => 2,
        16..=31 => 3,
        _ => 4,
    }
}
