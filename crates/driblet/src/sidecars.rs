//! What is known of sidecars: files that a build has compressed, such as `app.js.br` beside `app.js`.

use std::io::{self, Read};
use std::time::Duration;

use driblet_core::Version;
use moka::sync::Cache;
use zstd_safe::{DCtx, InBuffer, OutBuffer};

use crate::artifacts::Coding;
use crate::history::StoredVersion;
use crate::recent::recent;

/// How long a file without a sidecar is taken to have none.
const ABSENCE: Duration = Duration::from_secs(2);
/// How many paths, and how many pairs of versions, are remembered.
const REMEMBERED: u64 = 16 << 10;

/// Remembers which sidecars are missing, and which ones are right.
pub(crate) struct Sidecars {
    /// Paths at which there is no sidecar.
    absent: Cache<String, ()>,
    /// Whether a sidecar decodes to a file: by the versions of the file and of the sidecar.
    checked: Cache<(Version, Version), bool>,
}

impl Sidecars {
    pub(crate) fn new() -> Sidecars {
        Sidecars { absent: recent(REMEMBERED).time_to_live(ABSENCE).build(), checked: recent(REMEMBERED).build() }
    }

    /// Whether there was no sidecar at a path a moment ago.
    pub(crate) fn is_absent(&self, path: &str) -> bool {
        self.absent.contains_key(path)
    }

    pub(crate) fn note_absence(&self, path: String) {
        self.absent.insert(path, ());
    }

    /// Whether a sidecar decodes to a file; `None` if it was not checked yet.
    pub(crate) fn known(&self, file: &StoredVersion, sidecar: &StoredVersion) -> Option<bool> {
        self.checked.get(&(file.version, sidecar.version))
    }

    /// Checks whether a sidecar decodes to a file. This reads both.
    pub(crate) fn check(&self, file: &StoredVersion, sidecar: &StoredVersion, coding: Coding) -> bool {
        let is_right = decodes_to(sidecar.bytes(), coding, file.version, file.len);
        self.checked.insert((file.version, sidecar.version), is_right);
        is_right
    }
}

/// Whether encoded bytes are those of a version of this length.
fn decodes_to(encoded: &[u8], coding: Coding, version: Version, len: u64) -> bool {
    let decoded: Box<dyn Read> = match coding {
        Coding::Brotli => Box::new(brotli::Decompressor::new(encoded, 64 << 10)),
        Coding::Zstd => Box::new(ZstdReader { context: DCtx::create(), encoded, expected: 1 }),
        Coding::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(encoded)),
    };
    // One byte more shows that there are too many.
    let (mut decoded, mut hasher, mut total) = (decoded.take(len + 1), blake3::Hasher::new(), 0);
    let mut piece = vec![0; 64 << 10];
    loop {
        match decoded.read(&mut piece) {
            Ok(0) => return total == len && hasher.finalize().as_bytes() == version.as_bytes(),
            Ok(read) => {
                hasher.update(&piece[..read]);
                total += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return false,
        }
    }
}

struct ZstdReader<'a> {
    context: DCtx<'static>,
    encoded: &'a [u8],
    /// Bytes that the decoder expects before the end of a frame; 0 at the end.
    expected: usize,
}

impl Read for ZstdReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut output = OutBuffer::around(buf);
        while output.pos() == 0 && (!self.encoded.is_empty() || 0 < self.expected) {
            let mut input = InBuffer::around(self.encoded);
            let expected = self.context.decompress_stream(&mut output, &mut input);
            self.expected = expected.map_err(|code| io::Error::other(zstd_safe::get_error_name(code)))?;
            let read = input.pos;
            if read == 0 && output.pos() == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.encoded = &self.encoded[read..];
        }
        Ok(output.pos())
    }
}
