//! Applies deltas that come in pieces.
#![allow(unreachable_pub)]

use driblet_core::*;

/// Applies a delta that comes in pieces. Every verified piece must have bytes.
pub fn apply<'a>(
    basis: &[u8],
    named: Basis,
    limits: Limits,
    mut pieces: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new(named, limits);
    let mut output = Vec::new();
    loop {
        match decoder.poll_event()? {
            Event::NeedInput => match pieces.next() {
                Some(piece) => decoder.handle_input(piece),
                None => decoder.handle_end(),
            },
            Event::NeedBasis(range) => decoder.handle_basis(&basis[range.start as usize..range.end as usize]),
            Event::Output(verified) => {
                assert!(!verified.is_empty());
                output.extend_from_slice(verified);
            }
            Event::Same => return Ok(basis.to_vec()),
            Event::Done => return Ok(output),
        }
    }
}
