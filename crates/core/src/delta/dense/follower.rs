//! The pointer: predicts the next byte from the window. Where a word of the window was renamed before, it predicts the
//! new name. The numbers of WebAssembly modules are followed as words are; where other numbers near one moved, it
//! predicts that this one moved as they did.

use super::shifts::{LEVELS, Shifts};
use super::tokens::Tokens;
use crate::delta::adaptive::{Counter, hash};
use crate::delta::wasm::{MAX_NUMBER, Part};
use crate::delta::words::is_word_byte;

/// The length in bytes of the longest word that is followed in one piece. A longer word is followed in pieces of this
/// length.
const MAX_WORD: usize = 48;
/// log2 of the number of entries in each of the three word tables.
const WORD_TABLE_BITS: u32 = 16;
/// The highest confidence of an entry in a word table: the number of times in a row that it was right, up to this.
const MAX_CONFIDENCE: u8 = 3;
/// After this many observations, the probability that a kind of guess is right adapts at a constant rate.
const KIND_LIMIT: u32 = 60;

/// Why a byte is predicted. Kinds below [`OWN_WORD`](kind::OWN_WORD) are guesses of the tables: 4 * table +
/// confidence.
pub(crate) mod kind {
    /// The word is predicted to be the same as in the window.
    pub(crate) const OWN_WORD: u8 = 12;
    /// The word is predicted to be the same as in the window, but a table says otherwise.
    pub(crate) const UNCERTAIN_WORD: u8 = 13;
    /// No guess fits the new word, so the word is predicted to end.
    pub(crate) const NO_GUESS: u8 = 14;
    /// The byte is outside of words.
    pub(crate) const WINDOW_BYTE: u8 = 15;
    /// The pointer is at the end of the window.
    pub(crate) const WINDOW_END: u8 = 16;
    /// The byte was recalled instead.
    pub(crate) const RECALLED: u8 = 17;
    /// The number of kinds of a single byte.
    pub(crate) const COUNT: usize = 18;
    /// Added if a whole word is predicted at once.
    pub(crate) const WHOLE_WORD: u8 = 18;
    /// A number is predicted to have moved as others: + 4 * level + confidence. No number is predicted whole.
    pub(crate) const SHIFTED: u8 = 18;
    /// The number of all kinds. A whole word has at most the kind [`UNCERTAIN_WORD`] + [`WHOLE_WORD`].
    pub(crate) const ALL: usize = 36;
}

/// The pointer into the window, and the word that it is in.
#[derive(Clone)]
pub(crate) struct Follower {
    pub(crate) pointer: usize,
    pub(crate) word: Option<FollowedWord>,
    /// The last two words or numbers of the window, or bytes between words.
    passed: [u32; 2],
}

/// A word or a number of the window that the pointer is in.
#[derive(Clone)]
pub(crate) struct FollowedWord {
    /// What it is: [`Part::Outside`] for a word.
    pub(crate) part: Part,
    /// The window's number; 0 for a word.
    number: i64,
    /// Where the corresponding word begins in the target.
    start: usize,
    /// Where the word ends in the window.
    pub(crate) end: usize,
    pub(crate) hash: u32,
    /// The word's keys in the tables: alone, with the word before it, and with two words before it.
    pub(crate) keys: [u32; 3],
    guesses: [Guess; MAX_GUESSES],
    count: usize,
    /// The texts of shifted numbers.
    shifted: [[u8; MAX_NUMBER]; LEVELS.len()],
    /// Whether the word was renamed before.
    pub(crate) uncertain: bool,
    pub(crate) refused: bool,
}

/// The guesses of the three tables, the window's own word, and for a number those of all levels of shifts.
const MAX_GUESSES: usize = 4 + LEVELS.len();
/// Added to the level of a shifted number, in the place of a guess's start.
const SHIFTED_TEXT: u32 = 1 << 31;

/// A text that a word may have become: `start` and `len` are its range in the buffer.
#[derive(Clone, Copy, Default)]
struct Guess {
    start: u32,
    hash: u32,
    len: u8,
    kind: u8,
}

/// A word or a number of the window: what it is, its end, its number and hash, and its keys in the tables.
struct WindowWord {
    part: Part,
    end: usize,
    number: i64,
    hash: u32,
    keys: [u32; 3],
}

/// Adds one more byte to the hash of a word.
#[inline]
fn hash_on(sum: u32, byte: u8) -> u32 {
    sum.wrapping_add(u32::from(byte)).wrapping_mul(0x2c1b_3c6d)
}

impl WindowWord {
    /// The token of a part at a place of the window. `last` is the byte before it.
    #[inline]
    fn read(part: Part, tokens: &Tokens, window: &[u8], at: usize, passed: [u32; 2], last: u8) -> WindowWord {
        let longest = &window[at..window.len().min(at + MAX_WORD)];
        let (mut len, mut sum, mut number) = (0, tokens.seed(part), 0);
        if part == Part::Outside {
            while len < longest.len() && is_word_byte(longest[len]) {
                sum = hash_on(sum, longest[len]);
                len += 1;
            }
        } else {
            len = part.number_len(longest);
            sum = longest[..len].iter().fold(sum, |sum, byte| hash_on(sum, *byte));
            number = part.number(&longest[..len]);
        }
        let with_left = hash(sum, hash(passed[0], u32::from(last)));
        WindowWord {
            part,
            end: at + len,
            number,
            hash: sum,
            keys: [hash(sum, 1), hash(with_left, 2), hash(with_left, hash(passed[1], 3))],
        }
    }
}

impl FollowedWord {
    #[inline]
    fn text<'a>(&'a self, guess: &Guess, buffer: &'a [u8]) -> &'a [u8] {
        let len = usize::from(guess.len);
        match guess.start.checked_sub(SHIFTED_TEXT) {
            Some(level) => &self.shifted[level as usize][..len],
            None => &buffer[guess.start as usize..][..len],
        }
    }

    /// Inserts a guess after all guesses that are at least as reliable. This is written by hand because the library's
    /// sort takes ten kilobytes of wasm.
    fn add(&mut self, guess: Guess, tables: &WordTables) {
        let worth = tables.worth(self.part, guess.kind);
        let mut place = self.count;
        while 0 < place && tables.worth(self.part, self.guesses[place - 1].kind) < worth {
            self.guesses[place] = self.guesses[place - 1];
            place -= 1;
        }
        self.guesses[place] = guess;
        self.count += 1;
    }
}

impl Follower {
    pub(crate) fn new(at: usize) -> Follower {
        Follower { pointer: at, word: None, passed: [0; 2] }
    }

    /// Moves the pointer to a position between words.
    pub(crate) fn jump(&mut self, at: usize) {
        self.pointer = at;
        self.word = None;
    }

    /// Enters a word or a number of the window if the target is at the start of one.
    pub(crate) fn enter(&mut self, buffer: &[u8], window_end: usize, tokens: &Tokens, tables: &WordTables) {
        if self.word.is_some() || window_end <= self.pointer {
            return;
        }
        let last = buffer[buffer.len() - 1];
        if let Some(part) = tokens.begins(buffer, self.pointer, last).filter(|part| tokens.take(*part)) {
            let word = WindowWord::read(part, tokens, &buffer[..window_end], self.pointer, self.passed, last);
            self.word = Some(self.look_up(buffer, word, tokens, tables));
        }
    }

    fn look_up(&self, buffer: &[u8], word: WindowWord, tokens: &Tokens, tables: &WordTables) -> FollowedWord {
        let WindowWord { part, end, number, hash, keys } = word;
        let mut word = FollowedWord {
            part,
            number,
            start: buffer.len(),
            end,
            hash,
            keys,
            guesses: [Guess::default(); MAX_GUESSES],
            count: 0,
            shifted: [[0; MAX_NUMBER]; LEVELS.len()],
            uncertain: false,
            refused: false,
        };
        let own = Guess { start: self.pointer as u32, hash, len: (end - self.pointer) as u8, kind: kind::OWN_WORD };
        for guess in tables.guesses(&keys).into_iter().flatten() {
            if guess.hash == hash {
                word.add(Guess { kind: guess.kind, ..own }, tables);
            } else {
                word.uncertain = true;
                word.add(guess, tables);
            }
        }
        if part != Part::Outside {
            let mut text = [0; MAX_NUMBER];
            // A number with more bytes than it needs keeps them.
            let least =
                if part.write_number(number, 1, &mut text) < end - self.pointer { end - self.pointer } else { 1 };
            for (level, shift) in tables.shifts.all(part, number).into_iter().enumerate() {
                let Some(shift) = shift else { continue };
                let kind = kind::SHIFTED + 4 * level as u8 + shift.confidence;
                let text = &mut word.shifted[level];
                let len = part.write_number(number.wrapping_add(shift.distance), least, text);
                let sum = text[..len].iter().fold(tokens.seed(part), |sum, byte| hash_on(sum, *byte));
                let guess = if sum == hash {
                    Guess { kind, ..own }
                } else {
                    word.uncertain = true;
                    Guess { start: SHIFTED_TEXT + level as u32, hash: sum, len: len as u8, kind }
                };
                word.add(guess, tables);
            }
        }
        let kind = if word.uncertain { kind::UNCERTAIN_WORD } else { kind::OWN_WORD };
        word.add(Guess { kind, ..own }, tables);
        word
    }

    /// A pointer at another position, between words.
    pub(crate) fn moved(&self, at: usize) -> Follower {
        Follower { pointer: at, word: None, passed: self.passed }
    }

    /// The pointer after at least `len` and at most `most` bytes. It moves token by token and stops before one that
    /// probably became another.
    pub(crate) fn stride(
        &self,
        buffer: &[u8],
        window_end: usize,
        tokens: &Tokens,
        tables: &WordTables,
        len: usize,
        most: usize,
    ) -> Follower {
        let mut next = self.moved(self.pointer);
        let mut last = buffer[buffer.len() - 1];
        let until = window_end.min(self.pointer + len);
        while next.pointer < until {
            let at = next.pointer;
            let byte = buffer[at];
            if let Some(part) = tokens.begins(buffer, at, last) {
                let word = WindowWord::read(part, tokens, &buffer[..window_end], at, next.passed, last);
                let is_number = part != Part::Outside;
                let ends = is_number || word.end < window_end && !is_word_byte(buffer[word.end]);
                // A word ends with the byte after it.
                let end = word.end + usize::from(ends && !is_number);
                if self.pointer + most < end || tables.is_uncertain(&word) {
                    break;
                }
                if ends {
                    next.passed = [word.hash, next.passed[0]];
                }
                next.pointer = end;
                last = buffer[end - 1];
            } else {
                if tokens.window_part(at) == Part::Outside && !is_word_byte(byte) {
                    next.passed = [u32::from(byte), next.passed[0]];
                }
                next.pointer += 1;
                last = byte;
            }
        }
        next
    }

    /// The predicted byte, and why it is predicted.
    pub(crate) fn expect(&self, buffer: &[u8], window_end: usize) -> (u8, u8) {
        let byte_at = |at: usize| if at < window_end { buffer[at] } else { 0 };
        let Some(word) = &self.word else {
            return if self.pointer < window_end {
                (buffer[self.pointer], kind::WINDOW_BYTE)
            } else {
                (0, kind::WINDOW_END)
            };
        };
        let so_far = &buffer[word.start..];
        let fits = |guess: &&Guess| word.text(guess, buffer).starts_with(so_far);
        match word.guesses[..word.count].iter().find(fits) {
            Some(guess) if usize::from(guess.len) == so_far.len() => (byte_at(word.end), guess.kind),
            Some(guess) => (word.text(guess, buffer)[so_far.len()], guess.kind),
            None => (byte_at(word.end), kind::NO_GUESS),
        }
    }

    /// The best guess that differs from `not`, and why it is a guess.
    pub(crate) fn alternative(&self, buffer: &[u8], window_end: usize, not: u8) -> Option<(u8, u8)> {
        let word = self.word.as_ref()?;
        let so_far = &buffer[word.start..];
        let next = |guess: &Guess| {
            let text = word.text(guess, buffer);
            if !text.starts_with(so_far) {
                None
            } else if text.len() == so_far.len() {
                (word.end < window_end).then(|| (buffer[word.end], guess.kind))
            } else {
                Some((text[so_far.len()], guess.kind))
            }
        };
        word.guesses[..word.count].iter().filter_map(next).find(|(byte, _)| *byte != not)
    }

    pub(crate) fn refuse(&mut self) {
        if let Some(word) = &mut self.word {
            word.refused = true;
        }
    }

    /// If a word begins here: where its predicted text begins, the text's length, and where the byte after the word is.
    pub(crate) fn whole(&self, buffer: &[u8], window_end: usize) -> Option<(usize, usize, usize)> {
        let word = self
            .word
            .as_ref()
            .filter(|word| word.part == Part::Outside && word.start == buffer.len())
            .filter(|word| word.end < window_end && !is_word_byte(buffer[word.end]))?;
        let guess = word.guesses[0];
        (usize::from(guess.len) < MAX_WORD).then_some((guess.start as usize, usize::from(guess.len), word.end))
    }

    /// How many bytes of the current word the target has already.
    pub(crate) fn word_bytes(&self, buffer: &[u8]) -> usize {
        self.word.as_ref().map_or(0, |word| buffer.len() - word.start)
    }

    /// Moves the pointer past the last byte of the target, which `tokens` have read. Remembers what a word or a number
    /// became unless `tables` is `None`.
    pub(crate) fn advance(
        &mut self,
        buffer: &[u8],
        window_end: usize,
        tokens: &Tokens,
        tables: Option<&mut WordTables>,
    ) {
        let byte = buffer[buffer.len() - 1];
        let Some(word) = &self.word else {
            self.pointer = window_end.min(self.pointer + 1);
            if tokens.module().is_none() && !is_word_byte(byte) {
                self.passed = [u32::from(byte), self.passed[0]];
            }
            return;
        };
        let is_number = word.part != Part::Outside;
        let so_far = buffer.len() - word.start;
        if is_number && !word.part.is_complete(so_far, byte) {
            return;
        }
        if !is_number && is_word_byte(byte) {
            if so_far == MAX_WORD {
                self.pointer = word.end;
                self.word = None;
            }
            return;
        }
        // The byte that ends a word is not part of it.
        let len = so_far - usize::from(!is_number);
        if len != 0 {
            if let Some(tables) = tables {
                tables.learn(buffer, tokens, word, len);
            }
            self.passed = [word.hash, self.passed[0]];
        }
        let is_same = !is_number && word.end < window_end && buffer[word.end] == byte;
        self.pointer = word.end + usize::from(is_same);
        self.word = None;
    }
}

/// What words and numbers became: by the word alone, and with one or two words before it. Also holds by how much numbers
/// moved, and how reliable each kind of guess is for each part.
pub(crate) struct WordTables {
    tables: [Vec<WordEntry>; 3],
    shifts: Shifts,
    kind_counters: [[Counter; kind::ALL]; Part::COUNT],
}

#[derive(Clone, Copy, Default)]
struct WordEntry {
    start: u32,
    hash: u32,
    check: u16,
    len: u8,
    confidence: u8,
}

impl WordTables {
    pub(crate) fn new() -> WordTables {
        WordTables {
            tables: [(); 3].map(|()| vec![WordEntry::default(); 1 << WORD_TABLE_BITS]),
            shifts: Shifts::new(),
            kind_counters: [[Counter::EVEN; kind::ALL]; Part::COUNT],
        }
    }

    /// The guesses of the tables, the one with the longest context first. A word that is not in the first table is in
    /// no table.
    #[inline]
    fn guesses(&self, keys: &[u32; 3]) -> [Option<Guess>; 3] {
        let entry = |table: usize| self.tables[table][(keys[table] >> (32 - WORD_TABLE_BITS)) as usize];
        let entries = [entry(2), entry(1), entry(0)];
        let guess = |table: usize| {
            let entry = entries[2 - table];
            (entry.len != 0 && entry.check == keys[table] as u16).then(|| Guess {
                start: entry.start,
                hash: entry.hash,
                len: entry.len,
                kind: table as u8 * 4 + entry.confidence,
            })
        };
        let alone = guess(0);
        if alone.is_none() { [None; 3] } else { [guess(2), guess(1), alone] }
    }

    /// Whether a word became another before, or the nearest of the numbers that moved did not stay.
    #[inline]
    fn is_uncertain(&self, word: &WindowWord) -> bool {
        let nearest = || self.shifts.nearest(word.part, word.number);
        word.part != Part::Outside && nearest().is_some_and(|shift| shift.distance != 0)
            || self.guesses(&word.keys).iter().flatten().any(|guess| guess.hash != word.hash)
    }

    fn worth(&self, part: Part, kind: u8) -> u32 {
        self.kind_counters[part as usize][usize::from(kind)].probability()
    }

    /// Remembers that a word became the `len` bytes from its start in the target.
    fn learn(&mut self, buffer: &[u8], tokens: &Tokens, word: &FollowedWord, len: usize) {
        let start = word.start;
        let text = &buffer[start..start + len];
        if word.part != Part::Outside {
            let distance = word.part.number(text).wrapping_sub(word.number);
            self.shifts.learn(word.part, word.number, distance);
        }
        let hash = text.iter().fold(tokens.seed(word.part), |sum, byte| hash_on(sum, *byte));
        for guess in &word.guesses[..word.count] {
            self.kind_counters[word.part as usize][usize::from(guess.kind)].learn(guess.hash == hash, KIND_LIMIT);
        }
        for (table, key) in self.tables.iter_mut().zip(word.keys) {
            let entry = &mut table[(key >> (32 - WORD_TABLE_BITS)) as usize];
            let same = entry.check == key as u16 && entry.len != 0 && entry.hash == hash;
            let confidence = if same { (entry.confidence + 1).min(MAX_CONFIDENCE) } else { 0 };
            *entry = WordEntry { start: start as u32, hash, check: key as u16, len: len as u8, confidence };
        }
    }
}
