use std::sync::Arc;

use driblet_core::Version;
use driblet_core::directory;
use wasm_bindgen::prelude::*;

use crate::directory::Manifest;
use crate::exception::{Throw, exception};

/// What a receiver holds of a manifest, for a server that does not know the receiver's directory version.
#[wasm_bindgen]
pub struct Have {
    list: directory::Have,
    lens: Vec<f64>,
    target: Arc<directory::Manifest>,
}

#[wasm_bindgen]
impl Have {
    /// `held` has the indices of the files that are held. `others` has those of other files, `versions` what is held at
    /// their paths, 32 bytes each, and `lens` the lengths of these versions. Indices are in order.
    #[wasm_bindgen(constructor)]
    pub fn new(
        target: &Manifest,
        held: &[u32],
        others: &[u32],
        versions: &[u8],
        lens: &[f64],
    ) -> Result<Have, JsValue> {
        let target = target.0.clone().ok_or_else(|| exception("no-manifest", "there is no manifest"))?;
        let versions = versions.as_chunks::<32>().0.iter().map(|bytes| Version::from_bytes(*bytes));
        let list = directory::Have {
            target: target.version(),
            held: held.iter().map(|index| *index as usize).collect(),
            others: others
                .iter()
                .map(|index| *index as usize)
                .zip(versions)
                .take(directory::Have::MAX_OTHERS)
                .collect(),
        };
        Ok(Have { list, lens: lens.to_vec(), target })
    }

    /// The bytes to post.
    pub fn encode(&self) -> Vec<u8> {
        self.list.encode(self.target.len())
    }

    /// How many bytes at the start of the answer say which others the server accepted.
    #[wasm_bindgen(getter, js_name = acceptedLength)]
    pub fn accepted_len(&self) -> usize {
        self.list.others.len().div_ceil(8)
    }

    /// The manifest that both sides make: what the server knows of what the receiver holds. `accepted` are the first
    /// bytes of the answer.
    pub fn manifest(&self, accepted: &[u8]) -> Result<Manifest, JsValue> {
        let is_set = |index: usize| accepted.get(index / 8).is_some_and(|byte| byte & (1 << (index % 8)) != 0);
        if (self.list.others.len()..8 * accepted.len()).any(is_set) {
            return Err(exception("bad-answer", "the answer accepts more than was offered"));
        }
        let lens = self.lens.iter().enumerate().map(|(place, len)| is_set(place).then_some(*len as u64));
        let manifest = self.list.manifest(&self.target, &lens.collect::<Vec<_>>()).map_err(Throw::into_exception)?;
        Ok(Manifest(Some(Arc::new(manifest))))
    }
}
