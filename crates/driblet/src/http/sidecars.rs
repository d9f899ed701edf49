//! Sidecars: files that a build has compressed already, such as `app.js.br` beside `app.js`.
//!
//! A sidecar is sent only if it decodes to the very version of its file. So an old one does no harm.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use driblet_core::Version;
use moka::sync::Cache;
use tracing::warn;
use zstd_safe::{DCtx, InBuffer, OutBuffer};

use super::admission::Admission;
use super::content::of_version;
use super::problem::Problem;
use crate::artifacts::{Coding, Content};
use crate::history::StoredVersion;
use crate::publisher::PublishError;
use crate::site::{OpenPlain, Site};
use crate::task::blocking;

/// How long a file without a sidecar is taken to have none.
const ABSENCE: Duration = Duration::from_secs(2);
/// How many paths, and how many pairs of versions, are remembered.
const REMEMBERED: u64 = 16 << 10;

/// What is known of sidecars.
pub(crate) struct Sidecars {
    /// Paths at which there is no sidecar.
    absent: Cache<String, ()>,
    /// Whether a sidecar decodes to a file: by the versions of the file and of the sidecar.
    checked: Cache<(Version, Version), bool>,
}

impl Sidecars {
    pub(crate) fn new() -> Sidecars {
        Sidecars {
            absent: Cache::builder().max_capacity(REMEMBERED).time_to_live(ABSENCE).build(),
            checked: Cache::new(REMEMBERED),
        }
    }

    /// The sidecar of a file in a coding, and its ETag; `None` if there is none that is this version of the file.
    pub(super) async fn find(
        &self,
        site: &Site,
        admission: &Admission,
        (path, stored): (&str, &Arc<StoredVersion>),
        coding: Coding,
    ) -> Result<Option<(Content, String)>, Problem> {
        let sidecar_path = format!("{path}.{}", coding.extension());
        if self.absent.contains_key(&sidecar_path) {
            return Ok(None);
        }
        let Ok(admitted) = admission.admit(&sidecar_path).await else { return Ok(None) };
        let OpenPlain::File(_, sidecar) = site.open_plain(admitted).await? else {
            self.absent.insert(sidecar_path, ());
            return Ok(None);
        };
        let versions = (stored.version, sidecar.version);
        let is_right = match self.checked.get(&versions) {
            Some(is_right) => is_right,
            None => {
                let (file, encoded) = (stored.clone(), sidecar.clone());
                let check = move || Ok::<_, PublishError>(decodes_to(encoded.bytes(), coding, file.version, file.len));
                let is_right = blocking(check).await?;
                if !is_right {
                    warn!(
                        path = sidecar_path,
                        "a compressed file is not sent: it is another version of its file, or damaged; compress the file again"
                    );
                }
                self.checked.insert(versions, is_right);
                is_right
            }
        };
        if !is_right || stored.len <= sidecar.len {
            return Ok(None);
        }
        let etag = format!("{}-{}-{}", stored.version, coding.name(), &sidecar.version.to_string()[..8]);
        Ok(Some((of_version(&sidecar)?, etag)))
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
