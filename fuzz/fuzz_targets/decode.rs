//! Decodes any bytes after a good header, split anywhere. The decoder must fail or make the right file.
#![no_main]

use driblet_core::{Basis, Decoder, EncodeOptions, Encoder, Event, Limits, Version};
use libfuzzer_sys::fuzz_target;

const TARGET: &[u8] = &[b'x'; 3000];

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (piece, with_header, bytes) = input;
    let basis: Vec<u8> = (0..2000u32).map(|i| (i * i >> 3) as u8).collect();
    let mut decoder = Decoder::new(Basis::of(&Version::of(&basis), basis.len() as u64), Limits::new().target(1 << 20));
    if with_header {
        let header = Encoder::new(&basis, TARGET, EncodeOptions::default()).poll_output();
        decoder.handle_input(&header.expect("it encodes").expect("it has a header"));
    }
    let mut pieces = bytes.chunks(usize::from(piece) + 1);
    let mut output = Vec::new();
    loop {
        match decoder.poll_event() {
            Err(_) => return,
            Ok(Event::NeedInput) => match pieces.next() {
                Some(piece) => decoder.handle_input(piece),
                None => decoder.handle_end(),
            },
            Ok(Event::NeedBasis(range)) => decoder.handle_basis(&basis[range.start as usize..range.end as usize]),
            Ok(Event::Output(verified)) => output.extend_from_slice(verified),
            Ok(Event::Same) => return,
            Ok(Event::Done) => break,
        }
    }
    let made = decoder.header().expect("it is done").target();
    assert_eq!(Version::of(&output), made);
});
