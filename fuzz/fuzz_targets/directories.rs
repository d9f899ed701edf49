//! Parses any bytes as a manifest, as a directory delta, and as what a receiver holds.
#![no_main]

use driblet_core::directory::{DirectoryDelta, Have, Manifest, ManifestLimits, encode_manifest_delta};
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
    }
});
