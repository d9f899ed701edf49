//! Deltas between files in memory, in one call each.

use crate::delta::{Basis, DecodeError, Decoder, Event, Limits};
#[cfg(feature = "encode")]
use crate::delta::{EncodeError, EncodeOptions, Encoder};
use crate::version::Version;

/// Makes the delta from one file to another.
///
/// For a long target use an [`Encoder`], which gives out the delta piece by piece.
///
/// # Errors
/// Fails if the target is longer than the format can describe, or if the compressor gets no memory.
///
/// ```
/// use driblet_core::{EncodeOptions, diff, patch};
///
/// let (old, new) = (b"one driblet".repeat(99), b"one more driblet".repeat(99));
/// let delta = diff(&old, &new, EncodeOptions::new())?;
/// assert!(delta.len() < 200);
/// assert_eq!(patch(&old, &delta)?, new);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[cfg(feature = "encode")]
pub fn diff(basis: &[u8], target: &[u8], options: EncodeOptions) -> Result<Vec<u8>, EncodeError> {
    let mut encoder = Encoder::new(basis, target, options);
    let mut delta = Vec::new();
    while let Some(bytes) = encoder.poll_output()? {
        delta.extend_from_slice(&bytes);
    }
    Ok(delta)
}

/// Applies a delta to its basis and returns the verified target, within the default [`Limits`].
///
/// The target is as long as the delta says. If you do not trust the delta's author, use [`patch_within`]. For a long
/// target use a [`Decoder`], which gives out the target group by group.
///
/// # Errors
/// Fails if the delta is malformed, if it was made against another basis, or if its target does not verify.
///
/// ```
/// use driblet_core::{DecodeError, patch};
///
/// assert!(matches!(patch(b"basis", b"no delta"), Err(DecodeError::BadMagic { first: b'n', .. })));
/// ```
pub fn patch(basis: &[u8], delta: &[u8]) -> Result<Vec<u8>, DecodeError> {
    patch_within(basis, delta, Limits::new())
}

/// Applies a delta as [`patch`] does, and refuses it if it exceeds the limits.
///
/// # Errors
/// Fails as [`patch`] does, and with [`DecodeError::OverLimit`] before any memory is taken for the target.
///
/// ```
/// # #[cfg(feature = "encode")] {
/// use driblet_core::{DecodeError, EncodeOptions, Limits, diff, patch_within};
///
/// let (old, new) = (b"one driblet".repeat(99), b"one more driblet".repeat(99));
/// let delta = diff(&old, &new, EncodeOptions::new())?;
/// let refused = patch_within(&old, &delta, Limits::new().target(1000));
/// assert!(matches!(refused, Err(DecodeError::OverLimit { max: 1000, .. })));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn patch_within(basis: &[u8], delta: &[u8], limits: Limits) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new(Basis::of(&Version::of(basis), basis.len() as u64), limits);
    decoder.handle_input(delta);
    decoder.handle_end();
    let mut target = Vec::new();
    loop {
        match decoder.poll_event()? {
            Event::NeedBasis(range) => decoder.handle_basis(&basis[range.start as usize..range.end as usize]),
            Event::Output(bytes) => target.extend_from_slice(bytes),
            Event::Same => return Ok(basis.to_vec()),
            // The decoder has all input, so it does not need more.
            Event::Done | Event::NeedInput => return Ok(target),
        }
    }
}
