//! The encoder's side: aligns, then runs the model against what is so.

use super::align::align;
use super::binary::{Script, Writer};
use super::model::{self, Model};
use super::{PART, WORDS};

/// The largest exponent of pages that are primed: 1 MiB, beyond which priming takes longer than it saves.
const PRIMED: u32 = 9;

/// A dense region's bytes after its span, and what decoding them costs.
pub(crate) struct Dense {
    pub(crate) bytes: Vec<u8>,
    /// Bits coded with the flags' and the literals' model, which is what takes time.
    pub(crate) decisions: u64,
}

/// Encodes a target against a window that is the whole basis.
pub(crate) fn encode(window: &[u8], target: &[u8]) -> Dense {
    let words = is_text(target);
    let guide = model::guide(window, target, words, &align(window, target, words));
    let mut buffer = model::buffer(window.len(), target.len());
    buffer.extend_from_slice(window);
    let mut writer = Writer::new(Script { target, guide: &guide });
    let mut model = Model::new(buffer, target.len(), words, super::pages(PRIMED));
    while !model.is_complete() {
        // The script leads nowhere outside the window.
        if model.step(&mut writer).is_err() {
            break;
        }
    }
    let packed = writer.finish();
    let shape = u64::from(PRIMED) << 2 | if words { WORDS } else { 0 };
    debug_assert_eq!(shape & PART, 0);
    let mut bytes = Vec::with_capacity(packed.len() + 8);
    crate::wire::put_varint(&mut bytes, shape);
    crate::wire::put_varint(&mut bytes, packed.len() as u64);
    bytes.extend_from_slice(&packed);
    Dense { bytes, decisions: model.decisions() }
}

/// Whether the bytes are text, as its first part shows: few bytes that no text has.
fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(1 << 16)];
    start.iter().filter(|byte| **byte < 9 || 0x80 <= **byte).count() * 20 < start.len()
}
