//! A deflate stream (RFC 1951) as what it encodes and the choices of its encoder, so that it can be written again
//! whatever program made it. Streams of one encoder have mostly the same choices where their content is the same.
//!
//! The content of such a stream is its plain bytes, then its blocks, then its matches.

mod bits;
mod huffman;
mod read;
mod tables;
mod write;

pub(super) use read::read;
pub(super) use write::write;

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};

    use super::*;
    use crate::random::random_bytes;

    /// Text with matches of all lengths and distances.
    fn text(number: u64, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len + 300);
        for bytes in random_bytes(number, len).chunks_exact(4) {
            if bytes[0] < 60 && !out.is_empty() {
                let from = usize::from(u16::from_le_bytes([bytes[2], bytes[3]])) % out.len();
                let end = (from + usize::from(bytes[1]) + 4).min(out.len());
                out.extend_from_within(from..end);
            } else {
                out.extend(bytes.iter().map(|byte| b'a' + byte % 16));
            }
            if len <= out.len() {
                break;
            }
        }
        out.truncate(len);
        out
    }

    fn deflated(plain: &[u8], level: u32, piece: usize) -> Vec<u8> {
        let (mut compress, mut out) = (Compress::new(Compression::new(level), false), Vec::new());
        out.reserve(plain.len() + plain.len() / 8 + 4096);
        for piece in plain.chunks(piece) {
            // Flushes end blocks early, with an empty stored block after each.
            compress.compress_vec(piece, &mut out, FlushCompress::Sync).unwrap();
        }
        compress.compress_vec(&[], &mut out, FlushCompress::Finish).unwrap();
        out
    }

    #[test]
    fn what_any_encoder_wrote_is_written_again() {
        let plains = [Vec::new(), b"short".to_vec(), text(1, 300_000), random_bytes(2, 70_000), vec![7; 100_000]];
        for plain in plains {
            let ours = (0..=9).flat_map(|level| [1_000, 1 << 20].map(|piece| deflated(&plain, level, piece)));
            let others = (0..=10).map(|level| miniz_oxide::deflate::compress_to_vec(&plain, level));
            for packed in ours.chain(others) {
                let mut content = vec![1, 2, 3];
                let with_more = [&packed[..], b"more"].concat();
                assert_eq!(read(&with_more, plain.len(), &mut content), Some((packed.len(), plain.len())));
                let content = &content[3..];
                assert!(content.starts_with(&plain));
                assert!(write(content, plain.len(), packed.len()) == Some(packed.clone()));
                assert_eq!(write(content, plain.len(), packed.len() - 1), None);
                if !plain.is_empty() {
                    assert_eq!(read(&packed, plain.len() - 1, &mut Vec::new()), None);
                    assert_eq!(write(content, plain.len() - 1, packed.len()), None);
                }
            }
        }
    }

    #[test]
    fn damaged_streams_are_refused_or_written_again() {
        let plain = text(3, 20_000);
        for (round, change) in random_bytes(4, 6_000).chunks_exact(3).enumerate() {
            let mut packed = deflated(&plain, 1 + round as u32 % 9, 9_000);
            let at = (usize::from(change[0]) << 8 | usize::from(change[1])) % packed.len();
            packed[at] ^= change[2];
            let mut content = Vec::new();
            if let Some((len, plain_len)) = read(&packed, 1 << 20, &mut content) {
                assert!(write(&content, plain_len, len).as_deref() == Some(&packed[..len]));
            }
        }
    }

    #[test]
    fn damaged_symbols_are_refused_or_make_something() {
        let packed = deflated(&text(5, 20_000), 6, 9_000);
        let mut content = Vec::new();
        let (_, plain) = read(&packed, 20_000, &mut content).unwrap();
        for change in random_bytes(6, 9_000).chunks_exact(3) {
            let mut content = content.clone();
            let at = plain + (usize::from(change[0]) << 8 | usize::from(change[1])) % (content.len() - plain);
            content[at] ^= change[2];
            if let Some(made) = write(&content, plain, packed.len()) {
                assert!(made.len() <= packed.len());
            }
        }
    }
}
