//! The encoder's side: aligns, then runs the model against what is so.

use super::buffer::{MARGIN, buffer};
use super::follower::{Follower, RenamedWords};
use super::guide::{Guide, GuidedCoder};
use super::model::Model;
use super::region::WORDS;
use crate::delta::arithmetic::{DecisionCoder, DecisionWriter};
use crate::delta::sequence_alignment::SequenceAlignment;
use crate::wire::put_varint;

/// The exponents of memory that are tried: the largest first, the others where the delta is small.
const MEMORY: [u32; 4] = [10, 7, 3, 0];
/// Below this many bytes smaller tables are tried too.
const SMALL: usize = 4 << 10;
/// New bytes up to which a target is always tried.
const FEW_LITERALS: usize = 64 << 10;
/// More new bytes than these, and one of so many of the target's, are not tried: each takes nine decisions, from both sides.
const MANY_LITERALS: usize = 1 << 20;
const MOST_LITERALS: usize = 4;
/// What laying out the largest tables takes a browser, some 20 MB in all.
const DENSE_SETUP_NANOSECONDS: u64 = 4_000_000;
/// What indexing a byte of the window takes one.
const INDEX_NANOSECONDS: u64 = 10;
/// What one decision takes a browser, mostly waiting for memory: as measured in Chromium on a server of two cores.
const DECISION_NANOSECONDS: u64 = 550;

/// A dense region's bytes after its span, and what decoding them costs.
pub(crate) struct EncodedDense {
    pub(crate) bytes: Vec<u8>,
    /// What decoding takes a browser, about.
    pub(crate) nanoseconds: u64,
}

/// A writer that knows what it writes.
struct GuidedWriter<'a> {
    writer: DecisionWriter,
    guide: Guide<'a>,
}

impl DecisionCoder for GuidedWriter<'_> {
    #[inline]
    fn code(&mut self, probability: u16, bit: bool) -> bool {
        self.writer.code(probability, bit)
    }
}

impl GuidedCoder for GuidedWriter<'_> {
    fn guide(&self) -> Option<&Guide<'_>> {
        Some(&self.guide)
    }
}

/// Encodes a target against a window that is the whole basis; `None` where too much is new, or so that no model says it in fewer bytes.
pub(crate) fn encode(window: &[u8], target: &[u8], alignment: &SequenceAlignment) -> Option<EncodedDense> {
    let words = alignment.words;
    let places = places(window, target, words, &alignment.starts);
    let mut best: Option<EncodedDense> = None;
    for memory in MEMORY {
        let dense = encode_with(window, target, words, &places, memory)?;
        if best.as_ref().is_none_or(|best| dense.bytes.len() <= best.bytes.len()) {
            best = Some(dense);
        }
        if best.as_ref().is_some_and(|best| SMALL < best.bytes.len()) {
            break;
        }
    }
    best
}

fn encode_with(window: &[u8], target: &[u8], words: bool, places: &[u32], memory: u32) -> Option<EncodedDense> {
    let mut buffer = buffer(window.len(), target.len());
    buffer.extend_from_slice(window);
    let mut writer = GuidedWriter { writer: DecisionWriter::new(), guide: Guide { target, places } };
    let mut model = Model::new(buffer, target.len(), words, memory);
    // The script leads nowhere outside the window.
    while !model.is_complete() && model.step(&mut writer).is_ok() {
        let literals = model.target().len() - model.followed() as usize;
        if is_hopeless(literals, writer.writer.len(), target.len()) {
            return None;
        }
    }
    let packed = writer.writer.finish();
    let mut bytes = Vec::with_capacity(packed.len() + 8);
    put_varint(&mut bytes, u64::from(memory) << 2 | if words { WORDS } else { 0 });
    put_varint(&mut bytes, packed.len() as u64);
    bytes.extend_from_slice(&packed);
    let indexing = if memory == 0 { 0 } else { window.len() as u64 * INDEX_NANOSECONDS };
    let setup = (DENSE_SETUP_NANOSECONDS >> (MEMORY[0] - memory)) + indexing;
    Some(EncodedDense { bytes, nanoseconds: setup + model.decisions() * DECISION_NANOSECONDS })
}

/// Whether so many new bytes, which took so many with all that was followed, are too many, or as dense before as after.
fn is_hopeless(literals: usize, packed: usize, target: usize) -> bool {
    let are_noise = FEW_LITERALS < literals && 7 * literals < 8 * packed;
    are_noise || MANY_LITERALS + target / MOST_LITERALS < literals
}

/// The window position that corresponds to each of the target's, by an alignment: target positions, ascending, and the window's.
fn places(window: &[u8], target: &[u8], words: bool, alignment: &[(u32, u32)]) -> Vec<u32> {
    let mut buffer = buffer(window.len(), target.len());
    buffer.extend_from_slice(window);
    let window_end = buffer.len();
    let (mut follower, renames) = (Follower::new(MARGIN), RenamedWords::new());
    let mut starts = alignment.iter().peekable();
    target
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            if let Some((_, start)) = starts.next_if(|(from, _)| *from as usize == at) {
                follower.jump(MARGIN + *start as usize);
            }
            if words {
                follower.enter(&buffer, window_end, &renames);
            }
            let between = follower.word.is_none() || follower.in_word(&buffer) == 0;
            let place = if between { (follower.at - MARGIN) as u32 } else { u32::MAX };
            buffer.push(*byte);
            follower.advance(&buffer, window_end, None);
            place
        })
        .collect()
}
