//! Encodes a dense region: makes a guide from the alignment, then runs the model with it.

use super::buffer::{MARGIN, buffer};
use super::follower::{Follower, WordTables};
use super::guide::{Guide, GuidedCoder};
use super::model::Model;
pub(crate) use super::tokens::Followed;
use super::tokens::Tokens;
use crate::delta::arithmetic::{DecisionCoder, DecisionWriter};
use crate::delta::format::{DENSE_WASM, DENSE_WORDS};
use crate::delta::sequence_alignment::SequenceAlignment;
use crate::wire::put_varint;

/// The memory exponents that the encoder tries, in this order. After the first it tries the others only if the delta
/// has at most [`SMALL_DELTA`] bytes.
const MEMORY: [u32; 4] = [10, 7, 3, 0];
/// The first memory exponent for modules. The tables are the same as with one more, and half as many pages are primed,
/// which take more time there and shorten less.
const MODULE_MEMORY: u32 = 9;
/// The most bytes of a delta for which smaller tables are tried. The decoder of a longer delta clears the largest
/// tables in little of its time.
const SMALL_DELTA: usize = 4 << 10;
/// The number of new bytes up to which the encoder goes on, even if it does not shorten them.
const FEW_LITERALS: usize = 64 << 10;
/// The number of new bytes up to which a 64th that is saved is worth its time, which is some seconds for a receiver on a
/// slow machine. Of more, an eighth must be saved.
const SOME_LITERALS: usize = 256 << 10;
/// The encoder gives up if more than `MANY_LITERALS` bytes plus a fourth of the target ([`TARGET_PER_LITERAL`]) are
/// new. Each new byte takes nine decisions, on both sides.
const MANY_LITERALS: usize = 3 << 20;
/// See [`MANY_LITERALS`].
const TARGET_PER_LITERAL: usize = 4;
/// Nanoseconds that a browser needs to set up the largest tables, some 20 MB.
const DENSE_SETUP_NANOSECONDS: u64 = 4_000_000;
/// Nanoseconds that a browser needs to index one byte of the window.
const INDEX_NANOSECONDS: u64 = 10;
/// Nanoseconds that a browser needs to follow one byte of the target where all is as expected.
const FOLLOW_NANOSECONDS: u64 = 3;
/// Nanoseconds that a browser needs to read one byte of a module, on both sides, and to follow its numbers.
const MODULE_NANOSECONDS: u64 = 50;
/// Nanoseconds that a browser needs for one decision, mostly to wait for memory, as measured in Chromium on a server
/// with two cores.
const DECISION_NANOSECONDS: u64 = 550;

/// The bytes of a dense region after its span, and the time to decode them.
pub(crate) struct EncodedDense {
    pub(crate) bytes: Vec<u8>,
    /// The time that a browser needs to decode the region, in nanoseconds, estimated.
    pub(crate) nanoseconds: u64,
}

/// A writer that has a guide.
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

/// Encodes a target against a window that is the whole basis. `None` if too much is new, or if the model does not
/// shorten the new bytes.
pub(crate) fn encode(
    window: &[u8],
    target: &[u8],
    alignment: &SequenceAlignment,
    followed: Followed,
) -> Option<EncodedDense> {
    let places = places(window, target, followed, &alignment.starts);
    let mut best: Option<EncodedDense> = None;
    let first = if followed.wasm { MODULE_MEMORY } else { MEMORY[0] };
    for memory in MEMORY.map(|memory| memory.min(first)) {
        let dense = encode_with(window, target, followed, &places, memory)?;
        if best.as_ref().is_none_or(|best| dense.bytes.len() <= best.bytes.len()) {
            best = Some(dense);
        }
        if best.as_ref().is_some_and(|best| SMALL_DELTA < best.bytes.len()) {
            break;
        }
    }
    best
}

fn encode_with(window: &[u8], target: &[u8], followed: Followed, places: &[u32], memory: u32) -> Option<EncodedDense> {
    let mut buffer = buffer(window.len(), target.len());
    buffer.extend_from_slice(window);
    let mut writer = GuidedWriter { writer: DecisionWriter::new(), guide: Guide { target, places } };
    let mut model = Model::new(buffer, target.len(), followed, memory);
    // The guide never leads outside the window.
    while !model.is_complete() && model.step(&mut writer).is_ok() {
        let literals = model.target().len() - model.followed() as usize;
        if is_not_worth_it(literals, writer.writer.len(), target.len()) {
            return None;
        }
    }
    let packed = writer.writer.finish();
    let mut bytes = Vec::with_capacity(packed.len() + 8);
    let words = if followed.words { DENSE_WORDS } else { 0 };
    let wasm = if followed.wasm { DENSE_WASM } else { 0 };
    put_varint(&mut bytes, u64::from(memory) << 2 | words | wasm);
    put_varint(&mut bytes, packed.len() as u64);
    bytes.extend_from_slice(&packed);
    let indexing = if memory == 0 { 0 } else { window.len() as u64 * INDEX_NANOSECONDS };
    let reading = target.len() as u64 * if followed.wasm { MODULE_NANOSECONDS } else { FOLLOW_NANOSECONDS };
    let setup = (DENSE_SETUP_NANOSECONDS >> (MEMORY[0] - memory)) + indexing + reading;
    Some(EncodedDense { bytes, nanoseconds: setup + model.decisions() * DECISION_NANOSECONDS })
}

/// Whether the new bytes are too many, or are hardly shorter when they are packed.
fn is_not_worth_it(literals: usize, packed: usize, target: usize) -> bool {
    let least_saved = if literals <= SOME_LITERALS { 64 } else { 8 };
    let is_incompressible = FEW_LITERALS < literals && literals - literals / least_saved < packed;
    is_incompressible || MANY_LITERALS + target / TARGET_PER_LITERAL < literals
}

/// For each target position, the window position that the alignment pairs with it. The alignment is a list of positions
/// in the target, ascending, and in the window.
fn places(window: &[u8], target: &[u8], followed: Followed, alignment: &[(u32, u32)]) -> Vec<u32> {
    let mut buffer = buffer(window.len(), target.len());
    buffer.extend_from_slice(window);
    let window_end = buffer.len();
    let mut tokens = Tokens::new(followed, &buffer);
    let (mut follower, tables) = (Follower::new(MARGIN), WordTables::new());
    let mut starts = alignment.iter().peekable();
    target
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            if let Some((_, start)) = starts.next_if(|(from, _)| *from as usize == at) {
                follower.jump(MARGIN + *start as usize);
            }
            follower.enter(&buffer, window_end, &tokens, &tables);
            let between = follower.word.is_none() || follower.word_bytes(&buffer) == 0;
            let place = if between { (follower.pointer - MARGIN) as u32 } else { u32::MAX };
            buffer.push(*byte);
            tokens.read(&[*byte]);
            follower.advance(&buffer, window_end, &tokens, None);
            place
        })
        .collect()
}
