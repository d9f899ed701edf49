//! The delta between two manifests, from the merge of two sorted lists.
//!
//! A match finder would index the whole old manifest, most of which is hashes that nothing repeats. The merge knows which entry is which.

use std::collections::HashMap;

use super::manifest::{Layout, Manifest};
use crate::delta::{EncodeError, EncodeOptions, Encoder};
use crate::shared_run::SharedRun;
use crate::version::Version;

/// Copies of fewer bytes cost more than they save.
const MIN_COPY: usize = 24;

/// The delta from one manifest, or from nothing, to another, as any delta between two files.
///
/// Time is linear in both.
///
/// # Errors
/// Fails if the compressor gets no memory.
pub fn encode_manifest_delta(
    old: Option<&Manifest>,
    new: &Manifest,
    options: EncodeOptions,
) -> Result<Vec<u8>, EncodeError> {
    let Some(old) = old else { return crate::diff(&[], &new.encode(), options) };
    let (old_bytes, old_layout) = old.encode_with_layout();
    let (new_bytes, new_layout) = new.encode_with_layout();
    let copies = copies(&pairs(old, new), (&old_bytes, &old_layout), (&new_bytes, &new_layout));
    let mut encoder = Encoder::with_runs(&old_bytes, &new_bytes, copies, options);
    let mut delta = Vec::new();
    while let Some(bytes) = encoder.poll_output()? {
        delta.extend(bytes);
    }
    Ok(delta)
}

/// For each file of `new` the index of the file of `old` that it was: at the same path, or else, where that is gone, of the same version.
fn pairs(old: &Manifest, new: &Manifest) -> Vec<Option<usize>> {
    let mut pairs = vec![None; new.len()];
    let mut gone: HashMap<Version, usize> = HashMap::new();
    let (mut at, mut index) = (0, 0);
    while at < old.len() && index < new.len() {
        let order = super::path_order(old.entry(at).path, new.entry(index).path);
        if order.is_eq() {
            pairs[index] = Some(at);
        }
        if order.is_lt() {
            gone.entry(old.entry(at).version).or_insert(at);
        }
        at += usize::from(order.is_le());
        index += usize::from(order.is_ge());
    }
    for at in at..old.len() {
        gone.entry(old.entry(at).version).or_insert(at);
    }
    let mut next = None;
    for (index, pair) in pairs.iter_mut().enumerate() {
        if pair.is_none() {
            let version = new.entry(index).version;
            // Equal files that moved together stay together.
            let follows = next.filter(|at| *at < old.len() && old.entry(*at).version == version);
            *pair = follows.or_else(|| gone.get(&version).copied());
        }
        next = pair.map(|at| at + 1);
    }
    pairs
}

/// The copies that the pairs allow, column by column, in the order of the new bytes.
fn copies(pairs: &[Option<usize>], (old, from): (&[u8], &Layout), (new, to): (&[u8], &Layout)) -> Vec<SharedRun> {
    let mut copies = Copies { old, new, found: Vec::new() };
    let paired = || pairs.iter().enumerate().filter_map(|(index, pair)| Some((index, (*pair)?)));
    for (index, at) in paired() {
        copies.add(to.paths[index]..to.paths[index + 1], from.paths[at]..from.paths[at + 1]);
    }
    for (index, at) in paired() {
        copies.add(to.flags + index..to.flags + index + 1, from.flags + at..from.flags + at + 1);
    }
    for (index, at) in paired() {
        copies.add(to.lens[index]..to.lens[index + 1], from.lens[at]..from.lens[at + 1]);
    }
    for (index, at) in paired() {
        let (start, basis) = (to.versions + 32 * index, from.versions + 32 * at);
        copies.add(start..start + 32, basis..basis + 32);
    }
    copies.found.retain(|run| MIN_COPY as u64 <= run.target.end - run.target.start);
    copies.found
}

struct Copies<'a> {
    old: &'a [u8],
    new: &'a [u8],
    found: Vec<SharedRun>,
}

impl Copies<'_> {
    /// Adds a copy where the bytes are equal, to the one before where it continues that.
    fn add(&mut self, target: std::ops::Range<usize>, basis: std::ops::Range<usize>) {
        if self.new[target.clone()] != self.old[basis.clone()] {
            return;
        }
        let (target, basis) = (target.start as u64..target.end as u64, basis.start as u64);
        match self.found.last_mut() {
            Some(last) if last.target.end == target.start && last.basis_end() == basis => last.target.end = target.end,
            _ => self.found.push(SharedRun { target, basis }),
        }
    }
}
