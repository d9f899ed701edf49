//! Decodes and verifies a delta in memory, and prints the seconds of each run: `decode RUNS OLD DELTA`.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use driblet_core::{Basis, DecodeError, Decoder, Event, Limits, Version};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [runs, old, delta] = arguments.as_slice() else {
        return Err("usage: decode RUNS OLD DELTA".into());
    };
    let (old, delta) = (std::fs::read(old)?, std::fs::read(delta)?);
    let basis = Basis::of(&Version::of(&old), old.len() as u64);
    for _ in 0..runs.parse()? {
        let begin = Instant::now();
        decode(Decoder::new(basis.clone(), Limits::default()), &old, &delta)?;
        println!("{:.6}", begin.elapsed().as_secs_f64());
    }
    Ok(())
}

fn decode(mut decoder: Decoder, old: &[u8], delta: &[u8]) -> Result<(), DecodeError> {
    decoder.handle_input(delta);
    decoder.handle_end();
    loop {
        match decoder.poll_event()? {
            Event::NeedBasis(range) => decoder.handle_basis(&old[range.start as usize..range.end as usize]),
            Event::Output(bytes) => {
                black_box(bytes);
            }
            Event::NeedInput | Event::Same | Event::Done => return Ok(()),
        }
    }
}
