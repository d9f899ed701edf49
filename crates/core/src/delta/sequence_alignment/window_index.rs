//! An index of windows of tokens: where the same tokens stand on the other side.

use super::tokens::TokenSequence;

/// log2 of the greatest number of buckets in an index.
pub(super) const MAX_BUCKET_BITS: u32 = 24;
/// The multiplier of the rolling hash of token windows.
const FACTOR: u64 = 0xbf58_476d_1ce4_e5b9;

/// Token windows of one width, hashed into buckets.
#[derive(Clone, Copy)]
struct TokenWindows {
    width: usize,
    bits: u32,
    view: fn(u32) -> u32,
}

impl TokenWindows {
    /// The bucket of each window in turn, by a rolling hash (Karp and Rabin 1987).
    fn buckets(self, codes: &[u32]) -> impl Iterator<Item = usize> {
        let leaving = FACTOR.wrapping_pow(self.width as u32);
        let first = (self.width <= codes.len()).then(|| self.sum(codes));
        let next = codes.get(self.width..).unwrap_or_default();
        let rolled = next.iter().zip(codes).scan(first.unwrap_or(0), move |sum, (new, old)| {
            *sum = self.append(*sum, *new).wrapping_sub(u64::from((self.view)(*old)).wrapping_mul(leaving));
            Some(*sum)
        });
        first.into_iter().chain(rolled).map(move |sum| self.spread(sum))
    }

    /// The bucket of the window that begins with these codes.
    fn bucket(self, codes: &[u32]) -> usize {
        self.spread(self.sum(codes))
    }

    fn sum(self, codes: &[u32]) -> u64 {
        codes[..self.width].iter().fold(0, |sum, code| self.append(sum, *code))
    }

    fn append(self, sum: u64, code: u32) -> u64 {
        sum.wrapping_mul(FACTOR).wrapping_add(u64::from((self.view)(code)))
    }

    fn spread(self, sum: u64) -> usize {
        ((sum ^ sum >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - self.bits)) as usize
    }
}

/// The positions of token windows, in ascending order in each bucket.
pub(super) struct WindowIndex {
    windows: TokenWindows,
    ends: Vec<u32>,
    places: Vec<u32>,
}

impl WindowIndex {
    pub(super) fn new(tokens: &TokenSequence, width: usize, view: fn(u32) -> u32) -> WindowIndex {
        let count = (tokens.codes.len() + 1).saturating_sub(width);
        let bits = (count.max(2).ilog2() + 1).min(MAX_BUCKET_BITS);
        let windows = TokenWindows { width, bits, view };
        // Sort by the upper bits of the buckets, then each part by the lower bits, so that writes stay in the cache.
        let lower = bits / 2;
        let mut parts = vec![0; (1 << (bits - lower)) + 1];
        windows.buckets(&tokens.codes).for_each(|bucket| parts[(bucket >> lower) + 1] += 1);
        accumulate(&mut parts);
        let (mut places, mut rests) = (vec![0; count], vec![0u16; count]);
        let mut next = parts.clone();
        for (at, bucket) in windows.buckets(&tokens.codes).enumerate() {
            let place = &mut next[bucket >> lower];
            places[*place] = at as u32;
            rests[*place] = (bucket & ((1 << lower) - 1)) as u16;
            *place += 1;
        }
        let mut ends = Vec::with_capacity((1 << bits) + 1);
        ends.push(0);
        for part in parts.windows(2).map(|part| part[0]..part[1]) {
            let mut next = vec![0; (1 << lower) + 1];
            rests[part.clone()].iter().for_each(|rest| next[usize::from(*rest) + 1] += 1);
            accumulate(&mut next);
            ends.extend(next[1..].iter().map(|end| (part.start + end) as u32));
            let unsorted = places[part.clone()].to_vec();
            for (at, rest) in unsorted.iter().zip(&rests[part.clone()]) {
                let place = &mut next[usize::from(*rest)];
                places[part.start + *place] = *at;
                *place += 1;
            }
        }
        WindowIndex { windows, ends, places }
    }

    /// At most four positions in the bucket of the window that begins with these codes: the nearest to `wished`.
    pub(super) fn near(&self, codes: &[u32], wished: usize) -> &[u32] {
        if codes.len() < self.windows.width {
            return &[];
        }
        let bucket = self.windows.bucket(codes);
        let places = &self.places[self.ends[bucket] as usize..self.ends[bucket + 1] as usize];
        let middle = places.partition_point(|place| (*place as usize) < wished);
        &places[middle.saturating_sub(2)..places.len().min(middle + 2)]
    }
}

/// Replaces counts by their running sums.
fn accumulate(counts: &mut [usize]) {
    (1..counts.len()).for_each(|at| counts[at] += counts[at - 1]);
}
