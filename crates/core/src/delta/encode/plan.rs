//! Plans: how a region can be encoded, as values. The encoder compares candidates with [`Goal::better_of`].
//!
//! A candidate is a plan whose length was estimated ([`RankedPlan`]), or regions that are already written
//! ([`Encoded`]). Dense regions and targets of several regions are compared as written regions, because nothing cheaper
//! tells how long they become.

#[cfg(doc)]
use super::context::Context;
use super::options::Codec;
use crate::delta::dense::encode::EncodedDense;
use crate::delta::ops::Op;
use crate::delta::substitution::script::SubstitutionScript;

/// The part of the target that one region makes.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) end: u64,
    /// The basis position after the last copy before the region.
    pub(super) position: u64,
}

impl Span {
    pub(super) fn len(self) -> u64 {
        self.end - self.start
    }
}

/// How to encode one region.
pub(super) struct RegionPlan {
    pub(super) span: Span,
    pub(super) method: Method,
}

pub(super) enum Method {
    /// Copies, and compressed new bytes.
    Copies(Vec<Op>),
    /// Copies in which tokens are replaced.
    Substitution(SubstitutionScript),
    /// The decisions of the dense model, which are already written.
    Dense(EncodedDense),
}

impl RegionPlan {
    pub(super) fn copies(ops: Vec<Op>, span: Span) -> RegionPlan {
        RegionPlan { span, method: Method::Copies(ops) }
    }

    /// The basis position after the region's last copy.
    pub(super) fn end_position(&self) -> u64 {
        let ops: &[Op] = match &self.method {
            Method::Copies(ops) => ops,
            Method::Substitution(script) => &script.ops,
            Method::Dense(_) => &[],
        };
        ops.last().map_or(self.span.position, |op| op.copy.end)
    }

    /// Nanoseconds that a browser needs to decode the region, beyond copying.
    pub(super) fn nanoseconds(&self) -> u64 {
        match &self.method {
            Method::Copies(_) => 0,
            Method::Substitution(script) => script.nanoseconds,
            Method::Dense(dense) => dense.nanoseconds,
        }
    }
}

/// A plan, and about how many bytes its region takes.
pub(super) struct RankedPlan {
    pub(super) plan: RegionPlan,
    pub(super) bytes: usize,
}

/// Encoded regions.
pub(super) struct Encoded {
    pub(super) bytes: Vec<u8>,
    /// The nanoseconds that a browser needs to decode the regions, beyond copying.
    pub(super) nanoseconds: u64,
    /// The bytes that count for [`Context::compressed`].
    pub(super) compressed: u64,
}

/// What a receiver pays for a region: bytes to transfer, and nanoseconds to decode them.
#[derive(Clone, Copy)]
pub(super) struct RegionCost {
    bytes: usize,
    nanoseconds: u64,
}

impl RegionCost {
    /// The cost of copies and new bytes, whose decoding time does not count.
    pub(super) fn of_copies(bytes: usize) -> RegionCost {
        RegionCost { bytes, nanoseconds: 0 }
    }
}

/// A candidate that has a cost.
pub(super) trait HasCost {
    fn cost(&self) -> RegionCost;
}

impl HasCost for RankedPlan {
    fn cost(&self) -> RegionCost {
        RegionCost { bytes: self.bytes, nanoseconds: self.plan.nanoseconds() }
    }
}

impl HasCost for Encoded {
    fn cost(&self) -> RegionCost {
        RegionCost { bytes: self.bytes.len(), nanoseconds: self.nanoseconds }
    }
}

/// What the encoder minimizes.
#[derive(Clone, Copy)]
pub(super) enum Goal {
    FewestBytes,
    /// The time until the bytes have come over a link with this many bits per second and are decoded.
    LeastTime {
        bits_per_second: u64,
    },
}

impl Goal {
    pub(super) fn of(codec: Codec) -> Goal {
        match codec {
            Codec::Auto { bits_per_second } => Goal::LeastTime { bits_per_second: bits_per_second.max(1).into() },
            Codec::Fast | Codec::Dense => Goal::FewestBytes,
        }
    }

    /// The candidate that costs less; the first one if both cost the same.
    ///
    /// Every choice between two methods is made here, or by [`prefers`](Goal::prefers) and
    /// [`clearly_prefers`](Goal::clearly_prefers).
    pub(super) fn better_of<T: HasCost>(self, first: T, second: T) -> T {
        if self.prefers(second.cost(), first.cost()) { second } else { first }
    }

    /// Whether `this` costs less than `other`.
    pub(super) fn prefers(self, this: RegionCost, other: RegionCost) -> bool {
        self.weigh(this) < self.weigh(other)
    }

    /// Whether `this` costs at least a fifth less than `other`, so that a closer look at both is not worth its time.
    pub(super) fn clearly_prefers(self, this: RegionCost, other: RegionCost) -> bool {
        5 * self.weigh(this) < 4 * self.weigh(other)
    }

    fn weigh(self, cost: RegionCost) -> u64 {
        match self {
            Goal::FewestBytes => cost.bytes as u64,
            Goal::LeastTime { bits_per_second } => {
                cost.bytes as u64 * 8 * 1_000_000_000 / bits_per_second + cost.nanoseconds
            }
        }
    }
}
