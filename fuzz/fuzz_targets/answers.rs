//! Decodes any bytes as a signature, and as the answer to a signature.
#![no_main]

use driblet_core::{Cuts, MatchedBasis, ChunkSizes, Runs, Signature};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8], &[u8])| {
    let (held, signature, answer) = input;
    let cuts = Cuts::of(held, ChunkSizes::of(held));
    if let Ok(signature) = Signature::decode(signature, 1 << 16) {
        let again = Signature::decode(&signature.encode(), 1 << 16);
        assert_eq!(again.as_ref(), Ok(&signature));
        let matches = signature.match_chunks(&cuts);
        assert!(matches.matched_bytes() <= held.len() as u64);
        assert!(Runs::decode(&matches.encode_runs(), signature.count()).is_ok_and(|runs| runs.is_some()));
    }
    let chunks = cuts.describe(answer);
    let signature = Signature::sign([1; 16], &chunks);
    if let Ok(Some((runs, consumed))) = Runs::decode(answer, signature.count()) {
        assert!(consumed <= answer.len());
        let basis = MatchedBasis::new(&runs, &chunks);
        let len: u64 = basis.locate(0..basis.len()).map(|piece| piece.end - piece.start).sum();
        assert_eq!(len, basis.len());
        assert!(basis.locate(0..u64::MAX).all(|piece| piece.end <= held.len() as u64));
    }
});
