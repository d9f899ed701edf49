//! Parses any bytes as a manifest, as a directory delta, and as what a receiver holds. Decodes the parts.
#![no_main]

use std::sync::Arc;

use driblet_core::directory::{
    DirectoryDelta, Have, Manifest, ManifestLimits, PartsDecoder, PartsEvent, PlannedPart, encode_manifest_delta,
    plan_parts,
};
use driblet_core::{EncodeOptions, patch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8], &[u8])| {
    let (old, new, list) = input;
    let manifest = |bytes: &[u8]| Manifest::parse(bytes, ManifestLimits::default()).ok();
    let (old, new) = (manifest(old), manifest(new));
    if let Some(new) = &new {
        assert_eq!(Manifest::parse(&new.encode(), ManifestLimits::default()).as_ref(), Ok(new));
        let delta = encode_manifest_delta(old.as_ref(), new, EncodeOptions::new()).unwrap();
        let basis = old.as_ref().map(Manifest::encode).unwrap_or_default();
        assert_eq!(patch(&basis, &delta).unwrap(), new.encode());
        if let Ok(have) = Have::parse(list, new.len()) {
            assert!(have.held.iter().chain(have.others.iter().map(|(index, _)| index)).all(|index| *index < new.len()));
            assert_eq!(have.encode(new.len()), list);
        }
    }
    if let Ok(Some((delta, len))) = DirectoryDelta::parse(list) {
        assert_eq!(delta.encode(), list[..len]);
        if let Some(new) = &new {
            let _ = delta.plan(old.as_ref(), new);
        }
        if let Ok((new, parts)) = delta.apply(old.as_ref(), ManifestLimits::default()) {
            decode(parts, old.clone(), new, &list[len..]);
        }
    }
    if let Some(new) = new {
        decode(plan_parts(old.as_ref(), &new, &mut |_| None), old, new, list);
    }
});

/// Decodes any bytes as parts.
fn decode(parts: Vec<PlannedPart>, old: Option<Manifest>, new: Manifest, bytes: &[u8]) {
    if parts.iter().any(|part| 1 << 20 < part.len) {
        return;
    }
    let mut decoder = PartsDecoder::new(parts, old.map(Arc::new), Arc::new(new));
    decoder.handle_input(bytes);
    decoder.handle_end();
    loop {
        match decoder.poll_event() {
            // No files are at hand, so the bytes are wrong.
            Ok(PartsEvent::NeedBasis { range, .. }) => {
                decoder.handle_basis(&vec![0; (range.end - range.start) as usize])
            }
            Ok(PartsEvent::Output { .. }) => {}
            Ok(PartsEvent::NeedInput) => unreachable!("it has all input"),
            Ok(PartsEvent::Done) | Err(_) => break,
        }
    }
}
