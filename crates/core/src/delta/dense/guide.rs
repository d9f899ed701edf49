//! What an encoder tells the model about the target.

use crate::delta::arithmetic::{DecisionCoder, DecisionReader};

/// Writes or reads the decisions of a model. A writer also has a guide.
pub(super) trait GuidedCoder: DecisionCoder {
    /// The encoder's guide; `None` for a decoder.
    fn guide(&self) -> Option<&Guide<'_>>;
}

/// The target, and where the encoder wants the pointer.
pub(super) struct Guide<'a> {
    pub(super) target: &'a [u8],
    /// For each target position, the window position that corresponds to it; `u32::MAX` inside words.
    pub(super) places: &'a [u32],
}

impl GuidedCoder for DecisionReader {
    fn guide(&self) -> Option<&Guide<'_>> {
        None
    }
}
