//! Unpacks both sides of a delta, as far as that can help.

use std::collections::HashSet;

use super::find::{Found, streams, symbols_of, zlib_of};
use super::packing::Deflater;
use super::stream::{Form, Stream, Streams};
use crate::delta::format::{MAX_STREAMS, MAX_UNPACKED};

/// Nanoseconds that a browser needs to inflate a byte, to deflate one by each of zlib's levels, to read or write a byte's
/// symbols, to decode or encode base64, and to read or write text.
const INFLATE: u64 = 2;
const DEFLATE: [u64; 10] = [0, 9, 9, 12, 15, 20, 30, 35, 50, 50];
const SYMBOLS: u64 = 4;
const BASE64: u64 = 2;
const TEXT: u64 = 4;
/// Nanoseconds that a browser needs to copy a byte of either side once more.
const COPY: u64 = 1;
/// The content of a target's streams is much of it if it is at least a quarter.
const MUCH: usize = 4;

/// A basis and a target whose streams are replaced by what they encode.
pub(crate) struct Unpacked {
    pub(crate) basis: Vec<u8>,
    pub(crate) target: Vec<u8>,
    /// The lists of streams, as the region has them.
    pub(crate) lists: Vec<u8>,
    /// The time that a browser needs to unpack the basis and to pack the target.
    pub(crate) nanoseconds: u64,
    /// Whether much of the target was packed, so that a look at it as it is can be short.
    pub(crate) is_much: bool,
}

/// Unpacks the streams that only one of both has. `None` if there are none on either side, or if a limit forbids it: of
/// the format, or of `budget` bytes of memory, of which each side may take a quarter, and its streams as much.
pub(crate) fn unpack(basis: &[u8], target: &[u8], budget: usize) -> Option<Unpacked> {
    let limit = (MAX_UNPACKED as usize).min(budget / 4);
    if limit < basis.len().max(target.len()) {
        return None;
    }
    let mut from_target = streams(target, limit - target.len());
    if from_target.is_empty() {
        return None;
    }
    let mut from_basis = streams(basis, limit - basis.len());
    // A stream that both sides have is copied as it is.
    let in_basis: HashSet<&[u8]> = from_basis.iter().map(|found| &basis[found.range.clone()]).collect();
    let in_target: HashSet<&[u8]> = from_target.iter().map(|found| &target[found.range.clone()]).collect();
    from_target.retain(|found| !in_basis.contains(&target[found.range.clone()]));
    from_basis.retain(|found| !in_target.contains(&basis[found.range.clone()]));

    let mut deflater = Deflater::default();
    let mut has_symbols = false;
    let packable = from_target.into_iter().filter_map(|mut found| {
        if let Form::Base64 { .. } | Form::Text(_) = found.form {
            return Some(found);
        }
        if let Some(zlib) = zlib_of(&target[found.range.clone()], &found, &mut deflater) {
            found.form = Form::Deflate { zlib: Some(zlib) };
            return Some(found);
        }
        let as_symbols = symbols_of(target, &found, limit)?;
        has_symbols = true;
        Some(as_symbols)
    });
    let packable: Vec<Found> = packable.collect();
    // Symbols are like those of the basis.
    let comparable = from_basis.into_iter().map(|found| match found.form {
        Form::Deflate { .. } if has_symbols => symbols_of(basis, &found, limit).unwrap_or(found),
        _ => found,
    });
    let (target_list, target, target_cost) = replaced(target, packable.into_iter(), limit)?;
    let (basis_list, basis, basis_cost) = replaced(basis, comparable, limit)?;
    let mut lists = Vec::new();
    basis_list.write(&mut lists);
    target_list.write(&mut lists);
    let content: usize = target_list.list.iter().map(|stream| stream.content).sum();
    let is_much = target.len() <= MUCH * content;
    let copied = COPY * (basis.len() + target.len()) as u64;
    Some(Unpacked { basis, target, lists, nanoseconds: basis_cost + target_cost + copied, is_much })
}

/// A file with streams replaced by their content, the list of these, and the time to undo it. `None` if there are none,
/// or too many.
fn replaced(file: &[u8], found: impl Iterator<Item = Found>, limit: usize) -> Option<(Streams, Vec<u8>, u64)> {
    let (mut list, mut out, mut at, mut nanoseconds) = (Vec::new(), Vec::new(), 0, 0);
    for Found { range, form, content, .. } in found {
        out.extend_from_slice(&file[at..range.start]);
        out.extend_from_slice(&content);
        let cost = match form {
            Form::Base64 { .. } => BASE64,
            Form::Text(_) => TEXT,
            Form::Symbols { .. } => SYMBOLS,
            Form::Deflate { zlib: None } => INFLATE,
            Form::Deflate { zlib: Some(zlib) } => DEFLATE[zlib.level as usize],
        };
        nanoseconds += cost * content.len() as u64;
        list.push(Stream { gap: range.start - at, packed: range.len(), content: content.len(), form });
        at = range.end;
        if limit < out.len() {
            return None;
        }
    }
    out.extend_from_slice(&file[at..]);
    let is_possible = !list.is_empty() && list.len() as u64 <= MAX_STREAMS && out.len() <= limit;
    is_possible.then_some((Streams { unpacked_len: out.len(), list }, out, nanoseconds))
}
