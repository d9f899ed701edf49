//! What the model follows in one piece: words, and the numbers of WebAssembly modules.

use super::buffer::MARGIN;
use super::primed_pages::PAGE;
use crate::delta::adaptive::hash;
use crate::delta::wasm::{Part, WasmReader};
use crate::delta::words::is_word_byte;

/// What is followed in one piece.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Followed {
    /// Words, outside of modules.
    pub(crate) words: bool,
    /// Numbers of modules.
    pub(crate) wasm: bool,
}

pub(crate) struct Tokens {
    words: bool,
    modules: Option<Box<Modules>>,
}

struct Modules {
    /// The part that each byte of the margin and the window is of.
    parts: Vec<Part>,
    /// The reader at the start of each page of the window.
    pages: Vec<WasmReader>,
    /// The reader after the target so far.
    reader: WasmReader,
}

impl Tokens {
    /// `buffer` holds the margin and the window.
    pub(super) fn new(followed: Followed, buffer: &[u8]) -> Tokens {
        Tokens { words: followed.words, modules: followed.wasm.then(|| Box::new(Modules::new(buffer))) }
    }

    /// Whether something is followed in one piece.
    #[inline]
    pub(super) fn are_followed(&self) -> bool {
        self.words || self.modules.is_some()
    }

    /// The reader after the target so far.
    #[inline]
    pub(super) fn reader(&self) -> Option<&WasmReader> {
        self.modules.as_ref().map(|modules| &modules.reader)
    }

    /// The reader after the target so far, if that ends inside a module.
    #[inline]
    pub(super) fn module(&self) -> Option<&WasmReader> {
        self.reader().filter(|reader| reader.is_inside())
    }

    /// The reader at the start of a page of the window.
    pub(super) fn at_page(&self, page: usize) -> Option<WasmReader> {
        self.modules.as_ref().map(|modules| modules.pages[page].clone())
    }

    /// Reads the target's next bytes.
    #[inline]
    pub(super) fn read(&mut self, bytes: &[u8]) {
        if let Some(modules) = &mut self.modules {
            bytes.iter().for_each(|byte| modules.reader.read(*byte));
        }
    }

    /// What begins at a place of the window, if it is followed in one piece: a word ([`Part::Outside`]) or a number.
    /// `last` is the byte before it.
    #[inline]
    pub(super) fn begins(&self, buffer: &[u8], at: usize, last: u8) -> Option<Part> {
        match self.window_part(at) {
            Part::Outside => (self.words && is_word_byte(buffer[at]) && !is_word_byte(last)).then_some(Part::Outside),
            part => part.moves().then_some(part),
        }
    }

    /// What the hash of a token begins with. Each body has its own locals.
    #[inline]
    pub(super) fn seed(&self, part: Part) -> u32 {
        let body = self.reader().map_or(0, |reader| reader.body);
        17u32.wrapping_add((part as u32) << 8).wrapping_add(if part == Part::Local { hash(body, 1) } else { 0 })
    }

    #[inline]
    pub(super) fn window_part(&self, at: usize) -> Part {
        self.modules.as_ref().map_or(Part::Outside, |modules| modules.parts[at])
    }

    /// Whether the target may continue with a token of this part.
    #[inline]
    pub(super) fn take(&self, part: Part) -> bool {
        self.reader().is_none_or(|reader| reader.part == part && reader.bytes == 0)
    }
}

impl Modules {
    fn new(buffer: &[u8]) -> Modules {
        let mut reader = WasmReader::default();
        let mut parts = vec![Part::Outside; MARGIN];
        let mut pages = Vec::with_capacity(buffer.len() / PAGE + 1);
        parts.reserve_exact(buffer.len() - MARGIN);
        for page in buffer[MARGIN..].chunks(PAGE) {
            pages.push(reader.clone());
            for byte in page {
                parts.push(if reader.bytes == 0 { reader.part } else { Part::Within });
                reader.read(*byte);
            }
        }
        pages.push(reader);
        Modules { parts, pages, reader: WasmReader::default() }
    }
}
