//! Bytes for the tests of this folder.

/// Bytes of an alphabet of which hardly any window comes twice.
pub(super) fn random(seed: u64, len: usize, alphabet: &[u8]) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        alphabet[(state >> 40) as usize % alphabet.len()]
    };
    (0..len).map(|_| next()).collect()
}
