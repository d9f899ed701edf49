//! Substituted copies: copies from the basis in which some words or numbers are replaced. Each substitution is learned
//! once.
//!
//! Minifiers rename identifiers from build to build, and linkers renumber functions and addresses. Both repeat the same
//! substitutions many times. Both sides walk the basis bytes token by token: short words in text, LEB128 numbers
//! elsewhere. For each token the model offers what the token became before, and decisions say which offer is right. If
//! none is, the token is coded by itself. Between numbers, any byte can change (`bytes`). Any change in this file changes
//! the format.

use super::bytes::ByteCoder;
use super::scan::{self, TokenScan};
use super::token::{LETTER_LIMIT, MAX_CONFIDENCE, MAX_NUMBER_TOKEN, MAX_WORD_TOKEN, TokenKind};
use crate::delta::adaptive::{Counter, code_tree, hash};
use crate::delta::arithmetic::DecisionCoder;
use crate::delta::error::DecodeError;
use crate::delta::words::is_word_byte;

/// log2 of the number of entries in each of the two tables of substitutions.
const TABLE_BITS: u32 = 16;
/// log2 of the number of entries in the table of movements.
const MOVEMENT_BITS: u32 = 14;
/// Two numbers of the same length that stand behind the same byte are neighbours if they differ only in their lowest bits,
/// of which there are this many. Neighbours share an entry in the table of movements.
const NEAR_BITS: u32 = 7;
/// The first of the contexts for words that are in no table. The contexts before it are for all other tokens.
const UNSEEN_WORD: usize = 1200;

/// The value of a number token: seven bits of each byte.
#[inline]
fn value(text: u64) -> i64 {
    (0..MAX_NUMBER_TOKEN).fold(0, |value, at| value | (text >> (8 * at) & 127) << (7 * at)) as i64
}

/// The bytes of a number in its shortest form, if that form has `len` bytes.
#[inline]
fn number(value: i64, len: usize) -> Option<u64> {
    let fits = 1 << (7 * (len - 1)) <= value && value < 1 << (7 * len);
    let digits = (0..MAX_NUMBER_TOKEN).fold(0, |text, at| text | (value as u64 >> (7 * at) & 127) << (8 * at));
    fits.then_some(digits | 0x80_8080_8080 & ((1 << (8 * (len - 1))) - 1))
}

/// Remembers what tokens became, and how the decisions about them came out.
pub(crate) struct TokenCoder {
    tokens: TokenKind,
    /// What tokens became: by the token alone, and by the token with the token and byte before it.
    tables: [Vec<LearnedToken>; 2],
    /// The last movement among neighbours: the new number less the old one. [`NOT_SEEN`] if there was none.
    movements: Vec<i64>,
    /// The last movement that was not 0.
    last_movement: i64,
    first_counters: Vec<Counter>,
    other_counters: Vec<Counter>,
    letter_counters: Vec<Counter>,
    /// One bit for each of the last two tokens: whether the first offer was wrong.
    recent: usize,
    /// Tokens so far.
    count: u64,
    /// If tokens are numbers: codes the bytes between them.
    bytes: Option<Box<ByteCoder>>,
}

/// The bytes of a substituted copy.
#[derive(Default)]
pub(crate) struct SubstitutedBytes {
    pub(crate) bytes: Vec<u8>,
    /// How many of them are equal to the basis.
    pub(crate) kept: u64,
}

/// The entry of [`TokenCoder::movements`] that says that there was no movement yet.
const NOT_SEEN: i64 = i64::MIN;

/// What a token became. From the low bits up: the new token's bytes, two bits of confidence, and six bits of the key. 0
/// means no entry.
#[derive(Clone, Copy, Default)]
struct LearnedToken(u64);

impl LearnedToken {
    #[inline]
    fn seen(self, key: u32) -> Option<(u64, usize)> {
        let found = self.0 != 0 && self.0 >> 58 == u64::from(key & 63);
        found.then_some((self.0 & ((1 << 56) - 1), (self.0 >> 56 & 3) as usize))
    }

    #[inline]
    fn learn(&mut self, key: u32, text: u64) {
        let confidence = match self.seen(key) {
            Some((same, confidence)) if same == text => (confidence + 1).min(MAX_CONFIDENCE),
            _ => 0,
        };
        self.0 = u64::from(key & 63) << 58 | (confidence as u64) << 56 | text;
    }
}

/// The bytes of a token, the first byte lowest, their number, and the byte before them.
#[derive(Clone, Copy)]
struct Token {
    text: u64,
    len: usize,
    left: u8,
}

/// What the model offers for a token: what each table says it became, with the table's confidence, and the last
/// movement of a neighbour.
struct TokenOffers {
    seen: [Option<(u64, usize)>; 2],
    movement: Option<i64>,
}

impl TokenOffers {
    /// The confidence of each table plus one, or 0 if the table does not know the token.
    #[inline]
    fn trust(&self) -> [usize; 2] {
        let trust = |seen: Option<(u64, usize)>| seen.map_or(0, |(_, confidence)| confidence + 1);
        [trust(self.seen[0]), trust(self.seen[1])]
    }
}

impl TokenCoder {
    pub(crate) fn new(tokens: TokenKind) -> TokenCoder {
        let (movements, letters) = match tokens {
            TokenKind::Words => (0, 1 << 17),
            TokenKind::Numbers => (1 << MOVEMENT_BITS, 1 << 13),
        };
        TokenCoder {
            tokens,
            tables: [(); 2].map(|()| vec![LearnedToken::default(); 1 << TABLE_BITS]),
            movements: vec![NOT_SEEN; movements],
            last_movement: 0,
            first_counters: vec![Counter::EVEN; UNSEEN_WORD + 32],
            other_counters: vec![Counter::EVEN; 500],
            letter_counters: vec![Counter::EVEN; letters],
            recent: 0,
            count: 0,
            bytes: (tokens == TokenKind::Numbers).then(|| Box::new(ByteCoder::new())),
        }
    }

    /// About how many nanoseconds a browser needs for the tokens and bytes so far, as measured in Chromium on a server with
    /// two cores.
    #[cfg(feature = "encode")]
    pub(crate) fn nanoseconds(&self) -> u64 {
        const WORD: u64 = 45;
        const NUMBER: u64 = 35;
        const RUN: u64 = 18;
        const BYTE: u64 = 28;
        match &self.bytes {
            None => self.count * WORD,
            Some(bytes) => self.count * NUMBER + bytes.run_count * RUN + bytes.byte_count * BYTE,
        }
    }

    /// Makes a substituted copy of some basis bytes. An encoder passes the bytes that it wants, and compares the result with
    /// them: some cannot be made, such as another byte between words.
    pub(crate) fn substitute(
        &mut self,
        coder: &mut impl DecisionCoder,
        from: &[u8],
        wanted: Option<&[u8]>,
    ) -> Result<SubstitutedBytes, DecodeError> {
        let mut made = SubstitutedBytes { bytes: Vec::with_capacity(from.len() + from.len() / 8), kept: 0 };
        let (mut at, mut before) = (0, 0);
        for token in TokenScan::new(self.tokens, from) {
            self.between(coder, &from[..token.start], at, wanted, &mut made);
            let (own, len) = (scan::text(from, token.clone()), token.len());
            let alone = hash(own as u32, (own >> 32) as u32);
            let left = token.start.checked_sub(1).map_or(0, |left| from[left]);
            let keys = [alone, hash(alone, hash(left.into(), before))];
            let wanted = wanted.map(|wanted| self.wanted(wanted, made.bytes.len(), len));
            let new = self.token(coder, Token { text: own, len, left }, keys, wanted)?;
            let new_len = if self.tokens == TokenKind::Words { 8 - new.leading_zeros() as usize / 8 } else { len };
            // Append eight bytes at once, then drop the bytes that are not part of the token.
            let end = made.bytes.len() + new_len;
            made.bytes.extend_from_slice(&new.to_le_bytes());
            made.bytes.truncate(end);
            made.kept += if new == own { len as u64 } else { 0 };
            before = alone;
            self.count += 1;
            at = token.end;
        }
        self.between(coder, from, at, wanted, &mut made);
        Ok(made)
    }

    /// Appends the bytes between two tokens: those from `at` on, which are the last of these bytes of the basis.
    #[inline]
    fn between(
        &mut self,
        coder: &mut impl DecisionCoder,
        from: &[u8],
        at: usize,
        wanted: Option<&[u8]>,
        made: &mut SubstitutedBytes,
    ) {
        made.kept += match &mut self.bytes {
            Some(bytes) => bytes.change(coder, from, at, wanted, &mut made.bytes),
            None => {
                made.bytes.extend_from_slice(&from[at..]);
                (from.len() - at) as u64
            }
        };
    }

    /// The token that the encoder wants at a position of its target.
    fn wanted(&self, target: &[u8], at: usize, len: usize) -> u64 {
        let rest = &target[at.min(target.len())..];
        let len = match self.tokens {
            TokenKind::Words => rest.iter().take(MAX_WORD_TOKEN).take_while(|byte| is_word_byte(**byte)).count(),
            TokenKind::Numbers => len.min(rest.len()),
        };
        scan::text(rest, 0..len)
    }

    /// Codes what one token became, and learns it.
    #[inline]
    fn token(
        &mut self,
        coder: &mut impl DecisionCoder,
        token: Token,
        keys: [u32; 2],
        wanted: Option<u64>,
    ) -> Result<u64, DecodeError> {
        let Token { text: own, len, .. } = token;
        let place = |key: u32| (key >> (32 - TABLE_BITS)) as usize;
        // Read both entries before either is used: they lie far apart in memory.
        let entries = [self.tables[0][place(keys[0])], self.tables[1][place(keys[1])]];
        let seen = [entries[0].seen(keys[0]), entries[1].seen(keys[1])];
        let neighbours = if self.tokens == TokenKind::Numbers { movement_place(token) } else { 0 };
        let movement = self.movements.get(neighbours).copied().filter(|moved| *moved != NOT_SEEN);
        let offers = TokenOffers { seen, movement };
        let first = match seen {
            [_, Some((text, _))] | [Some((text, _)), None] => text & self.mask(token),
            [None, None] => {
                self.moved(token, offers.movement).or(self.moved(token, self.last_movement())).unwrap_or(own)
            }
        };

        let trust = offers.trust();
        let recent = self.recent & 3;
        let context = if trust == [0, 0] && self.tokens == TokenKind::Words {
            UNSEEN_WORD + len * 4 + recent
        } else {
            let agree = seen[0].map(|seen| seen.0) == seen[1].map(|seen| seen.0);
            let movement_class = match offers.movement {
                None => 0,
                Some(0) => 1,
                Some(_) => 2,
            };
            ((((trust[1] * 5 + trust[0]) * 2 + usize::from(agree)) * 2 + usize::from(first == own)) * 3
                + movement_class)
                * 4
                + recent
        };
        let holds = self.first_counters[context].code(coder, wanted == Some(first));
        self.recent = recent << 1 | usize::from(!holds);
        let new = if holds { first } else { self.other(coder, token, &offers, wanted)? };

        for (table, key) in self.tables.iter_mut().zip(keys) {
            table[place(key)].learn(key, new);
        }
        if self.tokens == TokenKind::Numbers {
            let moved = if new == own { 0 } else { value(new) - value(own) };
            self.movements[neighbours] = moved;
            if moved != 0 {
                self.last_movement = moved;
            }
        }
        Ok(new)
    }

    /// The last movement that was not 0, if tokens are numbers.
    #[inline]
    fn last_movement(&self) -> Option<i64> {
        Some(self.last_movement).filter(|_| self.tokens == TokenKind::Numbers)
    }

    /// The token's number after it moved this far, if it still has the same length.
    #[inline]
    fn moved(&self, token: Token, by: Option<i64>) -> Option<u64> {
        by.and_then(|by| number(value(token.text) + by, token.len))
    }

    /// Which bits of an entry's text count. The text of a number has as many bytes as the token.
    #[inline]
    fn mask(&self, token: Token) -> u64 {
        if self.tokens == TokenKind::Words { u64::MAX } else { (1 << (8 * token.len)) - 1 }
    }

    /// Codes a token that is not the first offer. Each other offer is tried once; then the token is coded by itself.
    #[cold]
    fn other(
        &mut self,
        coder: &mut impl DecisionCoder,
        token: Token,
        offers: &TokenOffers,
        wanted: Option<u64>,
    ) -> Result<u64, DecodeError> {
        let seen = offers.seen.map(|seen| seen.map(|(text, _)| text & self.mask(token)));
        let moved = [offers.movement, self.last_movement()].map(|by| self.moved(token, by));
        let trust = offers.trust();
        let (mut offered, mut count) = ([0; 5], 0);
        for (source, text) in [seen[1], seen[0], moved[0], moved[1], Some(token.text)].into_iter().enumerate() {
            let Some(text) = text.filter(|text| !offered[..count].contains(text)) else { continue };
            if let Some(place) = count.checked_sub(1) {
                let context = (place * 5 + source) * 25 + trust[1] * 5 + trust[0];
                if self.other_counters[context].code(coder, wanted == Some(text)) {
                    return Ok(text);
                }
            }
            offered[count] = text;
            count += 1;
        }
        let wanted = wanted.unwrap_or(0);
        match self.tokens {
            TokenKind::Words => self.spell_word(coder, token.text, wanted),
            TokenKind::Numbers => Ok(self.spell_number(coder, token, wanted)),
        }
    }

    /// Codes a word letter by letter, up to a 0. The context of a letter is the letter at the same place in the basis
    /// word.
    fn spell_word(&mut self, coder: &mut impl DecisionCoder, own: u64, wanted: u64) -> Result<u64, DecodeError> {
        let mut new = 0;
        for at in 0..MAX_WORD_TOKEN {
            let mask = (1 << (8 * at)) - 1;
            let same = usize::from(new == own & mask);
            let context = (((own >> (8 * at) & 127) as usize * 2 + same) * 4 + at.min(3)) << 7;
            let letter = self.tree(coder, context, 7, (wanted >> (8 * at) & 127) as usize);
            if letter == 0 {
                break;
            }
            new |= (letter as u64) << (8 * at);
        }
        if new == 0 { Err(DecodeError::BadSubstitution { what: "a word of no letters" }) } else { Ok(new) }
    }

    /// Codes a number by the differences of its bytes from the basis number's bytes.
    fn spell_number(
        &mut self,
        coder: &mut impl DecisionCoder,
        Token { text: own, len, .. }: Token,
        wanted: u64,
    ) -> u64 {
        (0..len).fold(0, |new, at| {
            let byte = |text: u64| (text >> (8 * at)) as u8;
            let difference = byte(wanted).wrapping_sub(byte(own));
            let said = self.tree(coder, (len * 5 + at) << 8, 8, difference.into()) as u8;
            new | u64::from(byte(own).wrapping_add(said)) << (8 * at)
        })
    }

    /// Codes some bits, the highest first. The bits before a bit are its context.
    fn tree(&mut self, coder: &mut impl DecisionCoder, context: usize, bits: u32, wanted: usize) -> usize {
        code_tree(coder, &mut self.letter_counters[context..], bits, wanted, LETTER_LIMIT)
    }
}

fn movement_place(token: Token) -> usize {
    (hash((value(token.text) >> NEAR_BITS) as u32, token.len as u32 | u32::from(token.left) << 8)
        >> (32 - MOVEMENT_BITS)) as usize
}

#[cfg(all(test, feature = "encode"))]
mod tests {
    use super::*;
    use crate::delta::arithmetic::{DecisionReader, DecisionWriter};

    /// Checks both ways: the decoder makes what the encoder coded.
    fn goes_both_ways(tokens: TokenKind, pairs: &[(&[u8], &[u8])]) -> usize {
        let (mut writer, mut tokens_coder) = (DecisionWriter::new(), TokenCoder::new(tokens));
        let said: Vec<SubstitutedBytes> =
            pairs.iter().map(|(from, to)| tokens_coder.substitute(&mut writer, from, Some(to)).unwrap()).collect();
        let packed = writer.finish();
        let (mut reader, mut tokens_coder) = (DecisionReader::new(packed.clone()), TokenCoder::new(tokens));
        for ((from, to), said) in pairs.iter().zip(said) {
            let made = tokens_coder.substitute(&mut reader, from, None).unwrap();
            assert_eq!((&made.bytes[..], made.kept), (&said.bytes[..], said.kept));
            assert_eq!(&made.bytes, to);
        }
        assert!(reader.is_spent() && !reader.is_overdrawn());
        packed.len()
    }

    #[test]
    fn words_of_all_lengths_become_others() {
        let pairs: [(&[u8], &[u8]); 4] = [
            (b"var a=b1+longer_than_seven(c)", b"var b1=x$+longer_than_seven(abcdefg)"),
            (b"a b c", b"a b c"),
            (b"...", b"..."),
            (b"abcdefg", b"h"),
        ];
        goes_both_ways(TokenKind::Words, &pairs);
    }

    #[test]
    fn a_repeated_substitution_is_coded_once() {
        let pairs: Vec<(&[u8], &[u8])> = vec![(b"f(x);g(y);", b"q(zz);g(y);"); 500];
        assert!(goes_both_ways(TokenKind::Words, &pairs) < 40);
        let pairs: Vec<(&[u8], &[u8])> =
            vec![(&[16, 0xe5, 0x0e, 1, 0xff, 0xff, 3], &[16, 0xe6, 0x0e, 2, 0xff, 0xff, 3]); 500];
        assert!(goes_both_ways(TokenKind::Numbers, &pairs) < 40);
    }

    #[test]
    fn numbers_have_two_to_five_bytes() {
        assert_eq!((value(0x80_80), number(128, 2), number(127, 2), number(1 << 14, 2)), (0, Some(0x180), None, None));
        // Five bytes of these are a number; the last one has no end.
        let from = [0x80, 0x80, 0x80, 0x80, 0x80, 1, 0x90];
        let mut coder = TokenCoder::new(TokenKind::Numbers);
        coder.substitute(&mut DecisionWriter::new(), &from, Some(&from)).unwrap();
        let bytes = coder.bytes.unwrap();
        assert_eq!((coder.count, bytes.run_count, bytes.byte_count), (1, 2, 0));
    }

    #[test]
    fn a_word_has_a_letter() {
        // The first offer is wrong, with a probability of a half. Then come the seven bits of the letter 0.
        let mut writer = DecisionWriter::new();
        (0..8).for_each(|_| {
            writer.code(32_768, false);
        });
        let made = TokenCoder::new(TokenKind::Words).substitute(&mut DecisionReader::new(writer.finish()), b"a", None);
        assert_eq!(made.err(), Some(DecodeError::BadSubstitution { what: "a word of no letters" }));
    }
}
