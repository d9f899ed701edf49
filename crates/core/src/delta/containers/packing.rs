//! Decodes and encodes one stream.

use base64::Engine;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::stream::{Form, Stream, Zlib};
use super::symbols;

/// Decodes a stream. `None` if it does not encode exactly as many bytes as it says.
pub(super) fn unpack(stream: &Stream, packed: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let begin = out.len();
    match stream.form {
        Form::Base64 { url } => {
            let engine = base64_engine(url, packed.len(), stream.content)?;
            out.resize(begin + stream.content, 0);
            let len = engine.decode_slice(packed, &mut out[begin..]).ok()?;
            (len == stream.content).then_some(())
        }
        Form::Text(text) => {
            text.decode(packed, out)?;
            (out.len() - begin == stream.content).then_some(())
        }
        Form::Symbols { plain } => {
            let (read, made) = symbols::read(packed, plain, out)?;
            (read == packed.len() && made == plain && out.len() - begin == stream.content).then_some(())
        }
        Form::Deflate { .. } => {
            let (read, made) = inflate(packed, stream.content, out)?;
            (read == packed.len() && made == stream.content).then_some(())
        }
    }
}

/// Encodes a stream. `None` if it does not become exactly as long as it says.
pub(super) fn pack(stream: &Stream, content: &[u8], deflater: &mut Deflater) -> Option<Vec<u8>> {
    match stream.form {
        Form::Base64 { url } => {
            let engine = base64_engine(url, stream.packed, content.len())?;
            let mut packed = vec![0; stream.packed];
            let len = engine.encode_slice(content, &mut packed).ok()?;
            (len == stream.packed).then_some(packed)
        }
        Form::Text(text) => text.encode(content, stream.packed).filter(|packed| packed.len() == stream.packed),
        Form::Symbols { plain } => {
            let packed = symbols::write(content, plain, stream.packed)?;
            (packed.len() == stream.packed).then_some(packed)
        }
        Form::Deflate { zlib } => {
            let packed = deflater.deflate(zlib?, content, stream.packed)?;
            (packed.len() == stream.packed).then_some(packed)
        }
    }
}

/// How `content` bytes become `packed` characters; `None` if they cannot.
fn base64_engine(url: bool, packed: usize, content: usize) -> Option<&'static GeneralPurpose> {
    let (padded, bare) = (content.div_ceil(3) * 4, (content * 4).div_ceil(3));
    (packed == padded || packed == bare).then(|| base64(url, packed == padded))
}

pub(super) fn base64(url: bool, padded: bool) -> &'static GeneralPurpose {
    match (url, padded) {
        (false, true) => &STANDARD,
        (false, false) => &STANDARD_NO_PAD,
        (true, true) => &URL_SAFE,
        (true, false) => &URL_SAFE_NO_PAD,
    }
}

/// Inflates a stream that makes at most `limit` bytes. Gives how many bytes were read and made; `None` if it is no
/// stream, or a longer one.
pub(super) fn inflate(packed: &[u8], limit: usize, out: &mut Vec<u8>) -> Option<(usize, usize)> {
    let (begin, mut inflater) = (out.len(), Decompress::new(false));
    let mut room = limit.min(4 * packed.len().min(1 << 20));
    loop {
        // One byte more than the limit, so that a stream that ends there is read to its end.
        out.reserve(room + 1);
        let (read, made) = (inflater.total_in() as usize, out.len() - begin);
        let status = inflater.decompress_vec(&packed[read..], out, FlushDecompress::None).ok()?;
        let (now_read, now_made) = (inflater.total_in() as usize, out.len() - begin);
        if limit < now_made {
            return None;
        }
        match status {
            Status::StreamEnd => return Some((now_read, now_made)),
            _ if (now_read, now_made) == (read, made) => return None,
            _ => room = (limit - now_made).min(now_made.max(4 << 10)),
        }
    }
}

/// zlib, which is set up anew only if its parameters change.
#[derive(Default)]
pub(super) struct Deflater(Option<(Zlib, Compress)>);

impl Deflater {
    /// Deflates bytes; `None` if that takes more than `limit` bytes.
    pub(super) fn deflate(&mut self, zlib: Zlib, content: &[u8], limit: usize) -> Option<Vec<u8>> {
        let compress = self.with(zlib);
        let mut packed = Vec::with_capacity(limit);
        match compress.compress_vec(content, &mut packed, FlushCompress::Finish).ok()? {
            Status::StreamEnd => Some(packed),
            _ => None,
        }
    }

    /// The first bytes of the stream that zlib makes of content that begins so.
    #[cfg(feature = "encode")]
    pub(super) fn begin(&mut self, zlib: Zlib, content: &[u8]) -> Option<Vec<u8>> {
        let compress = self.with(zlib);
        let mut packed = Vec::with_capacity(content.len() + 1024);
        compress.compress_vec(content, &mut packed, FlushCompress::None).ok()?;
        Some(packed)
    }

    fn with(&mut self, zlib: Zlib) -> &mut Compress {
        let same = self.0.take().filter(|(last, _)| *last == zlib).map(|(_, mut compress)| {
            compress.reset();
            compress
        });
        let new = || Compress::new_with_window_bits(Compression::new(zlib.level), false, zlib.window_bits);
        &mut self.0.insert((zlib, same.unwrap_or_else(new))).1
    }
}
