//! Files as browsers that fetch them plainly take them.

use std::io::{self, Read};

/// How a file is encoded for browsers that fetch it plainly.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Coding {
    Brotli,
    Zstd,
}

impl Coding {
    /// Its name in `Content-Encoding`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
        }
    }
}

/// Compresses bytes, and gives them out piece by piece.
pub(super) fn compress(coding: Coding, bytes: &[u8], write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    match coding {
        Coding::Brotli => compress_brotli(bytes, write),
        Coding::Zstd => compress_zstd(bytes, write),
    }
}

/// Level 5, fast enough for a first request to wait for, with a window that sees most of a bundle.
fn compress_brotli(bytes: &[u8], mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut reader = brotli::CompressorReader::new(bytes, 64 << 10, 5, 22);
    let mut piece = vec![0; 64 << 10];
    loop {
        match reader.read(&mut piece)? {
            0 => return Ok(()),
            read => write(&piece[..read])?,
        }
    }
}

/// Level 6, with the 8 MiB window that RFC 8878 asks every browser to have.
fn compress_zstd(bytes: &[u8], mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    use zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, zstd_sys::ZSTD_EndDirective};
    let failed = |code| io::Error::other(zstd_safe::get_error_name(code));
    let mut context = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
    context.set_parameter(CParameter::CompressionLevel(6)).map_err(failed)?;
    let mut input = InBuffer::around(bytes);
    let mut piece = vec![0; 64 << 10];
    loop {
        let mut output = OutBuffer::around(&mut piece[..]);
        let end = ZSTD_EndDirective::ZSTD_e_end;
        let left = context.compress_stream2(&mut output, &mut input, end).map_err(failed)?;
        write(output.as_slice())?;
        if left == 0 {
            return Ok(());
        }
    }
}
