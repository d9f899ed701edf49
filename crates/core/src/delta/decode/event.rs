use std::ops::Range;

/// What a [`Decoder`](crate::Decoder) needs or gives out. The decoder has an example.
///
/// This enum is exhaustive on purpose. A caller that skips an event loses output or waits forever, so a new event must
/// be a compile error in each caller.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The decoder needs more of the delta: call [`Decoder::handle_input`](crate::Decoder::handle_input) or [`Decoder::handle_end`](crate::Decoder::handle_end).
    NeedInput,
    /// The decoder needs this range of the basis, at most 1 MiB: call [`Decoder::handle_basis`](crate::Decoder::handle_basis).
    NeedBasis(Range<u64>),
    /// The next bytes of the target, verified. They are at most one group.
    Output(&'a [u8]),
    /// The whole target was given out, and the delta ended where it should.
    Done,
    /// The receiver holds the head already: it is the version that the receiver named.
    Same,
}
