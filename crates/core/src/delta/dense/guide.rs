//! Guide.

use crate::delta::arithmetic::{self, Coder};

/// Where the model's decisions go, or where they come from.
pub(super) trait Guided: Coder {
    /// What an encoder follows; a decoder knows nothing.
    fn script(&self) -> Option<&Script<'_>>;
}

/// What an encoder knows of the target, and where it wants the pointer.
pub(super) struct Script<'a> {
    pub(super) target: &'a [u8],
    /// The window position that corresponds to each of the target's; `u32::MAX` inside of words.
    pub(super) guide: &'a [u32],
}

impl Guided for arithmetic::Reader {
    fn script(&self) -> Option<&Script<'_>> {
        None
    }
}
