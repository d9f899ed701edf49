//! What every format of `spec/directory.md` has: its number.

/// The format of manifests, directory deltas and lists of what receivers hold.
pub(super) const FORMAT: u8 = 1;
