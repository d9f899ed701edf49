//! Guide.

use crate::delta::arithmetic::{DecisionCoder, DecisionReader};

/// Where the model's decisions go, or where they come from.
pub(super) trait GuidedCoder: DecisionCoder {
    /// What an encoder follows; a decoder knows nothing.
    fn guide(&self) -> Option<&Guide<'_>>;
}

/// What an encoder knows of the target, and where it wants the pointer.
pub(super) struct Guide<'a> {
    pub(super) target: &'a [u8],
    /// The window position that corresponds to each of the target's; `u32::MAX` inside of words.
    pub(super) places: &'a [u32],
}

impl GuidedCoder for DecisionReader {
    fn guide(&self) -> Option<&Guide<'_>> {
        None
    }
}
