//! Bytes as the characters of a string in a script. Emscripten writes modules so (`SINGLE_FILE`).

const DOUBLE: u8 = 1;
const SINGLE: u8 = 2;

/// How bytes become the text of a string, in UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Text {
    /// Whether each character is the one after the byte's, so that none is NUL.
    pub(super) shifted: bool,
    /// Which quotes have a backslash before them: 1 the double, 2 the single, 3 both.
    pub(super) quotes: u8,
}

impl Text {
    /// The letter after a backslash that stands for a character; `None` if the character stands for itself.
    fn escape(self, character: u8) -> Option<u8> {
        match character {
            b'\n' => Some(b'n'),
            b'\r' => Some(b'r'),
            b'\\' => Some(b'\\'),
            b'"' => (self.quotes & DOUBLE != 0).then_some(b'"'),
            b'\'' => (self.quotes & SINGLE != 0).then_some(b'\''),
            _ => None,
        }
    }

    /// Appends the bytes of a text; `None` if no bytes become this text.
    pub(super) fn decode(self, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut rest = text.iter();
        while let Some(first) = rest.next() {
            let character = match *first {
                b'\\' => {
                    let letter = *rest.next()?;
                    let character = match letter {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        itself => itself,
                    };
                    u16::from((self.escape(character)? == letter).then_some(character)?)
                }
                ascii @ ..0x80 => u16::from(self.escape(ascii).is_none().then_some(ascii)?),
                // U+0080 to U+0100.
                lead @ 0xc2..=0xc4 => {
                    let next = *rest.next()?;
                    let character = u16::from(lead & 0x1f) << 6 | u16::from(next & 0x3f);
                    (next & 0xc0 == 0x80 && character <= 0x100).then_some(character)?
                }
                _ => return None,
            };
            out.push(u8::try_from(character.checked_sub(u16::from(self.shifted))?).ok()?);
        }
        Some(())
    }

    /// The text of bytes; `None` if that is longer than `limit`.
    pub(super) fn encode(self, bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(limit);
        for byte in bytes {
            let character = u16::from(*byte) + u16::from(self.shifted);
            // No character takes more than two bytes.
            match u8::try_from(character) {
                Ok(ascii @ ..0x80) => match self.escape(ascii) {
                    Some(letter) => out.extend([b'\\', letter]),
                    None => out.push(ascii),
                },
                _ => out.extend([0xc0 | (character >> 6) as u8, 0x80 | (character & 0x3f) as u8]),
            }
            if limit < out.len() {
                return None;
            }
        }
        Some(out)
    }

    /// Whether the text of a module begins here.
    #[cfg(feature = "encode")]
    pub(super) fn is_module_at(file: &[u8], start: usize) -> bool {
        matches!(file[start..].first_chunk::<4>(), Some(b"\0asm" | b"\x01btn"))
    }

    /// The string that begins at `start`, behind its quote: its length, how it is written, and its bytes.
    #[cfg(feature = "encode")]
    pub(super) fn string_at(file: &[u8], start: usize) -> Option<(usize, Text, Vec<u8>)> {
        let text = file.get(start..)?;
        let shifted = *text.first()? != 0;
        let quote = *file.get(start.checked_sub(1)?)?;
        let (own, other, other_quote) = match quote {
            b'"' => (DOUBLE, SINGLE, b'\''),
            b'\'' => (SINGLE, DOUBLE, b'"'),
            _ => return None,
        };
        let (mut len, mut quotes) = (0, own);
        loop {
            match *text.get(len)? {
                b'\\' => {
                    quotes |= if *text.get(len + 1)? == other_quote { other } else { 0 };
                    len += 2;
                }
                byte if byte == quote => break,
                _ => len += 1,
            }
        }
        let (this, mut bytes) = (Text { shifted, quotes }, Vec::with_capacity(len));
        this.decode(&text[..len], &mut bytes)?;
        Some((len, this, bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    #[cfg(feature = "encode")]
    use crate::random::random_bytes;

    const FORMS: [Text; 6] = [
        Text { shifted: false, quotes: DOUBLE },
        Text { shifted: false, quotes: SINGLE },
        Text { shifted: false, quotes: DOUBLE | SINGLE },
        Text { shifted: true, quotes: DOUBLE },
        Text { shifted: true, quotes: SINGLE },
        Text { shifted: true, quotes: DOUBLE | SINGLE },
    ];

    #[test]
    fn every_byte_goes_both_ways() {
        let bytes: Vec<u8> = (0..=255).collect();
        for form in FORMS {
            let text = form.encode(&bytes, 1000).unwrap();
            let mut back = Vec::new();
            form.decode(&text, &mut back).unwrap();
            assert_eq!(back, bytes, "{form:?}");
            assert!(std::str::from_utf8(&text).unwrap().chars().all(|character| !matches!(character, '\n' | '\r')));
            assert_eq!(form.encode(&bytes, text.len() - 1), None);
        }
    }

    #[test]
    fn the_text_is_what_a_script_means() {
        let text = |form: Text, bytes: &[u8]| String::from_utf8(form.encode(bytes, 100).unwrap()).unwrap();
        assert_eq!(text(FORMS[0], b"\0\n\r\\\"'\x80\xff"), "\0\\n\\r\\\\\\\"'\u{80}\u{ff}");
        assert_eq!(text(FORMS[1], b"\"'"), "\"\\'");
        assert_eq!(text(FORMS[5], b"\0\x09\x0c\x5b!&\x7f\xff"), "\u{1}\\n\\r\\\\\\\"\\'\u{80}\u{100}");
    }

    #[cfg(feature = "encode")]
    #[test]
    fn a_string_is_read_to_its_end() {
        let module = [b"\0asm\x01\0\0\0".to_vec(), random_bytes(1, 5_000)].concat();
        for form in FORMS {
            let quote = if form.quotes & DOUBLE != 0 { "\"" } else { "'" };
            let text = form.encode(&module, 20_000).unwrap();
            let file = [b"f(", quote.as_bytes(), &text, quote.as_bytes(), b");"].concat();
            assert_eq!(Text::string_at(&file, 3), Some((text.len(), form, module.clone())), "{form:?}");
            assert_eq!(Text::string_at(&file[..text.len()], 3), None, "no end");
            let other = [b"f(`", &text[..], b"`);"].concat();
            assert_eq!(Text::string_at(&other, 3), None, "another quote");
        }
    }

    proptest! {
        /// What is accepted is the text of its bytes.
        #[test]
        fn only_the_one_text_of_bytes_is_accepted(
            text in prop::collection::vec(prop::sample::select(&b"a\\nr\"'\n\x00\xc2\xc3\xc4\xc5\x80\xbf"[..]), 0..8),
            form in 0..FORMS.len(),
        ) {
            let mut bytes = Vec::new();
            if FORMS[form].decode(&text, &mut bytes).is_some() {
                prop_assert_eq!(FORMS[form].encode(&bytes, text.len()), Some(text));
            }
        }
    }
}
