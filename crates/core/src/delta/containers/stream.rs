//! The lists of streams at the begin of a region.

use super::text::Text;
use crate::delta::error::{DecodeError, Limit};
use crate::delta::format::{MAX_STREAMS, MAX_UNPACKED};
#[cfg(feature = "encode")]
use crate::wire::put_varint;
use crate::wire::{ByteReader, Stop};

/// How a stream encodes its content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// RFC 4648, section 4 or 5, on one line. The length says whether it is padded.
    Base64 { url: bool },
    /// The text of a string.
    Text(Text),
    /// RFC 1951. A stream of the target also says how zlib makes it; one of the basis is only inflated.
    Deflate { zlib: Option<Zlib> },
    /// RFC 1951. The content is so many plain bytes, and the choices of the encoder.
    Symbols { plain: usize },
}

/// The parameters with which zlib makes a stream. Its other ones are the defaults: memory level 8, the default strategy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Zlib {
    /// 1 to 9.
    pub(super) level: u32,
    /// log2 of the window's length, 9 to 15.
    pub(super) window_bits: u8,
}

/// A stream in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stream {
    /// The bytes between the stream before it, or the begin of the file, and this one.
    pub(super) gap: usize,
    /// The length of the stream.
    pub(super) packed: usize,
    /// The length of what it encodes.
    pub(super) content: usize,
    pub(super) form: Form,
}

/// The streams of one side.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Streams {
    pub(super) list: Vec<Stream>,
    /// The length of the file with each stream replaced by its content.
    pub(super) unpacked_len: usize,
}

const BASE64: u64 = 0;
/// With how the text is written, which is not 0.
const TEXT: u64 = BASE64;
const BASE64_URL: u64 = 1;
const DEFLATE: u64 = 2;
const SYMBOLS: u64 = 3;

impl Form {
    /// A form by its number. `plain` reads what follows for some.
    fn parse(number: u64, plain: impl FnOnce() -> Result<u64, DecodeError>) -> Result<Form, DecodeError> {
        const UNKNOWN: DecodeError = DecodeError::BadContainers { what: "a form is not known" };
        let (kind, rest) = (number & 3, number >> 2);
        match (kind, rest) {
            (BASE64, 0) => Ok(Form::Base64 { url: false }),
            (TEXT, 1..=7) if rest & 3 != 0 => Ok(Form::Text(Text { shifted: 4 < rest, quotes: rest as u8 & 3 })),
            (BASE64_URL, 0) => Ok(Form::Base64 { url: true }),
            (DEFLATE, 0) => Ok(Form::Deflate { zlib: None }),
            (SYMBOLS, 0) => Ok(Form::Symbols { plain: Limit::Unpacked.check(plain()?, MAX_UNPACKED)? as usize }),
            (DEFLATE, rest) => {
                let (level, window_bits) = (rest & 15, 15_u64.saturating_sub(rest >> 4));
                let is_known = (1..=9).contains(&level) && (9..=15).contains(&window_bits);
                let zlib = Zlib { level: level as u32, window_bits: window_bits as u8 };
                is_known.then_some(Form::Deflate { zlib: Some(zlib) }).ok_or(UNKNOWN)
            }
            _ => Err(UNKNOWN),
        }
    }

    #[cfg(feature = "encode")]
    fn number(self) -> u64 {
        match self {
            Form::Base64 { url: false } => BASE64,
            Form::Base64 { url: true } => BASE64_URL,
            Form::Text(Text { shifted, quotes }) => TEXT | u64::from(quotes) << 2 | u64::from(shifted) << 4,
            Form::Deflate { zlib: None } => DEFLATE,
            Form::Symbols { .. } => SYMBOLS,
            Form::Deflate { zlib: Some(zlib) } => {
                DEFLATE | u64::from(zlib.level) << 2 | u64::from(15 - zlib.window_bits) << 6
            }
        }
    }
}

impl Streams {
    /// Reads the streams of a file of `len` bytes. Those of a target say how they are packed.
    pub(super) fn parse(reader: &mut ByteReader<'_>, len: u64, is_target: bool) -> Result<Streams, DecodeError> {
        let count = Limit::Streams.check(number(reader)?, MAX_STREAMS)?;
        let (mut list, mut left, mut unpacked) = (Vec::new(), len, 0_u64);
        for _ in 0..count {
            let (gap, packed, form, content) = (number(reader)?, number(reader)?, number(reader)?, number(reader)?);
            let form = Form::parse(form, || number(reader))?;
            if packed == 0 {
                return Err(DecodeError::BadContainers { what: "a stream has no bytes" });
            }
            left = left.checked_sub(gap).and_then(|left| left.checked_sub(packed)).ok_or(OUTSIDE)?;
            if matches!(form, Form::Deflate { zlib } if zlib.is_some() != is_target) {
                return Err(DecodeError::BadContainers { what: "a form is that of the other side" });
            }
            Limit::Unpacked.check(content, MAX_UNPACKED)?;
            unpacked = Limit::Unpacked.check(unpacked + gap + content, MAX_UNPACKED)?;
            list.push(Stream { gap: gap as usize, packed: packed as usize, content: content as usize, form });
        }
        let unpacked = Limit::Unpacked.check(unpacked.saturating_add(left), MAX_UNPACKED)?;
        Ok(Streams { list, unpacked_len: unpacked as usize })
    }

    #[cfg(feature = "encode")]
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, self.list.len() as u64);
        for stream in &self.list {
            let Stream { gap, packed, content, form } = *stream;
            for number in [gap as u64, packed as u64, form.number(), content as u64] {
                put_varint(out, number);
            }
            if let Form::Symbols { plain } = form {
                put_varint(out, plain as u64);
            }
        }
    }
}

const OUTSIDE: DecodeError = DecodeError::BadContainers { what: "a stream reaches outside its file" };

/// A number of a list that is there as a whole.
fn number(reader: &mut ByteReader<'_>) -> Result<u64, DecodeError> {
    reader.varint().map_err(|stop| match stop {
        Stop::Incomplete => DecodeError::BadContainers { what: "the lists of streams end too soon" },
        Stop::BadVarint => DecodeError::BadVarint,
    })
}
