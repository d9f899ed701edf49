//! Checks for random files that `patch(basis, diff(basis, target)) == target`, and that no input makes a decoder panic.

mod support;

use driblet_core::*;
use proptest::prelude::*;
use support::module::{Moved, module};
use support::{apply_whole, encode, linked, minified, random_bytes, text, with};

/// An edit of a file: at a position, some bytes are removed and others inserted.
#[derive(Clone, Debug)]
struct Edit {
    at: usize,
    removed: usize,
    inserted: Vec<u8>,
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let inserted = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        (any::<u64>(), 0..3000usize).prop_map(|(number, len)| text(number, len)),
    ];
    let edit =
        (any::<usize>(), 0..2000usize, inserted).prop_map(|(at, removed, inserted)| Edit { at, removed, inserted });
    prop::collection::vec(edit, 0..12)
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![0..200usize, 0..60_000usize];
    (any::<u64>(), len, 0..3).prop_map(|(number, len, kind)| match kind {
        0 => random_bytes(number, len),
        1 => text(number, len),
        _ => random_bytes(number, 13).repeat(len / 13),
    })
}

fn edited(old: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut new = old.to_vec();
    for edit in edits {
        let at = edit.at % (new.len() + 1);
        let end = (at + edit.removed).min(new.len());
        new.splice(at..end, edit.inserted.iter().copied());
    }
    new
}

/// A file and its successor, in which words or numbers are renamed.
fn renamed() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    (any::<u64>(), 0..60_000usize, any::<[u16; 2]>(), any::<bool>(), edits()).prop_map(
        |(number, len, ways, words, edits)| {
            let [a, b] = ways.map(u64::from);
            let (old, new) = if words {
                (minified(number, len, a), minified(number, len, b))
            } else {
                (linked(number, len, 0, 0), linked(number, len, a, b >> 8))
            };
            (old, edited(&new, &edits))
        },
    )
}

fn moved() -> impl Strategy<Value = Moved> {
    let place = || prop_oneof![Just(None), (0..40usize).prop_map(Some)];
    (0..200u64, 0..70_000u64, 0..3u64, place(), place(), any::<bool>()).prop_map(
        |(functions, data, locals, longer, without, padded)| Moved { functions, data, locals, longer, without, padded },
    )
}

/// A WebAssembly module and its successor, whose numbers moved, perhaps in text, and with some damage.
fn modules() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let text = prop_oneof![Just(Vec::new()), (any::<u64>(), 0..500usize).prop_map(|(number, len)| text(number, len))];
    (any::<u32>(), 0..40usize, moved(), moved(), text, edits(), edits()).prop_map(
        |(number, functions, before, after, text, damage, edits)| {
            let with = |moved| [&text[..], &module(number.into(), functions, moved), &text].concat();
            (edited(&with(before), &damage[..damage.len() / 3]), edited(&with(after), &edits[..edits.len() / 2]))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn edited_files_come_back(old in file(), edits in edits(), budget in 0..20u32) {
        let new = edited(&old, &edits);
        let delta = encode(&old, &new, EncodeOptions::new().budget(1 << budget));
        prop_assert_eq!(apply_whole(&old, &delta), Ok(new));
    }

    #[test]
    fn renamed_files_come_back((old, new) in renamed(), dense in any::<bool>()) {
        let delta = encode(&old, &new, with(if dense { Codec::Dense } else { Codec::Fast }));
        prop_assert_eq!(apply_whole(&old, &delta), Ok(new));
    }

    #[test]
    fn mutated_renames_are_refused_or_right(
        (old, new) in renamed(), at in any::<usize>(), other in prop::collection::vec(any::<u8>(), 1..9)
    ) {
        let delta = encode(&old, &new, with(Codec::Fast));
        prop_assert!(is_refused_or_right(&old, &new, &mutated(delta, at, other)));
    }

    #[test]
    fn edited_and_renamed_files_come_back_from_predicted_deltas((old, new) in renamed(), edits in edits(), dense in any::<bool>()) {
        let options = with(if dense { Codec::Dense } else { Codec::Fast }).thorough(true).predicted(true);
        let new = edited(&new, &edits);
        let delta = encode(&old, &new, options);
        prop_assert_eq!(apply_whole(&old, &delta), Ok(new));
    }

    #[test]
    fn mutated_predicted_deltas_are_refused_or_right(
        (old, new) in renamed(), edits in edits(), at in any::<usize>(), other in prop::collection::vec(any::<u8>(), 1..9)
    ) {
        let new = edited(&new, &edits);
        let delta = encode(&old, &new, with(Codec::Fast).predicted(true));
        prop_assert!(is_refused_or_right(&old, &new, &mutated(delta, at, other)));
    }

    #[test]
    fn edited_files_come_back_from_dense_deltas(old in file(), edits in edits()) {
        let new = edited(&old, &edits);
        let delta = encode(&old, &new, with(Codec::Dense));
        prop_assert_eq!(apply_whole(&old, &delta), Ok(new));
    }

    #[test]
    fn modules_come_back_from_dense_deltas((old, new) in modules()) {
        let delta = encode(&old, &new, with(Codec::Dense));
        prop_assert_eq!(apply_whole(&old, &delta), Ok(new));
    }

    #[test]
    fn mutated_deltas_of_modules_are_refused_or_right(
        (old, new) in modules(), at in any::<usize>(), other in prop::collection::vec(any::<u8>(), 1..9)
    ) {
        let delta = encode(&old, &new, with(Codec::Dense));
        prop_assert!(is_refused_or_right(&old, &new, &mutated(delta, at, other)));
    }

    #[test]
    fn unrelated_files_come_back(old in file(), new in file(), dense in any::<bool>()) {
        let delta = encode(&old, &new, with(if dense { Codec::Dense } else { Codec::Fast }));
        prop_assert_eq!(apply_whole(&old, &delta), Ok(new));
    }

    #[test]
    fn both_sides_agree_on_what_matched(old in file(), edits in edits(), nonce in any::<[u8; 16]>()) {
        let new = edited(&old, &edits);
        let head = Cuts::of(&new, ChunkSizes::of(&new));
        let held = Cuts::of(&old, head.sizes()).describe(&head.list());
        // It depends on the nonce whether a tag matches by accident.
        let mut other = nonce;
        other[0] ^= 1;
        let agree = |nonce| matched(&old, &new, &head, &held, nonce) == Ok(new.clone());
        prop_assert!(agree(nonce) || agree(other));
    }

    #[test]
    fn random_input_is_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(apply_whole(b"basis", &bytes).is_err());
        let _ = Signature::decode(&bytes, MAX_TAGS);
        let _ = Runs::decode(&bytes, 100);
    }

    #[test]
    fn random_bytes_after_a_good_header_are_refused_or_right(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (old, new) = (text(1, 3000), text(2, 5000));
        let header = Encoder::new(&old, &new, EncodeOptions::default()).poll_output().unwrap().unwrap();
        prop_assert!(apply_whole(&old, &[header, bytes].concat()).is_err());
    }

    #[test]
    fn mutated_deltas_are_refused_or_right(
        old in file(), edits in edits(), at in any::<usize>(), other in prop::collection::vec(any::<u8>(), 1..9), dense in any::<bool>()
    ) {
        let new = edited(&old, &edits);
        let delta = encode(&old, &new, with(if dense { Codec::Dense } else { Codec::Fast }));
        prop_assert!(is_refused_or_right(&old, &new, &mutated(delta, at, other)));
    }
}

/// The delta with other bytes somewhere.
fn mutated(mut delta: Vec<u8>, at: usize, other: Vec<u8>) -> Vec<u8> {
    let at = at % delta.len();
    let end = (at + other.len()).min(delta.len());
    delta.splice(at..end, other);
    delta
}

/// Whether the delta is refused, or makes the new file.
fn is_refused_or_right(old: &[u8], new: &[u8], delta: &[u8]) -> bool {
    apply_whole(old, delta).map_or(true, |bytes| bytes == new)
}

/// The file that a receiver makes from the answer to its signature.
fn matched(old: &[u8], new: &[u8], head: &Cuts, held: &[Chunk], nonce: [u8; 16]) -> Result<Vec<u8>, DecodeError> {
    let signature = Signature::sign(nonce, held);
    let matches = signature.match_chunks(head);
    let (runs, _) = Runs::decode(&matches.encode_runs(), signature.count()).unwrap().unwrap();
    let matched = MatchedBasis::new(&runs, held);
    let options = EncodeOptions::new().thorough(nonce[0] % 2 == 1);
    let delta = support::collect(Encoder::matched(&matches, new, options));
    let located = matched.locate(0..matched.len()).flat_map(|piece| &old[piece.start as usize..piece.end as usize]);
    let basis: Vec<u8> = located.copied().collect();
    support::apply(&basis, Basis::matched(&matched), Limits::default(), [&delta[..]].into_iter())
}
