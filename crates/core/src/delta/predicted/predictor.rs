//! The model: makes one byte after the other, on both sides.

use super::decision::Decisions;
use super::offers::{OFFERS, Offers};
use crate::delta::adaptive::hash;
use crate::delta::arithmetic::{DecisionCoder, DecisionReader};
use crate::delta::error::DecodeError;

/// The numbers of bytes that the three contexts of a byte have, the longest first.
const ORDERS: [usize; 3] = [5, 3, 2];
/// A place is recalled if so many bytes before it are equal.
const RECALLED: usize = 8;
/// The most bytes before a place that are compared.
const MAX_COMPARED: usize = 40;
/// log2 of the fewest and of the most places of a table.
const TABLE_BITS: (u32, u32) = (10, 18);
/// The source of the recalled byte's decision. The sources of the others are three times the order's place, plus the rank.
const RECALL: usize = ORDERS.len() * OFFERS;
/// Contexts of the first probability: for the offers of orders, and for the recalled byte.
const BY_COUNT: usize = RECALL * 256 + 22 * 4;
/// log2 of the contexts that are hashes.
const HASHED: u32 = 16;

/// Where decisions go; nowhere while the model learns the basis.
struct Coder<'a, C>(Option<&'a mut C>);

impl<C: DecisionCoder> DecisionCoder for Coder<'_, C> {
    #[inline]
    fn code(&mut self, probability: u16, bit: bool) -> bool {
        self.0.as_mut().map_or(bit, |coder| coder.code(probability, bit))
    }
}

pub(crate) struct Predictor {
    /// The prefix, and the new bytes, with what stands before each gap.
    buffer: Vec<u8>,
    bits: u32,
    tables: [Vec<Offers>; 3],
    /// The positions in the buffer behind the same 8 bytes, by a hash of them.
    places: Vec<u32>,
    recalled: usize,
    /// How many bytes before the recalled position are equal to the last ones; 0 if there is none.
    agreed: usize,
    /// The last 8 bytes before a gap that has not begun.
    before: Option<[u8; RECALLED]>,
    /// Two bits for the last two bytes: whether they were the recalled byte or an offer of the longest order.
    outcomes: usize,
    /// Decisions so far, also those that were only learned.
    decisions: u64,
    offers: Decisions,
    letters: Decisions,
}

/// Bytes that are wrong, as 256 bits.
#[derive(Default)]
struct Excluded([u64; 4]);

impl Excluded {
    #[inline]
    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    #[inline]
    fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }
}

/// A class of counts, from 0 to 7.
#[inline]
fn class(count: u32) -> usize {
    match count {
        0..=3 => count as usize,
        4..=5 => 4,
        6..=9 => 5,
        10..=20 => 6,
        _ => 7,
    }
}

/// A hash of the last `len` bytes, which are the upper bytes of `tail`.
#[inline]
fn context(tail: u64, len: usize) -> u64 {
    (tail >> (64 - 8 * len)).wrapping_add(len as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Predictor {
    /// A model for so many new bytes, which has learned from the prefix. `C` is the coder of the new
    /// bytes: with its type, learning and coding are the same machine code.
    pub(crate) fn new<C: DecisionCoder>(prefix: &[u8], new_bytes: u64) -> Predictor {
        let len = (prefix.len() as u64).saturating_add(new_bytes);
        let bits = (u64::BITS - len.leading_zeros()).clamp(TABLE_BITS.0, TABLE_BITS.1);
        let mut buffer = Vec::with_capacity(RECALLED + prefix.len());
        buffer.resize(RECALLED, 0);
        let mut predictor = Predictor {
            buffer,
            bits,
            tables: [(); 3].map(|()| vec![Offers::default(); 1 << bits]),
            places: vec![0; 1 << bits],
            recalled: 0,
            agreed: 0,
            before: None,
            outcomes: 0,
            decisions: 0,
            offers: Decisions::new([BY_COUNT, 1 << HASHED, 1 << HASHED], (RECALL + 1) * 16),
            letters: Decisions::new([256, 1 << 16, 1 << HASHED], 8),
        };
        prefix.iter().for_each(|byte| {
            predictor.next(&mut Coder(None::<&mut C>), *byte);
        });
        predictor.before = Some([0; RECALLED]);
        predictor
    }

    /// As [`new`](Predictor::new): receivers that do not know the codec refuse.
    pub(crate) fn for_receiver(prefix: &[u8], new_bytes: u64) -> Result<Predictor, DecodeError> {
        Ok(Predictor::new::<DecisionReader>(prefix, new_bytes))
    }

    /// How many decisions the model made so far, also while it learned from the prefix.
    #[cfg(feature = "encode")]
    pub(crate) fn decisions(&self) -> u64 {
        self.decisions
    }

    /// Takes bytes of the target that a copy made.
    pub(crate) fn pass(&mut self, bytes: &[u8]) {
        let mut before = self.before.unwrap_or(self.tail().to_le_bytes());
        let len = bytes.len().min(RECALLED);
        before.copy_within(len.., 0);
        before[RECALLED - len..].copy_from_slice(&bytes[bytes.len() - len..]);
        self.before = Some(before);
    }

    /// Codes a new byte. An encoder passes the byte that it wants.
    #[inline]
    pub(crate) fn code(&mut self, coder: &mut impl DecisionCoder, wanted: u8) -> u8 {
        if let Some(before) = self.before.take() {
            self.buffer.extend_from_slice(&before);
            self.agreed = 0;
            self.recall();
        }
        self.next(&mut Coder(Some(coder)), wanted)
    }

    /// The last 8 bytes, the last one highest.
    #[inline]
    fn tail(&self) -> u64 {
        self.buffer.last_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
    }

    fn next(&mut self, coder: &mut impl DecisionCoder, wanted: u8) -> u8 {
        let tail = self.tail();
        let mut places = [0; 3];
        let mut offers = [Offers::default(); 3];
        for (order, len) in ORDERS.into_iter().enumerate() {
            let context = context(tail, len);
            places[order] = (context >> (64 - self.bits)) as usize;
            offers[order] = self.tables[order][places[order]].of((context >> 16) as u16 | 1);
        }
        let (byte, longest) = self.offered(coder, &offers, tail, wanted);
        self.outcomes = self.outcomes << 1 & 3 | usize::from(longest == 0);
        for order in 0..=longest.min(ORDERS.len() - 1) {
            offers[order].learn(byte);
            self.tables[order][places[order]] = offers[order];
        }
        self.append(byte);
        byte
    }

    /// Codes a byte as one of the offers, or by its bits. Returns the byte, and the place of the order that offered it: 0
    /// also for a recalled byte, 3 if none did.
    fn offered(&mut self, coder: &mut impl DecisionCoder, offers: &[Offers; 3], tail: u64, wanted: u8) -> (u8, usize) {
        let mut excluded = Excluded::default();
        if self.agreed != 0 {
            let byte = self.buffer[self.recalled];
            let more = self.agreed - RECALLED;
            let more = if more < 16 { more } else { (14 + more / 8).min(21) };
            let verdict = verdict(offers, byte);
            if self.offer(coder, RECALL, RECALL * 256 + more * 4 + verdict, verdict, byte, tail, wanted) {
                return (byte, 0);
            }
            excluded.insert(byte);
        }
        for (order, context) in offers.iter().enumerate() {
            let mut others = context.total();
            for rank in 0..OFFERS {
                let (byte, count) = context.get(rank);
                others -= count;
                if count == 0 {
                    break;
                }
                if excluded.contains(byte) {
                    continue;
                }
                let verdict = verdict(&offers[order + 1..], byte);
                let source = order * OFFERS + rank;
                let counts = source * 256 + class(count) * 32 + class(others) * 4 + verdict;
                if self.offer(coder, source, counts, verdict, byte, tail, wanted) {
                    return (byte, order);
                }
                excluded.insert(byte);
            }
        }
        (self.spell(coder, tail, wanted), ORDERS.len())
    }

    /// Codes whether an offer is right.
    #[inline]
    #[expect(clippy::too_many_arguments, reason = "all of them are contexts of one decision")]
    fn offer(
        &mut self,
        coder: &mut impl DecisionCoder,
        source: usize,
        counts: usize,
        verdict: usize,
        byte: u8,
        tail: u64,
        wanted: u8,
    ) -> bool {
        self.decisions += 1;
        let last = (tail >> 56) as u32;
        let by_last = hash(source as u32, u32::from(byte) << 8 | last);
        let by_two = hash(by_last, (tail >> 48) as u32 & 255);
        let contexts = [counts, (by_last >> (32 - HASHED)) as usize, (by_two >> (32 - HASHED)) as usize];
        self.offers.code(coder, contexts, source * 16 + verdict * 4 + self.outcomes, byte == wanted)
    }

    /// Codes a byte bit by bit, the highest first.
    fn spell(&mut self, coder: &mut impl DecisionCoder, tail: u64, wanted: u8) -> u8 {
        let last = (tail >> 56) as usize;
        let two = hash((tail >> 48) as u32, 5);
        self.decisions += 8;
        let mut node = 1;
        for at in (0..8).rev() {
            let contexts = [node, last << 8 | node, (hash(two, node as u32) >> (32 - HASHED)) as usize];
            let bit = self.letters.code(coder, contexts, at, wanted >> at & 1 == 1);
            node = node << 1 | usize::from(bit);
        }
        node as u8
    }

    fn append(&mut self, byte: u8) {
        if self.agreed != 0 && self.buffer[self.recalled] == byte {
            self.recalled += 1;
            self.agreed += 1;
        } else {
            self.agreed = 0;
        }
        self.buffer.push(byte);
        self.recall();
    }

    /// Looks for a place to recall if there is none, and remembers the buffer's end.
    fn recall(&mut self) {
        let context = context(self.tail(), RECALLED);
        let place = &mut self.places[(context >> (64 - self.bits)) as usize];
        if self.agreed == 0 && *place != 0 {
            let (found, end) = (*place as usize, self.buffer.len());
            let compared = self.buffer[..found].iter().rev().zip(self.buffer[..end].iter().rev()).take(MAX_COMPARED);
            let agreed = compared.take_while(|(then, now)| then == now).count();
            if RECALLED <= agreed {
                (self.recalled, self.agreed) = (found, agreed);
            }
        }
        *place = self.buffer.len() as u32;
    }
}

/// What the first of some contexts with an offer says of a byte: 0 if none has one, 1 if a later one offers it, 2 if the
/// first one does, 3 if the byte is another.
#[inline]
fn verdict(contexts: &[Offers], byte: u8) -> usize {
    match contexts.iter().position(|context| context.first().is_some()) {
        None => 0,
        Some(at) if contexts[at].first() == Some(byte) => 1 + usize::from(at == 0),
        Some(_) => 3,
    }
}
