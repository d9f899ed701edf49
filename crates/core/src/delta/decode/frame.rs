use zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer};

use crate::delta::error::DecodeError;
use crate::delta::format::WINDOW_LOG;

/// Decodes one zstd frame piece by piece.
pub(crate) struct FrameDecoder {
    context: DCtx<'static>,
    ended: bool,
}

/// How many bytes a step consumed and produced.
pub(crate) struct FrameProgress {
    pub(crate) consumed: usize,
    pub(crate) produced: usize,
}

impl FrameDecoder {
    /// A decoder with a raw prefix; an empty prefix means none. The prefix must not begin like a formatted dictionary.
    pub(crate) fn new(prefix: &[u8]) -> Result<FrameDecoder, DecodeError> {
        let mut context = DCtx::try_create().ok_or(DecodeError::BadZstd { what: "no memory for its context" })?;
        context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(refused)?;
        if !prefix.is_empty() {
            context.load_dictionary(prefix).map_err(refused)?;
        }
        Ok(FrameDecoder { context, ended: false })
    }

    /// Whether the frame has ended.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Decodes as much as fits into `output`. After the frame's end this consumes nothing.
    pub(crate) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<FrameProgress, DecodeError> {
        if self.ended {
            return Ok(FrameProgress { consumed: 0, produced: 0 });
        }
        let mut input = InBuffer::around(input);
        let mut output = OutBuffer::around(output);
        let hint = self.context.decompress_stream(&mut output, &mut input).map_err(refused)?;
        self.ended = hint == 0;
        Ok(FrameProgress { consumed: input.pos(), produced: output.pos() })
    }

    /// Decodes a complete frame that must give exactly `len` bytes.
    pub(crate) fn decode_whole(packed: &[u8], len: usize) -> Result<Vec<u8>, DecodeError> {
        let mut frame = FrameDecoder::new(&[])?;
        let mut bytes = vec![0; len];
        let (mut read, mut written) = (0, 0);
        loop {
            let step = frame.step(&packed[read..], &mut bytes[written..])?;
            read += step.consumed;
            written += step.produced;
            if frame.ended || (step.consumed == 0 && step.produced == 0) {
                break;
            }
        }
        if frame.ended && read == packed.len() && written == len {
            Ok(bytes)
        } else {
            Err(DecodeError::BadZstd { what: "it does not have the announced length" })
        }
    }
}

fn refused(code: usize) -> DecodeError {
    if zstd_safe::is_error_kind(code, zstd_safe::zstd_sys::ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge) {
        return DecodeError::Window { max_log: WINDOW_LOG };
    }
    DecodeError::BadZstd { what: zstd_safe::get_error_name(code) }
}
