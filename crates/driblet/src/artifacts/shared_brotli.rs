//! Compresses with libbrotli against a dictionary. The `brotli` crate, which is used otherwise, has no such dictionaries.
#![allow(unsafe_code)]

use std::io;
use std::ptr::{self, NonNull};
use std::slice;

use compu_brotli_sys::{
    BrotliEncoderAttachPreparedDictionary, BrotliEncoderCompressStream, BrotliEncoderCreateInstance,
    BrotliEncoderDestroyInstance, BrotliEncoderDestroyPreparedDictionary, BrotliEncoderIsFinished,
    BrotliEncoderOperation_BROTLI_OPERATION_FINISH as FINISH, BrotliEncoderParameter,
    BrotliEncoderParameter_BROTLI_PARAM_LGWIN as WINDOW, BrotliEncoderParameter_BROTLI_PARAM_QUALITY as QUALITY,
    BrotliEncoderParameter_BROTLI_PARAM_SIZE_HINT as SIZE_HINT, BrotliEncoderPrepareDictionary,
    BrotliEncoderPreparedDictionary, BrotliEncoderSetParameter, BrotliEncoderState, BrotliEncoderTakeOutput,
    BrotliSharedDictionaryType_BROTLI_SHARED_DICTIONARY_RAW as RAW,
};

use super::error::ArtifactError;

/// The longest window of Brotli, and of a dictionary's decoder (RFC 9842, section 4): log2 of its bytes.
const LONGEST_WINDOW: u32 = 24;

/// Compresses bytes against a dictionary, and passes the output on piece by piece.
pub(super) fn compress(
    dictionary: &[u8],
    bytes: &[u8],
    quality: u32,
    mut write: impl FnMut(&[u8]) -> Result<(), ArtifactError>,
) -> Result<(), ArtifactError> {
    let dictionary = PreparedDictionary::new(dictionary, quality)?;
    let mut encoder = Encoder::new()?;
    // A window of this length reaches from the end to the start.
    let window = (bytes.len() as u64 + 16).next_power_of_two().trailing_zeros().clamp(16, LONGEST_WINDOW);
    encoder.set(QUALITY, quality)?;
    encoder.set(WINDOW, window)?;
    encoder.set(SIZE_HINT, u32::try_from(bytes.len()).unwrap_or(u32::MAX))?;
    encoder.attach(&dictionary)?;
    let mut rest = bytes;
    while !encoder.is_finished() {
        rest = encoder.finish(rest)?;
        write(encoder.output())?;
    }
    Ok(())
}

/// A dictionary with an index of what is in it.
struct PreparedDictionary<'a> {
    prepared: NonNull<BrotliEncoderPreparedDictionary>,
    /// libbrotli refers to the bytes.
    _bytes: &'a [u8],
}

impl<'a> PreparedDictionary<'a> {
    fn new(bytes: &'a [u8], quality: u32) -> Result<PreparedDictionary<'a>, ArtifactError> {
        // SAFETY: the pointer and the length are those of a slice that outlives the prepared dictionary.
        let prepared = unsafe {
            let (data, none) = (bytes.as_ptr(), ptr::null_mut());
            BrotliEncoderPrepareDictionary(RAW, bytes.len(), data, quality as i32, None, None, none)
        };
        Ok(PreparedDictionary { prepared: NonNull::new(prepared).ok_or_else(out_of_memory)?, _bytes: bytes })
    }
}

impl Drop for PreparedDictionary<'_> {
    fn drop(&mut self) {
        // SAFETY: nothing else destroys it.
        unsafe { BrotliEncoderDestroyPreparedDictionary(self.prepared.as_ptr()) }
    }
}

/// An encoder, which a dictionary outlives.
struct Encoder<'a> {
    state: NonNull<BrotliEncoderState>,
    dictionary: Option<&'a PreparedDictionary<'a>>,
}

impl<'a> Encoder<'a> {
    fn new() -> Result<Encoder<'a>, ArtifactError> {
        // SAFETY: without functions of ours, libbrotli allocates with malloc.
        let state = unsafe { BrotliEncoderCreateInstance(None, None, ptr::null_mut()) };
        Ok(Encoder { state: NonNull::new(state).ok_or_else(out_of_memory)?, dictionary: None })
    }

    fn set(&mut self, parameter: BrotliEncoderParameter, value: u32) -> Result<(), ArtifactError> {
        // SAFETY: the state is valid.
        let set = unsafe { BrotliEncoderSetParameter(self.state.as_ptr(), parameter, value) };
        done(set)
    }

    fn attach(&mut self, dictionary: &'a PreparedDictionary<'a>) -> Result<(), ArtifactError> {
        self.dictionary = Some(dictionary);
        // SAFETY: both are valid, and the dictionary outlives the state.
        let attached =
            unsafe { BrotliEncoderAttachPreparedDictionary(self.state.as_ptr(), dictionary.prepared.as_ptr()) };
        done(attached)
    }

    /// Compresses the last bytes until there is output, and gives those that are left.
    fn finish<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], ArtifactError> {
        let (mut left, mut next) = (bytes.len(), bytes.as_ptr());
        let (mut room, mut output) = (0, ptr::null_mut());
        // SAFETY: `next` has `left` bytes. Without room for output, it stays in the state.
        let compressed = unsafe {
            let total = ptr::null_mut();
            BrotliEncoderCompressStream(
                self.state.as_ptr(),
                FINISH,
                &mut left,
                &mut next,
                &mut room,
                &mut output,
                total,
            )
        };
        done(compressed)?;
        Ok(&bytes[bytes.len() - left..])
    }

    /// The output since the last call.
    fn output(&mut self) -> &[u8] {
        let mut len = 0;
        // SAFETY: the pointer has `len` bytes until the next call on the state, which needs `self`.
        unsafe {
            let output = BrotliEncoderTakeOutput(self.state.as_ptr(), &mut len);
            if len == 0 { &[] } else { slice::from_raw_parts(output, len) }
        }
    }

    fn is_finished(&self) -> bool {
        // SAFETY: the state is valid.
        unsafe { BrotliEncoderIsFinished(self.state.as_ptr()) != 0 }
    }
}

impl Drop for Encoder<'_> {
    fn drop(&mut self) {
        // SAFETY: nothing else destroys it.
        unsafe { BrotliEncoderDestroyInstance(self.state.as_ptr()) }
    }
}

fn done(result: i32) -> Result<(), ArtifactError> {
    if result == 0 { Err(out_of_memory()) } else { Ok(()) }
}

/// The only failure of an encoder that is used as it should be.
fn out_of_memory() -> ArtifactError {
    io::Error::from(io::ErrorKind::OutOfMemory).into()
}

#[cfg(test)]
mod tests {
    use compu_brotli_sys::{
        BrotliDecoderAttachDictionary, BrotliDecoderCreateInstance, BrotliDecoderDecompressStream,
        BrotliDecoderDestroyInstance,
    };

    use super::*;

    /// Decompresses at most `room` bytes with libbrotli's decoder.
    fn decompress(dictionary: &[u8], bytes: &[u8], room: usize) -> Vec<u8> {
        let mut output = vec![0; room];
        // SAFETY: all pointers have the lengths that are given with them.
        unsafe {
            let state = BrotliDecoderCreateInstance(None, None, ptr::null_mut());
            assert_eq!(BrotliDecoderAttachDictionary(state, RAW, dictionary.len(), dictionary.as_ptr()), 1);
            let (mut left, mut next) = (bytes.len(), bytes.as_ptr());
            let (mut free, mut at) = (room, output.as_mut_ptr());
            let done = BrotliDecoderDecompressStream(state, &mut left, &mut next, &mut free, &mut at, ptr::null_mut());
            BrotliDecoderDestroyInstance(state);
            assert_eq!((done, left), (1, 0));
            output.truncate(room - free);
        }
        output
    }

    #[test]
    fn what_is_in_the_dictionary_takes_no_bytes() {
        // No byte of these repeats within them.
        let noise: Vec<u8> = (0..200_000u64).map(|number| blake3::hash(&number.to_le_bytes()).as_bytes()[0]).collect();
        for (dictionary, bytes) in [
            (&noise[..], [&noise[..100_000], b"changed", &noise[100_000..]].concat()),
            (&noise[..], Vec::new()),
            (&noise[..1], noise[..10].to_vec()),
        ] {
            for quality in [5, 9, 11] {
                let mut packed = Vec::new();
                compress(dictionary, &bytes, quality, |piece| {
                    packed.extend_from_slice(piece);
                    Ok(())
                })
                .unwrap();
                assert!(packed.len() < 100, "{} bytes at {quality}", packed.len());
                assert_eq!(decompress(dictionary, &packed, 300_000), bytes);
            }
        }
    }
}
