//! Bounds the number of searches where nothing aligns.

use super::*;
use crate::random::random_text;

#[test]
fn unrelated_bytes_take_few_searches() {
    const LEN: usize = 1_000_000;
    let all: Vec<u8> = (0..=255).collect();
    let signs = b"abcdefgh(){};,. \n_$=+-*/<>!?&|^%";
    let lines = b"a line that is the same\n".repeat(LEN / 24);
    for (window, target) in [
        (random_text(1, LEN, &all), random_text(2, LEN, &all)),
        (random_text(1, LEN, signs), random_text(2, LEN, signs)),
        (random_text(1, LEN, b"ACGT "), random_text(2, LEN, b"ACGT ")),
        (lines.clone(), random_text(2, LEN, signs)),
        (lines, random_text(2, LEN, &all)),
    ] {
        let searches = align_sequences(&window, &target, Grain::Words).searches;
        assert!(searches * 256 < LEN, "{searches} for {:?} after {:?}", &target[..20], &window[..20]);
    }
}

#[test]
fn a_part_after_many_random_bytes_is_aligned_from_its_start() {
    let all: Vec<u8> = (0..=255).collect();
    let old = random_text(1, 100_000, &all);
    let new = [&random_text(2, 1_000_000, &all)[..], &old].concat();
    assert!(align_sequences(&old, &new, Grain::Words).starts.contains(&(1_000_000, 0)));
}

#[test]
fn each_part_of_the_target_has_one_start() {
    let text = random_text(1, 20_000, b"abcdefgh(){};,. \n");
    let module = [&b"\0asm\x01\0\0\0"[..], &random_text(2, 20_000, b"abc\x20\x41\x6a\x0b")].concat();
    for (file, grain) in [(text, Grain::Words), (module, Grain::Modules { jump: 20 })] {
        for (cut, before) in [(500, &b""[..]), (0, b"new"), (500, b"new")] {
            let target = [before, &file[cut..]].concat();
            let starts = align_sequences(&file, &target, grain).starts;
            assert!(starts.is_sorted_by(|a, b| a.0 < b.0), "{starts:?}");
        }
    }
}
