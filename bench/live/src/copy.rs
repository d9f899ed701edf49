//! Copies a file as a publisher must: what a history that stores it is held against.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::Failure;

/// Reads a file, hashes it, and writes a copy that lasts. Prints the microseconds.
pub(crate) fn copy(from: &str, to: &str) -> Result<(), Failure> {
    let begin = Instant::now();
    let bytes = fs::read(from)?;
    let hash = blake3::hash(&bytes);
    let mut file = File::create(to)?;
    file.write_all(&bytes)?;
    file.sync_data()?;
    File::open(Path::new(to).parent().ok_or("no folder")?)?.sync_all()?;
    let taken = begin.elapsed();
    // So that the hash is needed.
    if hash == blake3::hash(b"") && !bytes.is_empty() {
        return Err("two files with one hash".into());
    }
    println!("{}", taken.as_micros());
    Ok(())
}
