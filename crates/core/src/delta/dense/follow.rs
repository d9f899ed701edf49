//! Following the basis: which byte it says comes next, where words that were renamed before are renamed again.

use super::mix::{CURVES, Counter, hash};

/// Words longer than this are followed in pieces.
const MAX_WORD: usize = 48;
const RENAME_BITS: [u32; 3] = [14, 16, 16];

pub(crate) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$'
}

/// What the byte that is expected rests on.
pub(crate) mod kind {
    /// The window's own word; below this, guesses of the rename tables: 4 * table + confidence.
    pub(crate) const SAME_WORD: u8 = 12;
    /// The window's own word, where a table says otherwise.
    pub(crate) const DOUBTED_WORD: u8 = 13;
    /// A new word that no guess fits: it is expected to end.
    pub(crate) const UNKNOWN_WORD: u8 = 14;
    /// A byte of the window outside of words.
    pub(crate) const BYTE: u8 = 15;
    /// The pointer stands at the window's end.
    pub(crate) const NOTHING: u8 = 16;
    /// The recall's byte instead.
    pub(crate) const RECALLED: u8 = 17;
    pub(crate) const COUNT: usize = 18;
}

/// The pointer into the window, and the word it stands in.
#[derive(Clone)]
pub(crate) struct Follower {
    pub(crate) at: usize,
    pub(crate) word: Option<Word>,
    /// The last two of the window's words, or bytes between words.
    before: [u32; 2],
}

/// A word of the window that the target is following.
#[derive(Clone)]
pub(crate) struct Word {
    /// Where its counterpart starts in the target.
    start: usize,
    /// Where it ends in the window.
    pub(crate) end: usize,
    pub(crate) hash: u32,
    /// Of the word, with its left neighbour, with two.
    pub(crate) keys: [u32; 3],
    guesses: [Guess; 4],
    count: usize,
    /// Whether it became something else before.
    pub(crate) doubted: bool,
}

/// A text that a word may have become; `start` and `len` in the buffer.
#[derive(Clone, Copy, Default)]
struct Guess {
    start: usize,
    len: usize,
    kind: u8,
}

impl Word {
    /// Adds a guess behind those that can be trusted as much. (By hand: the library's sort is ten kilobytes of wasm.)
    fn add(&mut self, guess: Guess, renames: &Renames) {
        let worth = renames.worth(guess.kind);
        let mut place = self.count;
        while 0 < place && renames.worth(self.guesses[place - 1].kind) < worth {
            self.guesses[place] = self.guesses[place - 1];
            place -= 1;
        }
        self.guesses[place] = guess;
        self.count += 1;
    }
}

impl Follower {
    pub(crate) fn new(at: usize) -> Follower {
        Follower { at, word: None, before: [0; 2] }
    }

    /// Sets the pointer, between words.
    pub(crate) fn jump(&mut self, at: usize) {
        self.at = at;
        self.word = None;
    }

    /// Steps into a word of the window if the target is at the start of one.
    pub(crate) fn enter(&mut self, buffer: &[u8], window_end: usize, renames: &Renames) {
        if self.word.is_none()
            && self.at < window_end
            && is_word_byte(buffer[self.at])
            && !is_word_byte(buffer[buffer.len() - 1])
        {
            self.word = Some(self.look_up(buffer, window_end, renames));
        }
    }

    fn look_up(&self, buffer: &[u8], window_end: usize, renames: &Renames) -> Word {
        let longest = &buffer[self.at..window_end.min(self.at + MAX_WORD)];
        let text = &longest[..longest.iter().position(|byte| !is_word_byte(*byte)).unwrap_or(longest.len())];
        let word_hash =
            text.iter().fold(17u32, |sum, byte| sum.wrapping_add(u32::from(*byte)).wrapping_mul(0x2c1b_3c6d));
        let left = hash(self.before[0], u32::from(buffer[buffer.len() - 1]));
        let keys =
            [hash(word_hash, 1), hash(hash(word_hash, left), 2), hash(hash(word_hash, left), hash(self.before[1], 3))];
        let mut word = Word {
            start: buffer.len(),
            end: self.at + text.len(),
            hash: word_hash,
            keys,
            guesses: [Guess::default(); 4],
            count: 0,
            doubted: false,
        };
        for table in (0..3).rev() {
            if let Some(guess) = renames.guess(table, keys[table]) {
                word.doubted |= &buffer[guess.start..][..guess.len] != text;
                word.add(guess, renames);
            }
        }
        let kind = if word.doubted { kind::DOUBTED_WORD } else { kind::SAME_WORD };
        word.add(Guess { start: self.at, len: text.len(), kind }, renames);
        word
    }

    /// The byte expected next and what that rests on.
    pub(crate) fn expected(&self, buffer: &[u8], window_end: usize) -> (u8, u8) {
        let byte_at = |at: usize| if at < window_end { buffer[at] } else { 0 };
        let Some(word) = &self.word else {
            return if self.at < window_end { (buffer[self.at], kind::BYTE) } else { (0, kind::NOTHING) };
        };
        let so_far = &buffer[word.start..];
        let fits = |guess: &&Guess| so_far.len() <= guess.len && buffer[guess.start..][..so_far.len()] == *so_far;
        match word.guesses[..word.count].iter().find(fits) {
            Some(guess) if guess.len == so_far.len() => (byte_at(word.end), guess.kind),
            Some(guess) => (buffer[guess.start + so_far.len()], guess.kind),
            None => (byte_at(word.end), kind::UNKNOWN_WORD),
        }
    }

    /// What the best guess expects that disagrees with `not`, and what it rests on.
    pub(crate) fn otherwise(&self, buffer: &[u8], window_end: usize, not: u8) -> Option<(u8, u8)> {
        let word = self.word.as_ref()?;
        let so_far = &buffer[word.start..];
        let next = |guess: &Guess| {
            if guess.len < so_far.len() || buffer[guess.start..][..so_far.len()] != *so_far {
                None
            } else if guess.len == so_far.len() {
                (word.end < window_end).then(|| (buffer[word.end], guess.kind))
            } else {
                Some((buffer[guess.start + so_far.len()], guess.kind))
            }
        };
        word.guesses[..word.count].iter().filter_map(next).find(|(byte, _)| *byte != not)
    }

    /// Bytes of the word in hand that stand already.
    pub(crate) fn in_word(&self, buffer: &[u8]) -> usize {
        self.word.as_ref().map_or(0, |word| buffer.len() - word.start)
    }

    /// Moves on over the target's last byte, and remembers what a word became unless `renames` is `None`.
    pub(crate) fn advance(&mut self, buffer: &[u8], window_end: usize, renames: Option<&mut Renames>) {
        let byte = buffer[buffer.len() - 1];
        let Some(word) = &self.word else {
            self.at = window_end.min(self.at + 1);
            if !is_word_byte(byte) {
                self.before = [u32::from(byte), self.before[0]];
            }
            return;
        };
        if is_word_byte(byte) {
            if buffer.len() - word.start == MAX_WORD {
                self.at = word.end;
                self.word = None;
            }
            return;
        }
        let new = word.start..buffer.len() - 1;
        if !new.is_empty() {
            if let Some(renames) = renames {
                renames.learn(buffer, word, new.start, new.len());
            }
            self.before = [word.hash, self.before[0]];
        }
        self.at = if word.end < window_end && buffer[word.end] == byte { word.end + 1 } else { word.end };
        self.word = None;
    }
}

/// What words became, by the word alone and with its neighbours before it; and how far each kind of guess can be trusted.
pub(crate) struct Renames {
    tables: [Vec<Entry>; 3],
    trust: [Counter; kind::COUNT],
}

#[derive(Clone, Copy, Default)]
struct Entry {
    start: u32,
    check: u16,
    len: u8,
    confidence: u8,
}

impl Renames {
    pub(crate) fn new() -> Renames {
        Renames {
            tables: RENAME_BITS.map(|bits| vec![Entry::default(); 1 << bits]),
            trust: [Counter::EVEN; kind::COUNT],
        }
    }

    fn guess(&self, table: usize, key: u32) -> Option<Guess> {
        let entry = self.tables[table][(key >> (32 - RENAME_BITS[table])) as usize];
        if entry.len == 0 || entry.check != key as u16 {
            return None;
        }
        let kind = table as u8 * 4 + entry.confidence;
        Some(Guess { start: entry.start as usize, len: usize::from(entry.len), kind })
    }

    fn worth(&self, kind: u8) -> u32 {
        self.trust[usize::from(kind)].probability()
    }

    fn learn(&mut self, buffer: &[u8], word: &Word, start: usize, len: usize) {
        let new = &buffer[start..start + len];
        for guess in &word.guesses[..word.count] {
            let right = buffer[guess.start..][..guess.len] == *new;
            self.trust[usize::from(guess.kind)].learn(&CURVES, right, 60);
        }
        for ((table, key), bits) in self.tables.iter_mut().zip(word.keys).zip(RENAME_BITS) {
            let entry = &mut table[(key >> (32 - bits)) as usize];
            let same = entry.check == key as u16
                && usize::from(entry.len) == len
                && buffer[entry.start as usize..][..len] == *new;
            if same {
                entry.confidence = (entry.confidence + 1).min(3);
            } else {
                *entry = Entry { start: start as u32, check: key as u16, len: len as u8, confidence: 0 };
            }
        }
    }
}
