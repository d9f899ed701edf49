use std::sync::Arc;

use driblet_core::directory::{self, ManifestLimits, PlannedPart};
use wasm_bindgen::prelude::*;

use crate::exception::Throw;
use crate::parts::PartsDecoder;

/// A directory's files, or nothing: what a receiver has before its first sync.
#[wasm_bindgen]
pub struct Manifest(pub(crate) Option<Arc<directory::Manifest>>);

#[wasm_bindgen]
impl Manifest {
    /// What a receiver has that holds no directory version.
    pub fn none() -> Manifest {
        Manifest(None)
    }

    /// Reads a manifest and checks each of its rules. `limit` is the most files.
    pub fn parse(bytes: &[u8], limit: f64) -> Result<Manifest, JsValue> {
        let manifest = directory::Manifest::parse(bytes, limits(limit)).map_err(Throw::into_exception)?;
        Ok(Manifest(Some(Arc::new(manifest))))
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        self.0.as_ref().map(|manifest| manifest.encode()).unwrap_or_default()
    }

    /// The directory's version.
    #[wasm_bindgen(getter)]
    pub fn version(&self) -> String {
        self.0.as_ref().map(|manifest| manifest.version().to_string()).unwrap_or_default()
    }

    /// The paths of all files, in order, with a NUL after each.
    #[wasm_bindgen(getter)]
    pub fn paths(&self) -> String {
        self.entries().fold(String::new(), |mut paths, entry| {
            paths.push_str(entry.path);
            paths.push('\0');
            paths
        })
    }

    /// The lengths of all files in bytes.
    #[wasm_bindgen(getter)]
    pub fn lengths(&self) -> Vec<f64> {
        self.entries().map(|entry| entry.len as f64).collect()
    }

    /// The versions of all files, 32 bytes each.
    #[wasm_bindgen(getter)]
    pub fn versions(&self) -> Vec<u8> {
        self.entries().flat_map(|entry| *entry.version.as_bytes()).collect()
    }

    fn entries(&self) -> impl Iterator<Item = directory::Entry<'_>> {
        self.0.iter().flat_map(|manifest| manifest.entries())
    }
}

/// All of a directory delta but its first part, which follows it.
#[wasm_bindgen]
pub struct DirectoryDelta {
    delta: directory::DirectoryDelta,
    consumed: usize,
}

#[wasm_bindgen]
impl DirectoryDelta {
    /// Parses the start of a directory delta; `undefined` if more bytes are needed.
    pub fn parse(bytes: &[u8]) -> Result<Option<DirectoryDelta>, JsValue> {
        let parsed = directory::DirectoryDelta::parse(bytes).map_err(Throw::into_exception)?;
        Ok(parsed.map(|(delta, consumed)| DirectoryDelta { delta, consumed }))
    }

    /// How many bytes it took. The first part follows them.
    #[wasm_bindgen(getter)]
    pub fn consumed(&self) -> usize {
        self.consumed
    }

    /// The new directory version.
    #[wasm_bindgen(getter)]
    pub fn target(&self) -> String {
        self.delta.target.to_string()
    }

    /// Whether the old version is the target.
    #[wasm_bindgen(getter, js_name = isSame)]
    pub fn is_same(&self) -> bool {
        self.delta.manifest_delta.is_empty()
    }

    /// Makes the new manifest, and checks it and the parts. `limit` is the most files.
    pub fn apply(&self, old: &Manifest, limit: f64) -> Result<Plan, JsValue> {
        let applied = self.delta.apply(old.0.as_deref(), limits(limit));
        let (new, parts) = applied.map_err(Throw::into_exception)?;
        Ok(Plan { old: old.0.clone(), new: Arc::new(new), parts })
    }
}

/// What a directory delta brings: the new manifest, and the parts with the new files.
#[wasm_bindgen]
pub struct Plan {
    old: Option<Arc<directory::Manifest>>,
    new: Arc<directory::Manifest>,
    parts: Vec<PlannedPart>,
}

#[wasm_bindgen]
impl Plan {
    /// The new manifest.
    #[wasm_bindgen(getter)]
    pub fn manifest(&self) -> Manifest {
        Manifest(Some(self.new.clone()))
    }

    /// How many parts there are.
    #[wasm_bindgen(getter)]
    pub fn count(&self) -> usize {
        self.parts.len()
    }

    /// The indices of a part's files in the new manifest, in order.
    pub fn files(&self, part: usize) -> Vec<u32> {
        self.parts[part].files.iter().map(|index| *index as u32).collect()
    }

    /// The indices of a part's basis files in the old manifest, in order.
    pub fn bases(&self, part: usize) -> Vec<u32> {
        self.parts[part].bases.iter().map(|index| *index as u32).collect()
    }

    /// A part's name.
    pub fn name(&self, part: usize) -> String {
        self.parts[part].name.to_string()
    }

    /// A decoder for a part.
    pub fn decoder(&self, part: usize) -> PartsDecoder {
        PartsDecoder::new(self.parts[part].clone(), self.old.clone(), self.new.clone())
    }
}

pub(crate) fn limits(files: f64) -> ManifestLimits {
    let mut limits = ManifestLimits::default();
    limits.files = files as u64;
    limits
}
