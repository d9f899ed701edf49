//! Encodes in memory. Prints the fewest CPU seconds of all runs, and the length of the delta: `encode RUNS HOW OLD NEW
//! [HOW OLD NEW]…`.
//!
//! `HOW` is `at-once` for an interactive encoder, or the codec of a thorough encoder: `fast`, `dense`, or `auto` for 20
//! Mbit/s. An `OLD` of `-` is the empty basis. The example needs Linux.

use std::error::Error;
use std::fs;

use driblet_core::{Codec, EncodeError, EncodeOptions, Encoder};

const LINK: u32 = 20_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((runs, cases)) = arguments.split_first().filter(|(_, cases)| cases.len() % 3 == 0) else {
        return Err("usage: encode RUNS HOW OLD NEW [HOW OLD NEW]…".into());
    };
    for case in cases.chunks_exact(3) {
        let options = options(&case[0])?;
        let old = if case[1] == "-" { Vec::new() } else { fs::read(&case[1])? };
        let new = fs::read(&case[2])?;
        let (mut least, mut len) = (u64::MAX, 0);
        for _ in 0..runs.parse()? {
            let begin = cpu_nanoseconds()?;
            len = encode(Encoder::new(&old, &new, options))?;
            least = least.min(cpu_nanoseconds()? - begin);
        }
        println!("{:.3} {len}", least as f64 / 1e9);
    }
    Ok(())
}

fn options(how: &str) -> Result<EncodeOptions, Box<dyn Error>> {
    let codec = match how {
        "at-once" | "fast" => Codec::Fast,
        "dense" => Codec::Dense,
        "auto" => Codec::Auto { bits_per_second: LINK },
        _ => return Err(format!("no way to encode is called {how}").into()),
    };
    Ok(EncodeOptions::new().codec(codec).thorough(how != "at-once"))
}

fn encode(mut encoder: Encoder<'_>) -> Result<usize, EncodeError> {
    let mut len = 0;
    while let Some(bytes) = encoder.poll_output()? {
        len += bytes.len();
    }
    Ok(len)
}

/// The CPU time of this thread. An encoder uses no other thread.
fn cpu_nanoseconds() -> Result<u64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(stat.split(' ').next().unwrap_or_default().parse()?)
}
