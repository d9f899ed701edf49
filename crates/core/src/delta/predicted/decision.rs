//! The probability of a decision: a mixture of three adaptive probabilities.

use crate::delta::adaptive::Counter;
use crate::delta::arithmetic::DecisionCoder;
use crate::delta::curves::{CURVES, Curves};

/// The weights of the three probabilities, and of a constant, at first. 65,536 is a weight of one.
const FIRST_WEIGHTS: [i32; 4] = [22_000, 22_000, 22_000, 0];
/// The bound of a weight, both ways, so that sums of products fit into 32 bits.
const MAX_WEIGHT: i32 = 1 << 17;
/// The constant input, beside the stretches of the probabilities.
const CONSTANT: i32 = 256;
/// The factor by which an error moves the weights.
const RATE: i32 = 3;
/// A counter's steps shrink until it has observed so many decisions.
const LIMIT: u32 = 250;

/// Codes decisions of one kind.
pub(super) struct Decisions {
    curves: &'static Curves,
    counters: [Vec<Counter>; 3],
    weights: Vec<[i32; 4]>,
}

impl Decisions {
    /// With so many contexts for each of the three probabilities, and so many sets of weights.
    pub(super) fn new(contexts: [usize; 3], sets: usize) -> Decisions {
        Decisions {
            curves: &CURVES,
            counters: contexts.map(|count| vec![Counter::EVEN; count]),
            weights: vec![FIRST_WEIGHTS; sets],
        }
    }

    /// Codes one decision and learns it.
    pub(super) fn code(
        &mut self,
        coder: &mut impl DecisionCoder,
        contexts: [usize; 3],
        set: usize,
        wanted: bool,
    ) -> bool {
        let [first, second, third] = &mut self.counters;
        let counters = [&mut first[contexts[0]], &mut second[contexts[1]], &mut third[contexts[2]]];
        let stretch = |counter: &Counter| i32::from(self.curves.stretch(counter.probability()));
        let inputs = [stretch(counters[0]), stretch(counters[1]), stretch(counters[2]), CONSTANT];
        let weights = &mut self.weights[set];
        let sum: i32 = inputs.iter().zip(&*weights).map(|(input, weight)| input * weight).sum();
        let probability = self.curves.squash(sum >> 16).clamp(32, 65_504);
        let bit = coder.code(probability as u16, wanted);
        let error = (if bit { 65_535 } else { 0 } - probability) * RATE;
        for (weight, input) in weights.iter_mut().zip(inputs) {
            *weight = (*weight + ((input * error + 0x8000) >> 16)).clamp(-MAX_WEIGHT, MAX_WEIGHT);
        }
        counters.into_iter().for_each(|counter| counter.learn(bit, LIMIT));
        bit
    }
}
