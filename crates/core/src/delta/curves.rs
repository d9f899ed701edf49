//! The logistic function and its inverse, in integers, so that every machine computes the same bits.
//!
//! A probability is in 65,536ths. Its stretch is ln(p / (1 - p)) in 256ths, from -2047 to 2047.

use std::sync::LazyLock;

/// The logistic function at stretches of -2048, -1920, ... 2048.
const KNOTS: [i32; 33] = [
    22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971, 7812, 11955, 17625, 24743, 32768, 40793, 47911, 53581,
    57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500, 65514,
];

pub(crate) struct Curves {
    squash: [u16; 4096],
    stretch: [i16; 4096],
}

pub(crate) static CURVES: LazyLock<Curves> = LazyLock::new(|| {
    let mut curves = Curves { squash: [0; 4096], stretch: [0; 4096] };
    for (at, value) in curves.squash.iter_mut().enumerate() {
        let (knot, rest) = (at >> 7, (at & 127) as i32);
        *value = ((KNOTS[knot] * (128 - rest) + KNOTS[knot + 1] * rest) >> 7) as u16;
    }
    let mut at = 1;
    for (high, value) in curves.stretch.iter_mut().enumerate() {
        // The middle of the 16 probabilities that share these upper bits.
        while at < 4095 && usize::from(curves.squash[at]) < high * 16 + 8 {
            at += 1;
        }
        *value = at as i16 - 2048;
    }
    curves
});

impl Curves {
    /// The probability of a stretch.
    #[inline]
    pub(crate) fn squash(&self, stretch: i32) -> i32 {
        i32::from(self.squash[(stretch.clamp(-2047, 2047) + 2048) as usize])
    }

    /// The stretch of a probability.
    #[inline]
    pub(crate) fn stretch(&self, probability: u32) -> i16 {
        self.stretch[(probability >> 4) as usize & 4095]
    }
}
