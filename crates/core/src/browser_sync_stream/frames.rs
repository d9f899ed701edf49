use super::error::WireError;
use crate::input_buffer::InputBuffer;
use crate::wire::Stop;

/// Splits a stream of bytes into messages. Each message follows its length.
pub(super) struct Frames {
    input: InputBuffer,
    /// The longest allowed message in bytes.
    limit: u64,
    /// The length of the last message, including its length. It is dropped from the input later.
    given: usize,
}

impl Frames {
    pub(super) fn new(limit: u64) -> Frames {
        Frames { input: InputBuffer::default(), limit, given: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.forget_given();
        self.input.push(bytes);
    }

    pub(super) fn end(&mut self) {
        self.input.end();
    }

    /// The next message; `None` if no complete message is at hand.
    pub(super) fn poll(&mut self) -> Result<Option<&[u8]>, WireError> {
        self.forget_given();
        let mut reader = self.input.reader();
        let incomplete = |expected: u64| match self.input.ended() && !self.input.unread().is_empty() {
            true => Err(WireError::CutOff { got: self.input.unread().len() as u64, expected }),
            false => Ok(None),
        };
        let len = match reader.varint() {
            Ok(len) => len,
            Err(Stop::BadVarint) => return Err(WireError::BadLength { at: self.input.position() }),
            Err(Stop::Incomplete) => return incomplete(0),
        };
        if self.limit < len {
            return Err(WireError::MessageTooLong { len, limit: self.limit });
        }
        let prefix = reader.position();
        match reader.take(len as usize) {
            Ok(_) => self.given = prefix + len as usize,
            Err(_) => return incomplete(prefix as u64 + len),
        }
        Ok(Some(&self.input.unread()[prefix..self.given]))
    }

    pub(super) fn ended(&self) -> bool {
        self.input.ended()
    }

    fn forget_given(&mut self) {
        self.input.consume(std::mem::take(&mut self.given));
    }
}
