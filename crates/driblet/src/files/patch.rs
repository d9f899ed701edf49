use std::io::Write;

use driblet_core::{Basis, Decoder, Event, Limits};

use super::error::FileError;
use super::input::Input;
use super::read::{check_distinct, open_input};
use crate::output::Output;

/// Bytes of the delta that one call reads.
const PIECE: usize = 64 << 10;

/// The result of [`patch_file`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Patched {
    /// The length of the target in bytes.
    pub len: u64,
}

/// Applies a delta to `old`, and writes the target into `new` in one durable step, after every byte is verified. `new`
/// may name the same file as `old`.
///
/// See [`diff_file`](crate::diff_file) for an example.
///
/// # Errors
/// [`FileError::Apply`] if the delta is invalid, or is a delta from another file. After any error the output is as it
/// was.
pub fn patch_file(old: &Input, delta: &Input, new: &Output) -> Result<Patched, FileError> {
    check_distinct(old, delta)?;
    let old = open_input(old)?.whole()?;
    let mut stream = open_input(delta)?;
    let unwritten = |error| FileError::write(new.name(), error);
    let mut staged = new.stage().map_err(unwritten)?;
    let mut decoder = Decoder::new(Basis::of(&old.version()?, old.len()?), Limits::default());
    let (mut piece, mut basis, mut len) = (vec![0; PIECE], Vec::new(), 0);
    let mut write = |bytes: &[u8]| {
        len += bytes.len() as u64;
        staged.write_all(bytes).map_err(unwritten)
    };
    let unapplied = |source| FileError::Apply { input: delta.clone(), source };
    loop {
        match decoder.poll_event().map_err(unapplied)? {
            Event::NeedInput => match stream.read(&mut piece)? {
                0 => decoder.handle_end(),
                read => decoder.handle_input(&piece[..read]),
            },
            Event::NeedBasis(range) => {
                basis.resize((range.end - range.start) as usize, 0);
                old.read_at(&mut basis, range.start)?;
                decoder.handle_basis(&basis);
            }
            Event::Output(bytes) => write(bytes)?,
            Event::Same => {
                old.each(&mut write)?;
                break;
            }
            Event::Done => break,
        }
    }
    staged.commit().map_err(unwritten)?;
    Ok(Patched { len })
}
