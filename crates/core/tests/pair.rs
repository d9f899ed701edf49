//! Pairs of files: each delta is split anywhere, cut, changed bit by bit, and applied to a changed basis.

mod support;

use driblet_core::*;
use support::module::{Moved, module};
use support::{apply, apply_whole, basis_of, collect, encode, linked, minified, random_bytes, text, with};

const GROUP: usize = 256 << 10;

fn cases() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let old = text(1, 30_000);
    let edited = [&old[..9_000], b"an edit, here", &old[9_100..20_000], &random_bytes(2, 700), &old[20_000..]].concat();
    let swapped = [&old[15_000..], &old[..15_000]].concat();
    vec![
        ("nothing to nothing", vec![], vec![]),
        ("nothing to one byte", vec![], vec![7]),
        ("one byte to nothing", vec![7], vec![]),
        ("the same", old.clone(), old.clone()),
        ("an edit", old.clone(), edited.clone()),
        ("halves swapped", old.clone(), swapped),
        ("random bytes to others", random_bytes(1, 5_000), random_bytes(9, 5_000)),
        ("first sync of text", vec![], text(3, 20_000)),
        ("first sync of random bytes", vec![], random_bytes(3, 3_000)),
        ("one group less one", vec![], text(4, GROUP - 1)),
        ("one group", vec![], text(4, GROUP)),
        ("one group and one", vec![], text(4, GROUP + 1)),
        ("grown from a part", edited[..5_000].to_vec(), edited.repeat(3)),
        ("shrunk to a part", edited.repeat(3), edited[3_000..].to_vec()),
        ("other names", minified(5, 9_000, 1), minified(5, 9_000, 2)),
        ("other numbers", linked(5, 9_000, 0, 0), [&linked(5, 9_000, 9_000, 3)[..], &random_bytes(6, 900)].concat()),
        (
            "bytes that change alone",
            old.clone(),
            old.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at % 97 == 5)).collect(),
        ),
        ("zeros to more zeros", vec![0; 40_000], vec![0; 100_001]),
        ("zeros to random bytes", vec![0; 20_000], random_bytes(7, 20_000)),
        ("a repeated line to another", b"a line that is the same\n".repeat(900), b"a line, not the same\n".repeat(900)),
        ("short equal lines, one gone", b"ab\n".repeat(9_000), [b"ab\n".repeat(4_000), b"a\n".repeat(3_000)].concat()),
    ]
}

/// The delta of each pair in each codec.
fn deltas() -> impl Iterator<Item = (String, Vec<u8>, Vec<u8>, Vec<u8>)> {
    let ways = [("fast", with(Codec::Fast)), ("dense", with(Codec::Dense)), ("predicted", predicted(Codec::Fast))];
    cases().into_iter().flat_map(move |(name, old, new)| {
        ways.map(|(way, options)| (format!("{name}, {way}"), old.clone(), new.clone(), encode(&old, &new, options)))
    })
}

/// Options with which new bytes may be predicted.
fn predicted(codec: Codec) -> EncodeOptions {
    EncodeOptions::new().codec(codec).thorough(true).predicted(true)
}

#[test]
fn no_delta_is_longer_than_its_target() {
    let inputs =
        [vec![0; 90_000], random_bytes(1, 90_000), random_bytes(2, 90_000), b"ab\n".repeat(30_000), text(3, 90_000)];
    for (old, new) in inputs.iter().flat_map(|old| inputs.iter().map(move |new| (old, new))) {
        let delta = encode(old, new, with(Codec::Fast));
        assert!(delta.len() < new.len() + 100, "{} bytes for {}", delta.len(), new.len());
        assert_eq!(apply_whole(old, &delta).as_ref(), Ok(new));
    }
}

#[test]
fn a_long_file_gets_substitutions_part_by_part() {
    let module = |from, by, edit: &[u8]| {
        let parts = (0..34).flat_map(|at| [linked(at, 960 << 10, from, by), random_bytes(at, 64 << 10)]);
        [edit, &parts.collect::<Vec<_>>().concat()].concat()
    };
    let (old, new) = (module(0, 0, b""), module(90_000, 3, &random_bytes(77, 5_000)));
    let once = encode(&old, &new, EncodeOptions::default());
    let delta = encode(&old, &new, with(Codec::Fast));
    assert!(8 * delta.len() < once.len(), "{} bytes, where copies take {}", delta.len(), once.len());
    assert!(apply_whole(&old, &delta) == Ok(new));
}

#[test]
fn every_pair_split_everywhere() {
    for (name, old, new, delta) in deltas() {
        assert_eq!(apply_whole(&old, &delta).as_ref(), Ok(&new), "{name}, whole");
        let bytes = apply(&old, basis_of(&old), Limits::default(), delta.chunks(1));
        assert_eq!(bytes.as_ref(), Ok(&new), "{name}, byte by byte");
        for number in 0..8 {
            let mut rest = &delta[..];
            let mut sizes = random_bytes(number, 4096).into_iter().cycle();
            let pieces = std::iter::from_fn(|| {
                let len = (sizes.next()? as usize * 5 + 1).min(rest.len());
                let (piece, after) = rest.split_at(len);
                rest = after;
                (len != 0).then_some(piece)
            });
            assert_eq!(apply(&old, basis_of(&old), Limits::default(), pieces).as_ref(), Ok(&new), "{name}, split");
        }
    }
}

#[test]
fn a_delta_is_little_more_than_the_change() {
    let old = random_bytes(1, 2_000_000);
    let new = [&old[..700_000], b"changed", &old[700_007..]].concat();
    let delta = encode(&old, &new, EncodeOptions::default());
    assert!(delta.len() < 100, "{} bytes for seven", delta.len());
}

#[test]
fn every_truncation_is_noticed() {
    for (name, old, _, delta) in deltas() {
        for len in (0..delta.len()).step_by(1 + delta.len() / 400) {
            let refused = apply_whole(&old, &delta[..len]).unwrap_err();
            assert!(matches!(refused, DecodeError::Truncated { at, .. } if at == len as u64), "{name}: {refused}");
        }
        let longer = [&delta[..], b"x"].concat();
        assert_eq!(apply_whole(&old, &longer).unwrap_err().reason(), "trailing-bytes", "{name}");
    }
}

#[test]
fn no_flipped_bit_makes_a_wrong_file() {
    for (name, old, new, delta) in deltas() {
        // Changes one bit at each position, another bit in turn. All bits at all positions would take minutes in the
        // dense codec.
        for (turn, at) in (0..delta.len()).step_by(1 + delta.len() / 300).enumerate() {
            let mut flipped = delta.clone();
            flipped[at] ^= 1 << (turn % 8);
            if let Ok(bytes) = apply_whole(&old, &flipped) {
                assert_eq!(bytes, new, "{name}: byte {at}, bit {}", turn % 8);
            }
        }
    }
}

#[test]
fn auto_chooses_the_codec_that_is_verified_sooner() {
    let old = minified(1, 200_000, 1);
    let new = [&minified(1, 120_000, 2)[..], &text(3, 9_000), &old[125_000..]].concat();
    let over = |bits_per_second| encode(&old, &new, with(Codec::Auto { bits_per_second }));
    let codec = |delta: &[u8]| delta[header_len(&old, &new)] & 0x3f;
    let (at_once, slow) = (over(u32::MAX), over(1000));
    assert_eq!(codec(&at_once), 1, "copies take no time");
    let lens = [Codec::Fast, Codec::Dense].map(|codec| encode(&old, &new, with(codec)).len());
    assert_eq!(Some(&slow.len()), lens.iter().min(), "bytes take all of it");
    assert!(slow.len() < at_once.len());
}

#[test]
fn another_codec_is_chosen_if_the_dense_codec_is_not_smaller() {
    let (archive, other) = (random_bytes(1, 1_300_000), random_bytes(2, 1_300_000));
    let page = minified(5, 200_000, 1);
    let with_archive = [&minified(5, 200_000, 2)[..], &other[..300_000]].concat();
    for (name, old, new) in [
        ("random bytes", &archive, &other),
        ("text to random bytes", &page, &other),
        ("an archive in it", &page, &with_archive),
    ] {
        for thorough in [false, true] {
            let delta = encode(old, new, EncodeOptions::new().codec(Codec::Dense).thorough(thorough));
            assert_ne!(delta[header_len(old, new)] & 0x3f, 2, "{name}");
            assert!(delta.len() < new.len() + 100, "{name}: {} bytes", delta.len());
            assert_eq!(apply_whole(old, &delta).as_ref(), Ok(new), "{name}");
        }
    }
    // Bytes of two symbols compress to an eighth, although the files have nothing in common.
    let signs = |number| random_bytes(number, 17 << 20).iter().map(|byte| b'0' + byte % 2).collect::<Vec<u8>>();
    let (old, new) = (signs(3), signs(4));
    let delta = encode(&old, &new, EncodeOptions::new().codec(Codec::Dense));
    assert_ne!(delta[header_len(&old, &new)] & 0x3f, 2, "too many new bytes");
    let renamed = minified(5, 200_000, 2);
    let delta = encode(&page, &renamed, EncodeOptions::new().codec(Codec::Dense));
    assert_eq!(delta[header_len(&page, &renamed)] & 0x3f, 2, "what it can make smaller stays with it");
}

#[test]
fn repeated_random_bytes_are_sent_once() {
    let once = random_bytes(1, 3 << 20);
    let twice = once.repeat(2);
    for thorough in [false, true] {
        let delta = encode(&[], &twice, EncodeOptions::new().thorough(thorough));
        assert!(delta.len() < once.len() + once.len() / 50, "{} bytes", delta.len());
    }
}

#[test]
fn renamed_words_and_numbers_make_a_substitution_region() {
    for (old, new) in
        [(minified(7, 150_000, 1), minified(7, 150_000, 2)), (linked(7, 150_000, 0, 0), linked(7, 150_000, 20_000, 12))]
    {
        let delta = encode(&old, &new, with(Codec::Fast));
        assert_eq!(delta[header_len(&old, &new)], 0x83);
        let at_once = encode(&old, &new, EncodeOptions::default());
        assert!(20 * delta.len() < at_once.len(), "{} bytes, and {} at once", delta.len(), at_once.len());
        assert_eq!(apply_whole(&old, &delta), Ok(new));
    }
}

/// Rules of a style sheet, as many as fit into this length.
fn rules(len: usize, keep: impl Fn(usize) -> bool) -> Vec<u8> {
    let names = ["arrow", "bell", "cloud", "door", "eye", "flag", "gear"];
    let rule = |at: usize| {
        let (first, second) = (names[at % 7], names[at * at % 11 % 7]);
        format!(".icon-{first}-{second}-{at}::before {{\n  content: \"\\e{:04x}\";\n}}\n", at * 5).into_bytes()
    };
    (0..).filter(|at| keep(*at)).flat_map(rule).take(len).collect()
}

#[test]
fn new_text_is_predicted_from_the_basis_near_it() {
    let (old, new) = (rules(100_000, |at| at % 9 != 4), rules(112_000, |_| true));
    let delta = encode(&old, &new, predicted(Codec::Fast));
    assert_eq!(delta[header_len(&old, &new)], 0x85);
    let compressed = encode(&old, &new, with(Codec::Fast));
    assert!(20 * delta.len() < 19 * compressed.len(), "{} bytes, and {} in a frame", delta.len(), compressed.len());
    assert_eq!(apply_whole(&old, &delta), Ok(new));
}

#[test]
fn a_fast_delta_with_much_new_text_is_not_predicted() {
    // Each new byte takes some 170 ns, and a fast delta may take 5 ms and 10 ns for each byte of the file.
    let (old, new) = (rules(100_000, |at| at % 2 == 0), rules(200_000, |_| true));
    let codec = |options| encode(&old, &new, options)[header_len(&old, &new)] & 0x3f;
    assert_ne!(codec(predicted(Codec::Fast)), 5);
    assert_eq!(codec(predicted(Codec::Auto { bits_per_second: 1000 })), codec(predicted(Codec::Dense)));
}

#[test]
fn the_numbers_of_a_module_that_moved_take_few_bytes() {
    let moved = Moved { functions: 3, data: 96, locals: 1, ..Moved::default() };
    for padded in [false, true] {
        let module = |moved| module(4, 500, Moved { padded, ..moved });
        let (old, new) = (module(Moved::default()), module(moved));
        let [fast, dense] = [Codec::Fast, Codec::Dense].map(|codec| encode(&old, &new, with(codec)));
        assert_eq!(dense[header_len(&old, &new)] & 0x3f, 2);
        assert!(4 * dense.len() < 3 * fast.len(), "{} bytes, and {} by the fast codec", dense.len(), fast.len());
        assert_eq!(apply_whole(&old, &dense), Ok(new));
    }
}

#[test]
fn a_byte_that_changes_alone_takes_about_a_byte() {
    let old: Vec<u8> = random_bytes(3, 300_000).into_iter().map(|byte| byte >> 1).collect();
    let segment =
        |n: usize| format!("{}A{}C", char::from(b'A' + (n * 7 % 26) as u8), char::from(b'a' + (n % 25) as u8));
    let mappings = (0..60_000).map(segment).collect::<Vec<_>>().join(",").into_bytes();
    for old in [old, mappings] {
        let mut new = old.clone();
        let changes = random_bytes(4, new.len()).into_iter().enumerate().filter(|(_, byte)| *byte < 4);
        let places: Vec<usize> = changes.map(|(at, _)| at).filter(|at| old[*at] != b',').collect();
        places.iter().for_each(|at| new[*at] += 1);
        let delta = encode(&old, &new, with(Codec::Fast));
        assert_eq!(delta[header_len(&old, &new)], 0x83);
        assert!(5 * delta.len() < 6 * places.len(), "{} bytes for {} changes", delta.len(), places.len());
        assert_eq!(apply_whole(&old, &delta), Ok(new));
    }
}

/// The length of a delta's header.
fn header_len(old: &[u8], new: &[u8]) -> usize {
    Encoder::new(old, new, EncodeOptions::default()).poll_output().unwrap().unwrap().len()
}

#[test]
fn a_changed_basis_is_noticed() {
    let (_, old, new) = cases().swap_remove(4);
    let delta = encode(&old, &new, EncodeOptions::default());
    let mut changed = old.clone();
    changed[100] ^= 1;
    assert_eq!(apply_whole(&changed, &delta).unwrap_err().reason(), "wrong-basis");
    // The receiver named the version, but its bytes were changed afterwards.
    let behind = apply(&changed, basis_of(&old), Limits::default(), [&delta[..]].into_iter());
    assert_eq!(behind.unwrap_err().reason(), "bad-group-hash");
}

#[test]
fn groups_come_out_one_by_one_and_only_verified() {
    let new = text(5, 3 * GROUP + 11);
    let delta = encode(&[], &new, EncodeOptions::default());
    let mut decoder = Decoder::new(Basis::EMPTY, Limits::default());
    decoder.handle_input(&delta);
    let mut groups = Vec::new();
    while let Event::Output(bytes) = decoder.poll_event().unwrap() {
        groups.push(bytes.len());
    }
    assert_eq!(groups, [GROUP, GROUP, GROUP, 11]);
    assert_eq!(decoder.poll_event(), Ok(Event::NeedInput), "the end has not been said");
    decoder.handle_end();
    assert_eq!(decoder.poll_event(), Ok(Event::Done));
}

#[test]
fn a_file_of_several_large_groups_and_regions() {
    let old = text(6, 20 << 20);
    let new = [&old[..3 << 20], &random_bytes(7, 17 << 20), &old[5 << 20..]].concat();
    let delta = encode(&old, &new, EncodeOptions::default());
    assert!(apply_whole(&old, &delta).as_ref() == Ok(&new));
    assert!(delta.len() < (17 << 20) + 3000);
}

#[test]
fn a_small_budget_still_finds_the_bulk() {
    let old = random_bytes(8, 8 << 20);
    let new = [&old[..5_000_000], b"here", &old[5_000_000..]].concat();
    let delta = encode(&old, &new, EncodeOptions::new().budget(64 << 10));
    assert!(delta.len() < 5_000, "{} bytes", delta.len());
    assert!(apply_whole(&old, &delta).as_ref() == Ok(&new));
}

#[test]
fn matched_chunks_are_a_basis() {
    let old = random_bytes(10, 300_000);
    let new = [&old[..100_000], b"between", &old[120_000..], &old[..50_000]].concat();
    let head = Cuts::of(&new, ChunkSizes::of(&new));
    let held = Cuts::of(&old, head.sizes()).describe(&head.list());
    let signature = Signature::sign([5; 16], &held);
    let asked = Signature::decode(&signature.encode(), MAX_TAGS).unwrap();
    let matches = asked.match_chunks(&head);
    let (runs, _) = Runs::decode(&matches.encode_runs(), signature.count()).unwrap().unwrap();
    let matched = MatchedBasis::new(&runs, &held);
    let located = matched.locate(0..matched.len()).flat_map(|piece| &old[piece.start as usize..piece.end as usize]);
    let basis: Vec<u8> = located.copied().collect();
    for thorough in [false, true] {
        let delta = collect(Encoder::matched(&matches, &new, EncodeOptions::new().thorough(thorough)));
        let bytes = apply(&basis, Basis::matched(&matched), Limits::default(), [&delta[..]].into_iter());
        assert!(bytes.as_ref() == Ok(&new));
        assert!(delta.len() < 12_000, "{} bytes", delta.len());
    }
}

#[test]
fn same_is_accepted_only_for_the_named_version() {
    let version = Version::of(b"held");
    let same = encode_same(version, 4);
    assert!(same.len() < 40);
    assert_eq!(apply_whole(b"held", &same), Ok(b"held".to_vec()));
    for basis in [&b"other"[..], b""] {
        let refused = apply_whole(basis, &same).unwrap_err();
        assert!(matches!(refused, DecodeError::UnexpectedSame { target, .. } if target == version), "{refused}");
    }
}

#[test]
fn a_long_target_is_refused_before_memory_is_taken() {
    let delta = encode(&[], &[1; 1000], EncodeOptions::default());
    let refused = apply(&[], Basis::EMPTY, Limits::new().target(999), [&delta[..]].into_iter()).unwrap_err();
    assert!(matches!(refused, DecodeError::OverLimit { limit: Limit::Target, value: 1000, max: 999, .. }), "{refused}");
    assert_eq!(refused.to_string(), "the target's length in bytes: 1000 announced, at most 999 allowed");
}

#[test]
fn the_greatest_expansion_comes_group_by_group() {
    // No delta expands more: 32 bytes of the header verify 16 MiB of the target.
    let (old, new) = (vec![0; 1 << 20], vec![0; 256 << 20]);
    let delta = encode(&old, &new, EncodeOptions::default());
    assert!(300_000 * delta.len() < new.len(), "{} bytes", delta.len());
    let mut decoder = Decoder::new(basis_of(&old), Limits::default());
    decoder.handle_input(&delta);
    let mut len = 0;
    loop {
        match decoder.poll_event().unwrap() {
            Event::NeedBasis(range) => decoder.handle_basis(&old[range.start as usize..range.end as usize]),
            Event::Output(bytes) => {
                assert!(bytes.len() <= 16 << 20);
                len += bytes.len();
            }
            Event::NeedInput => decoder.handle_end(),
            Event::Same | Event::Done => break,
        }
    }
    assert_eq!(len, new.len());
}

#[test]
fn copies_that_lie_close_together_are_asked_for_at_once() {
    let old = random_bytes(1, 1 << 20);
    let close: Vec<u8> = old.chunks(200).flat_map(|piece| [piece, b"!"].concat()).collect();
    let far: Vec<u8> = old.chunks(20_000).flat_map(|piece| &piece[..200]).copied().collect();
    // Bytes are asked for twice: to compress the new ones with, and to copy.
    for (new, most_asked, most_bytes) in [(close, 40, 2 * old.len()), (far, 2 * 53, 53 * 1000)] {
        let delta = encode(&old, &new, EncodeOptions::default());
        let mut decoder = Decoder::new(basis_of(&old), Limits::default());
        decoder.handle_input(&delta);
        decoder.handle_end();
        let (mut asked, mut bytes, mut made) = (0, 0, Vec::new());
        loop {
            match decoder.poll_event().unwrap() {
                Event::NeedBasis(range) => {
                    asked += 1;
                    bytes += range.end - range.start;
                    decoder.handle_basis(&old[range.start as usize..range.end as usize]);
                }
                Event::Output(verified) => made.extend_from_slice(verified),
                Event::NeedInput => unreachable!("the delta has ended"),
                Event::Same | Event::Done => break,
            }
        }
        assert_eq!(made, new);
        assert!(asked <= most_asked && bytes <= most_bytes as u64, "{asked} times {bytes} bytes");
    }
}

#[test]
fn an_error_is_final() {
    let mut decoder = Decoder::new(Basis::EMPTY, Limits::default());
    decoder.handle_input(b"<!doctype html>");
    let refused = decoder.poll_event().unwrap_err();
    assert!(matches!(refused, DecodeError::BadMagic { first: b'<', .. }), "{refused}");
    decoder.handle_input(&encode(&[], b"fine", EncodeOptions::default()));
    assert_eq!(decoder.poll_event(), Err(refused));
}
