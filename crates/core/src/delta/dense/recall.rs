//! Recalling what followed the same bytes before: a pointer at the latest place where they stood, among what was coded and what was shown.

use crate::delta::adaptive::hash;

/// The least that must agree before a place is taken.
const MIN_AGREED: usize = 5;
const MAX_AGREED: usize = 40;

pub(crate) struct Recall {
    bits: u32,
    short: Vec<u32>,
    long: Vec<u32>,
    at: usize,
    /// Bytes before it that agree with the target's end; 0 is no place at all.
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

    /// Remembers that the bytes before `at` stood there.
    #[inline]
    pub(crate) fn remember(&mut self, buffer: &[u8], at: usize) {
        let (short, long) = tail(buffer, at, self.bits);
        self.short[short] = at as u32;
        self.long[long] = at as u32;
    }

    pub(crate) fn forget_place(&mut self) {
        self.agreed = 0;
    }

    /// Looks for a place if there is none, and remembers the end.
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

    /// Moves on over the target's last byte.
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

    /// Moves on over the target's last bytes, if all of them are as recalled.
    pub(crate) fn skip(&mut self, buffer: &[u8], len: usize) {
        if self.agreed != 0 && buffer[self.at..][..len] == buffer[buffer.len() - len..] {
            self.agreed += len;
            self.at += len;
        } else {
            self.agreed = 0;
        }
    }
}

/// How much agrees, in five classes.
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
