use crate::wire::ByteReader;

/// Bytes that were received, of which some are not read yet.
#[derive(Default)]
pub(crate) struct InputBuffer {
    bytes: Vec<u8>,
    at: usize,
    received: u64,
    ended: bool,
}

impl InputBuffer {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
        self.received += bytes.len() as u64;
    }

    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    pub(crate) fn reader(&self) -> ByteReader<'_> {
        ByteReader::new(self.unread())
    }

    pub(crate) fn consume(&mut self, len: usize) {
        self.at += len;
    }

    /// Takes back the last bytes that were consumed since the last push.
    #[cfg(feature = "containers")]
    pub(crate) fn give_back(&mut self, len: usize) {
        self.at -= len;
    }

    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Bytes read so far.
    pub(crate) fn position(&self) -> u64 {
        self.received - self.unread().len() as u64
    }
}
