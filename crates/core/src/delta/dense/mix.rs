//! Predicts one bit from many contexts: logistic mixing of adaptive probabilities (Mahoney 2005, "Adaptive Weighing of
//! Context Models for Lossless Data Compression"). All of it uses integers, so every machine computes the same bits.
//!
//! Probabilities and their stretches are as in [`curves`](crate::delta::curves).

use crate::delta::adaptive::{Counter, RATES};
use crate::delta::curves::Curves;

/// A slot holds what a context has seen: a probability (16 bits), the last seven bits behind a leading one (8 bits),
/// and a count (8 bits). The last bits index what followed the same bits in other contexts.
///
/// Slots are stored XORed with this value, so that a new slot is 0 and fresh memory need not be written.
const NEW_SLOT: u32 = 0x8000_0100;
/// After this many observations, the probability of a slot adapts at a constant rate.
const SLOT_LIMIT: u32 = 30;
/// The factor by which an error moves the weights of a set, in 32nds.
const RATE: i32 = 14;
/// The factor by which an error moves the final weights, which weigh the sets, in 16ths.
const FINAL_RATE: i32 = 3;

/// The most contexts of a mixture.
const MAX_CONTEXTS: usize = 13;
/// Bytes of a line of the processor's cache.
const LINE: usize = 64;
/// The number of inputs that are mixed at once.
const LANES: usize = 8;
/// The most inputs of a mixture. A multiple of [`LANES`].
const MAX_INPUTS: usize = 32;

/// Predicts one kind of bit from contexts, and from some inputs that the caller computes.
pub(crate) struct Mixture {
    contexts: usize,
    slot_bits: u32,
    group: usize,
    /// From `first_slot` on, so that the slots of a group lie in one line of the processor's cache.
    slots: Vec<u32>,
    first_slot: usize,
    histories: Vec<Counter>,
    places: [usize; MAX_CONTEXTS],
    /// The caller's inputs, two inputs for each context, and zeros up to a multiple of [`LANES`].
    inputs: [i16; MAX_INPUTS],
    width: usize,
    weights: Vec<i16>,
    chosen: [usize; 3],
    set_starts: [usize; 3],
    outputs: [i32; 3],
    stretches: [i32; 3],
    last: Vec<[i32; 3]>,
    last_chosen: usize,
    final_output: i32,
}

impl Mixture {
    /// A mixture with weight sets in three groups of these sizes. Each set begins with `weights`, one weight for each
    /// input.
    pub(crate) fn new(contexts: usize, slot_bits: u32, group_bits: u32, sets: [usize; 3], weights: &[i16]) -> Mixture {
        let by_history: Vec<Counter> = (0..256u32).map(first_guess).collect();
        let width = weights.len().next_multiple_of(LANES);
        let mut set = weights.to_vec();
        set.resize(width, 0);
        let slots = vec![0; (contexts << slot_bits) + LINE / size_of::<u32>()];
        // The place says how fast the slots are found, and nothing else.
        let first_slot = slots.as_ptr().align_offset(LINE).min(LINE / size_of::<u32>());
        Mixture {
            contexts,
            slot_bits,
            group: 1 << group_bits,
            slots,
            first_slot,
            histories: by_history.repeat(contexts),
            places: [0; MAX_CONTEXTS],
            inputs: [0; MAX_INPUTS],
            width,
            weights: set.repeat(sets.iter().sum()),
            chosen: [0; 3],
            set_starts: [0, sets[0], sets[0] + sets[1]],
            outputs: [0; 3],
            stretches: [0; 3],
            last: vec![[65_536 / 3; 3]; sets[0]],
            last_chosen: 0,
            final_output: 0,
        }
    }

    /// Finds the slots of the contexts. Each context has slots for four bits; [`predict`](Mixture::predict) chooses
    /// among them.
    #[inline]
    pub(crate) fn find(&mut self, contexts: &[u32]) {
        // Read all check values before the first is used: they lie far apart in memory, and the processor can wait for
        // them together.
        let mut checks = [(0, 0); MAX_CONTEXTS];
        for (k, context) in contexts.iter().enumerate() {
            self.places[k] = self.place(k, *context);
            checks[k] = (self.slots[self.places[k]], check(*context));
        }
        for (k, (found, check)) in checks.into_iter().enumerate().take(self.contexts) {
            if found != check {
                self.renew(self.places[k], check);
            }
        }
    }

    #[inline]
    fn place(&self, k: usize, context: u32) -> usize {
        self.first_slot + (k << self.slot_bits) + ((context >> (32 - self.slot_bits)) as usize & !(self.group - 1))
    }

    fn renew(&mut self, place: usize, check: u32) {
        self.slots[place..place + self.group].fill(0);
        self.slots[place] = check;
    }

    /// Predicts a bit and returns the stretch of its probability. `node`, below 16, tells the bits of one context
    /// apart.
    #[inline]
    pub(crate) fn predict<const E: usize>(
        &mut self,
        curves: &Curves,
        node: usize,
        extra: &[i16; E],
        sets: [usize; 3],
    ) -> i32 {
        self.inputs[..E].copy_from_slice(extra);
        let pairs = self.inputs[E..].as_chunks_mut::<2>().0;
        for (k, (place, pair)) in self.places[..self.contexts].iter_mut().zip(pairs).enumerate() {
            *place = ((*place - self.first_slot) & !(self.group - 1) | node) + self.first_slot;
            let slot = self.slots[*place] ^ NEW_SLOT;
            let own = if slot & 255 == 0 { 0 } else { curves.stretch(slot >> 16) };
            *pair = [own, curves.stretch(self.histories[k << 8 | (slot >> 8 & 255) as usize].probability())];
        }
        for (which, set) in sets.into_iter().enumerate() {
            let start = (self.set_starts[which] + set) * self.width;
            self.chosen[which] = start;
            let dot = dot(&self.weights[start..start + self.width], &self.inputs[..self.width]);
            let output = (dot >> 14).clamp(-2047, 2047);
            self.outputs[which] = curves.squash(output);
            self.stretches[which] = output;
        }
        self.last_chosen = sets[0];
        let dot: i32 =
            self.stretches.iter().zip(&self.last[sets[0]]).map(|(input, weight)| input * (weight >> 2)).sum();
        let output = (dot >> 14).clamp(-2047, 2047);
        self.final_output = curves.squash(output);
        output
    }

    /// Learns the bit that was predicted.
    #[inline]
    pub(crate) fn learn(&mut self, bit: bool) {
        let wanted = if bit { 65_535 } else { 0 };
        for (start, output) in self.chosen.into_iter().zip(self.outputs) {
            let error = (((wanted - output) * RATE) >> 5) as i16;
            train(&mut self.weights[start..start + self.width], &self.inputs[..self.width], error);
        }
        let error = ((wanted - self.final_output) * FINAL_RATE) >> 4;
        for (weight, input) in self.last[self.last_chosen].iter_mut().zip(&self.stretches) {
            *weight = (*weight + ((input * error + 0x2000) >> 14)).clamp(-(1 << 18), 1 << 18);
        }
        for k in 0..self.contexts {
            self.see(k, self.places[k], bit);
        }
    }

    #[inline]
    fn see(&mut self, k: usize, place: usize, bit: bool) {
        let slot = self.slots[place];
        self.histories[k << 8 | ((slot ^ NEW_SLOT) >> 8 & 255) as usize].learn(bit, 255);
        self.slots[place] = learned(slot, bit);
    }

    /// Teaches some contexts, each named once, the four bits that follow them, without a prediction.
    #[inline]
    pub(crate) fn show<const N: usize>(&mut self, contexts: [(usize, u32); N], bits: u8) {
        let places = contexts.map(|(k, context)| (self.place(k, context), check(context)));
        let found = places.map(|(place, _)| self.slots[place]);
        for (((k, _), (place, check)), found) in contexts.into_iter().zip(places).zip(found) {
            if found != check {
                self.renew(place, check);
            }
            for at in 0..4 {
                let node = 1 << at | usize::from(bits >> (4 - at));
                self.see(k, place + node, bits >> (3 - at) & 1 == 1);
            }
        }
    }
}

/// The check value that tells contexts in one place apart; never 0.
#[inline]
fn check(context: u32) -> u32 {
    context & 0xffff | 1
}

#[inline]
fn dot(weights: &[i16], inputs: &[i16]) -> i32 {
    weights.iter().zip(inputs).map(|(weight, input)| i32::from(*weight) * i32::from(*input)).sum()
}

#[inline]
fn train(weights: &mut [i16], inputs: &[i16], error: i16) {
    for (weight, input) in weights.iter_mut().zip(inputs) {
        let step = (i32::from(*input) * i32::from(error) + 0x4000) >> 15;
        *weight = weight.saturating_add(step as i16);
    }
}

/// A stored slot after one more bit.
#[inline]
fn learned(slot: u32, bit: bool) -> u32 {
    let slot = slot ^ NEW_SLOT;
    let (p, history, n) = ((slot >> 16) as i32, slot >> 8 & 255, slot & 255);
    let wanted = if bit { 65_535 } else { 0 };
    let p = p + (((wanted - p) * (RATES[n as usize] >> 2)) >> 14);
    let longer = history << 1 | u32::from(bit);
    let history = if longer < 256 { longer } else { longer & 127 | 128 };
    ((p as u32) << 16 | history << 8 | (n + 1).min(SLOT_LIMIT)) ^ NEW_SLOT
}

/// The probability of a new history: the bit stays as it was, and the latest bits count most.
fn first_guess(history: u32) -> Counter {
    let mut p = 32_768;
    for at in (0..history.max(1).ilog2()).rev() {
        let wanted = if history >> at & 1 == 1 { 65_535 } else { 0 };
        p += (wanted - p) * 3 / 5;
    }
    Counter::at(p.clamp(1_311, 64_224) as u16)
}

/// Corrects a probability by the bits that followed similar probabilities in the same context.
pub(crate) struct Correction {
    cells: Vec<u16>,
    chosen: usize,
}

impl Correction {
    pub(crate) fn new(curves: &Curves, contexts: usize) -> Correction {
        let row: Vec<u16> = (0..33).map(|at| curves.squash((at - 16) * 128) as u16).collect();
        Correction { cells: row.repeat(contexts), chosen: 0 }
    }

    #[inline]
    pub(crate) fn refine(&mut self, stretch: i32, context: usize) -> i32 {
        let at = (stretch + 2048) as usize;
        let (cell, rest) = (context * 33 + (at >> 7), (at & 127) as i32);
        self.chosen = cell + usize::from(64 < rest);
        (i32::from(self.cells[cell]) * (128 - rest) + i32::from(self.cells[cell + 1]) * rest) >> 7
    }

    #[inline]
    pub(crate) fn learn(&mut self, bit: bool) {
        let cell = &mut self.cells[self.chosen];
        let wanted = if bit { 65_535 } else { 0 };
        *cell = (i32::from(*cell) + ((wanted - i32::from(*cell)) >> 6)) as u16;
    }
}
