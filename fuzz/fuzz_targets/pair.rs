//! Checks that `patch(basis, diff(basis, target)) == target`. The target is the basis after a list of edits.
#![no_main]

use arbitrary::Arbitrary;
use driblet_core::{Basis, Codec, Decoder, EncodeOptions, Encoder, Event, Limits, Version};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Edit<'a> {
    Insert(u16, &'a [u8]),
    Remove(u16, u16),
    Copy(u16, u16, u16),
    Repeat(u16, u8, u8),
}

#[derive(Arbitrary, Debug)]
struct Case<'a> {
    start: &'a [u8],
    before: Vec<Edit<'a>>,
    after: Vec<Edit<'a>>,
    budget: u8,
    dense: bool,
    predicted: bool,
    module: bool,
}

const MAX_LEN: usize = 1 << 17;
/// The beginning of a WebAssembly module and of its code, which may go on without end.
const MODULE: &[u8] = b"\0asm\x01\0\0\0\x0a\xff\xff\xff\x07";

fuzz_target!(|case: Case| {
    let begin = if case.module { MODULE } else { &[] };
    let basis = edited(&[begin, case.start].concat(), &case.before);
    let target = edited(&basis, &case.after);
    let codec = if case.dense { Codec::Dense } else { Codec::Fast };
    let options = EncodeOptions::new().codec(codec).budget(1 << (case.budget % 28)).thorough(case.budget < 128);
    let options = options.predicted(case.predicted);
    let mut encoder = Encoder::new(&basis, &target, options);
    let mut decoder = Decoder::new(Basis::of(&Version::of(&basis), basis.len() as u64), Limits::default());
    while let Some(piece) = encoder.poll_output().expect("it encodes") {
        decoder.handle_input(&piece);
    }
    decoder.handle_end();
    let mut output = Vec::new();
    loop {
        match decoder.poll_event().expect("it decodes") {
            Event::NeedInput | Event::Same => unreachable!("all input was handed in"),
            Event::NeedBasis(range) => decoder.handle_basis(&basis[range.start as usize..range.end as usize]),
            Event::Output(verified) => output.extend_from_slice(verified),
            Event::Done => break,
        }
    }
    assert!(output == target);
});

fn edited(start: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = start.to_vec();
    for edit in edits {
        let place = |at: u16| usize::from(at) % (bytes.len() + 1);
        match edit {
            Edit::Insert(at, new) => {
                let at = place(*at);
                bytes.splice(at..at, new.iter().copied());
            }
            Edit::Remove(at, len) => {
                let at = place(*at);
                bytes.drain(at..(at + usize::from(*len)).min(bytes.len()));
            }
            Edit::Copy(from, len, to) => {
                let (from, to) = (place(*from), place(*to));
                let copy = bytes[from..(from + usize::from(*len)).min(bytes.len())].to_vec();
                bytes.splice(to..to, copy);
            }
            Edit::Repeat(at, byte, times) => {
                let at = place(*at);
                bytes.splice(at..at, std::iter::repeat_n(*byte, 64 * usize::from(*times)));
            }
        }
        bytes.truncate(MAX_LEN);
    }
    bytes
}
