//! Sequence alignment: which positions of a window correspond to which positions of the target. The encoder is free to
//! choose other alignments.
//!
//! Both sides are split into tokens: words, or bytes between words. Where two tokens differ, the alignment continues on
//! the same diagonal if that soon pays. Otherwise a gapped extension looks for small insertions and deletions (X-drop,
//! as in BLAST, Altschul et al. 1997), and an index of token windows looks for another place to continue. In the index
//! all short words are equal, so that it finds renamed code. Gains are estimates of the saved bits.
//!
//! In WebAssembly modules the tokens are the numbers that compilers and linkers move, and bytes between them. A second
//! index there takes all numbers of one meaning for equal.

use crate::delta::adaptive::hash;
use crate::delta::wasm::{MAGIC, Part, WasmReader};
use crate::delta::words::is_word_byte;

/// The cost, in bits, of moving the pointer to another place.
const JUMP: i32 = 16;
/// The number of equal tokens after a detour that make the detour accepted without another search.
const SETTLED: u32 = 96;
/// The most tokens of the target that the gapped extension covers.
const EXTENSION: usize = 200;
/// The most tokens that the gapped extension covers on each side of the diagonal.
const BAND: usize = 48;
/// The loss from its best gain, in bits, at which a gapped extension ends.
const DROP: i32 = 80;
/// The loss from its best gain, in bits, at which an extension without gaps ends.
const STRAIGHT_DROP: i32 = 24;
/// The number of tokens ahead in which a search looks for an indexed window.
const LOOK_AHEAD: usize = 64;
/// The number of tokens after a find in which a search still looks for a better one.
const BETTER: usize = 12;
/// The most bytes of a window with modules that has a second index, for which there is no memory in a longer one.
const LONG_MODULE: usize = 12 << 20;
/// The most bytes of a word token. Longer words are several tokens.
const MAX_TOKEN_LEN: usize = 48;
/// The number of samples that decide whether bytes are text.
const SAMPLES: usize = 64;
/// The length of a sample in bytes.
const SAMPLE: usize = 1 << 10;
/// A sample is a list if at least an eighth of its bytes are commas and semicolons.
const COMMA_IN_LIST: usize = 8;
/// Text has lists if at least a sixth of its samples are lists.
const LISTS: usize = 6;
/// The number of searches that do not pay before the alignment skips tokens.
const FREE_MISSES: usize = 256;
/// The number of further searches that do not pay after which the alignment skips one more step.
const MISSES_PER_STEP: usize = 8;
/// The most steps that the alignment skips at once. A step is [`LOOK_AHEAD`] tokens.
const MAX_STEP: usize = 32;
/// The least gain of a search that pays, in jumps. It must also gain one for each token that it looked at.
const LEAST_JUMPS: i32 = 3;
/// The number of equal tokens that make up for one search that did not pay.
const TOKENS_PER_MISS: usize = 8;
/// log2 of the greatest number of buckets in an index.
const MAX_BUCKET_BITS: u32 = 24;
/// The multiplier of the rolling hash of token windows.
const FACTOR: u64 = 0xbf58_476d_1ce4_e5b9;
/// The gain of a path that does not exist.
const IMPOSSIBLE: i32 = i32::MIN / 2;

/// Which parts of the target correspond to which parts of the window.
pub(crate) struct SequenceAlignment {
    /// Whether most of the target is text, and is split into words.
    pub(crate) words: bool,
    /// Pairs of positions, in the target and in the window, from which both continue together. Target positions ascend.
    pub(crate) starts: Vec<(u32, u32)>,
    /// How many searches were made.
    #[cfg(test)]
    searches: usize,
}

/// What the two sides are split into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Grain {
    /// Words, if most of the target is text, else bytes.
    Words,
    Bytes,
    /// The numbers of modules, and words outside of them.
    Modules {
        /// The cost, in bits, of moving the pointer to another place in a module. Bytes and numbers often are equal by
        /// chance there.
        jump: i32,
    },
}

impl Grain {
    /// Whether there is a second index, in which tokens of one shape are equal.
    fn has_shapes(self, words: bool, window: usize) -> bool {
        words || matches!(self, Grain::Modules { .. }) && window <= LONG_MODULE
    }
}

pub(crate) fn align_sequences(window: &[u8], target: &[u8], grain: Grain) -> SequenceAlignment {
    let words = grain != Grain::Bytes && is_text(target);
    let (has_modules, module_jump) = match grain {
        Grain::Words | Grain::Bytes => (false, JUMP),
        Grain::Modules { jump } => (true, jump),
    };
    let tokenized = words || has_modules;
    let sequence =
        |bytes| if tokenized { TokenSequence::of_tokens(bytes, has_modules) } else { TokenSequence::of_bytes(bytes) };
    let (old, new) = (sequence(window), sequence(target));
    let mut indexes = vec![WindowIndex::new(&old, 8, |code| code)];
    if grain.has_shapes(words, window.len()) {
        indexes.push(WindowIndex::new(&old, 12, shape));
    }
    let aligner = Aligner { old, new, indexes, module_jump };
    let mut starts = vec![(0, 0)];
    let (mut i, mut j) = (0, 0);
    // Recent searches that did not pay; equal tokens since the last search; and the end of the aligned part of the
    // target.
    let (mut misses, mut since, mut done) = (0usize, 0, 0);
    #[cfg(test)]
    let mut searches = 0;
    while i < aligner.new.codes.len() {
        let in_module = aligner.new.is_of_module(i);
        // Bytes of code often are equal by chance, so that small insertions are not looked for.
        let has_gaps = tokenized && (!in_module || aligner.new.is_data(i));
        let jump = aligner.jump(i);
        let gain = aligner.pair(i, j).unwrap_or(-1);
        let straight = if gain < 0 { aligner.straight(i, j, LOOK_AHEAD) } else { 0 };
        let is_between_words = tokenized && !in_module && aligner.new.len(i) == 0;
        let goes_on = 0 <= gain || (gain != -1 && LEAST_JUMPS * jump <= straight && !is_between_words);
        if goes_on {
            (i, j) = (i + 1, j + 1);
            since += 1;
            continue;
        }
        if 0 < since {
            done = i;
            misses = misses.saturating_sub(since / TOKENS_PER_MISS);
            since = 0;
        }
        #[cfg(test)]
        {
            searches += 1;
        }
        let stay = if has_gaps { aligner.gapped(i, j) } else { Extension::straight(straight) };
        let sought = if stay.settled { None } else { aligner.seek(i, j, done, stay.gain + jump / 2, tokenized) };
        let gain = sought.as_ref().map_or(stay.gain, |sought| sought.gain);
        let worth = (LEAST_JUMPS * jump).max(stay.looked_at as i32);
        misses = if worth <= gain { misses.saturating_sub(MISSES_PER_STEP) } else { misses + 1 }
            .min(FREE_MISSES + MISSES_PER_STEP * MAX_STEP);
        let step = if worth <= gain { 0 } else { LOOK_AHEAD * (misses.saturating_sub(FREE_MISSES) / MISSES_PER_STEP) };
        if let Some(Restart { target, window, .. }) = sought {
            starts.push((target, window));
            (i, j) = (target + 1, window + 1);
            done = i;
        } else if 0 < stay.gain {
            starts.extend(stay.starts);
            (i, j) = (i + stay.target, j + stay.window);
            done = i;
            (i, j) = (i + step, j + step);
        } else {
            i += LOOK_AHEAD + step;
        }
    }
    SequenceAlignment {
        words,
        starts: aligner.diagonals(&starts),
        #[cfg(test)]
        searches,
    }
}

/// Parts of the bytes, from all over them.
fn samples(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.chunks(SAMPLE).step_by((bytes.len() / (SAMPLES * SAMPLE)).max(1))
}

fn count(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    bytes.iter().filter(|byte| is(**byte)).count()
}

/// Whether the samples look like text: they have few bytes that text does not have.
fn is_text(bytes: &[u8]) -> bool {
    let (strange, all) = samples(bytes).fold((0, 0), |(strange, all), sample| {
        (strange + count(sample, |byte| !(9..0x80).contains(&byte)), all + sample.len())
    });
    strange * 20 < all
}

/// Whether many of the samples look like lists of numbers, which source maps have.
pub(crate) fn has_lists(bytes: &[u8]) -> bool {
    let is_list = |sample: &&[u8]| sample.len() < COMMA_IN_LIST * count(sample, |byte| matches!(byte, b',' | b';'));
    samples(bytes).count() <= LISTS * samples(bytes).filter(is_list).count()
}

/// Whether a module begins somewhere in the bytes.
pub(crate) fn has_module(bytes: &[u8]) -> bool {
    let zeros = bytes.iter().enumerate().filter(|(_, byte)| **byte == MAGIC[0]);
    zeros.into_iter().any(|(at, _)| bytes[at..].starts_with(&MAGIC))
}

/// Whether at least half of the bytes are modules.
pub(crate) fn is_mostly_modules(bytes: &[u8]) -> bool {
    if !has_module(bytes) {
        return false;
    }
    let mut reader = WasmReader::default();
    let inside = bytes.iter().filter(|byte| {
        reader.read(**byte);
        reader.is_inside()
    });
    bytes.len() <= 2 * inside.count()
}

/// Bytes of memory that an alignment takes.
pub(crate) fn memory(window: &[u8], target: &[u8], grain: Grain) -> usize {
    let words = grain != Grain::Bytes && is_text(target);
    let count = |bytes: &[u8]| {
        let within = |pair: &[u8]| is_word_byte(pair[0]) && is_word_byte(pair[1]);
        if words { bytes.len() - bytes.windows(2).filter(|pair| within(pair)).count() } else { bytes.len() }
    };
    let (old, new) = (count(window), count(target));
    let (index, making) = (4 * old + (8 * old).min(4 << MAX_BUCKET_BITS), 6 * old);
    let indexes = if grain.has_shapes(words, window.len()) { 2 * index } else { index };
    4 * (old + new) + indexes + making
}

/// Tokens as codes. The upper 6 bits are the length of a word, or [`NUMBER`] and the length of a number, or 0 for a byte
/// between them. The lower bits are the word's hash; or the number's part, in 5 bits, and its hash; or the byte.
struct TokenSequence {
    codes: Vec<u32>,
    /// Where every [`MARK`]th token begins.
    marks: Vec<u32>,
}

/// The number of tokens after which the sequence notes where the next one begins.
const MARK: usize = 64;

/// Added to the length of a number. A word has at most [`MAX_TOKEN_LEN`] bytes.
const NUMBER: u32 = 50;
/// Set in the code of a byte of a module.
const MODULE_BYTE: u32 = 1 << 8;
/// Set in the code of a byte of a module's data.
const DATA_BYTE: u32 = 1 << 9;

impl TokenSequence {
    fn of_bytes(bytes: &[u8]) -> TokenSequence {
        let marks = (0..bytes.len() as u32).step_by(MARK).collect();
        TokenSequence { codes: bytes.iter().map(|byte| u32::from(*byte)).collect(), marks }
    }

    /// Words and bytes between them, and perhaps the numbers of modules.
    fn of_tokens(bytes: &[u8], has_modules: bool) -> TokenSequence {
        let (mut codes, mut marks) = (Vec::new(), Vec::new());
        let mut reader = WasmReader::default();
        let mut in_data = false;
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let is_data = matches!(reader.part, Part::Data | Part::DataEnd);
            in_data = is_data || in_data && reader.bytes != 0;
            let (code, len) = match reader.part {
                Part::Outside => word(rest),
                // The words of data are bytes here, since what is inserted before them need not be whole words.
                part if part.moves() && part != Part::Data && reader.bytes == 0 => number(part, rest),
                _ => (if in_data { DATA_BYTE } else { 0 } | MODULE_BYTE | u32::from(rest[0]), 1),
            };
            if codes.len().is_multiple_of(MARK) {
                marks.push(at as u32);
            }
            codes.push(code);
            if has_modules {
                rest[..len].iter().for_each(|byte| reader.read(*byte));
            }
            at += len;
        }
        codes.shrink_to_fit();
        TokenSequence { codes, marks }
    }

    /// Where a token begins.
    fn start(&self, token: usize) -> u32 {
        let mark = token / MARK;
        let between = mark * MARK..token;
        let len = |code: &u32| match code >> 26 {
            0 => 1,
            len => len.checked_sub(NUMBER).unwrap_or(len),
        };
        self.marks.get(mark).copied().unwrap_or(0) + self.codes[between].iter().map(len).sum::<u32>()
    }

    fn len(&self, token: usize) -> u32 {
        self.codes[token] >> 26
    }

    /// Whether a token is of a module: a number, or a byte with this bit in its code.
    fn is_of_module(&self, token: usize) -> bool {
        NUMBER <= self.len(token) || self.is_byte_with(token, MODULE_BYTE)
    }

    fn is_data(&self, token: usize) -> bool {
        self.is_byte_with(token, DATA_BYTE)
    }

    fn is_byte_with(&self, token: usize, bit: u32) -> bool {
        self.len(token) == 0 && self.codes[token] & bit != 0
    }
}

/// The code and the length of the word that begins with these bytes, or of a byte between words.
fn word(bytes: &[u8]) -> (u32, usize) {
    let longest = &bytes[..bytes.len().min(MAX_TOKEN_LEN)];
    match longest.iter().position(|byte| !is_word_byte(*byte)).unwrap_or(longest.len()) {
        0 => (u32::from(bytes[0]), 1),
        len => ((len as u32) << 26 | hash_of(&longest[..len]) >> 6, len),
    }
}

/// The code and the length of the number that begins with these bytes.
fn number(part: Part, bytes: &[u8]) -> (u32, usize) {
    let len = part.number_len(bytes);
    ((NUMBER + len as u32) << 26 | (part as u32) << 21 | hash_of(&bytes[..len]) >> 11, len)
}

fn hash_of(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| hash(sum, u32::from(*byte)))
}

/// A code in which all short words are equal, and all numbers of a part.
fn shape(code: u32) -> u32 {
    match code >> 26 {
        1 | 2 => 1 << 26,
        NUMBER.. => NUMBER << 26 | code & 31 << 21,
        _ => code,
    }
}

/// Token windows of one width, hashed into buckets.
#[derive(Clone, Copy)]
struct TokenWindows {
    width: usize,
    bits: u32,
    view: fn(u32) -> u32,
}

impl TokenWindows {
    /// The bucket of each window in turn, by a rolling hash (Karp and Rabin 1987).
    fn buckets(self, codes: &[u32]) -> impl Iterator<Item = usize> {
        let leaving = FACTOR.wrapping_pow(self.width as u32);
        let first = (self.width <= codes.len()).then(|| self.sum(codes));
        let next = codes.get(self.width..).unwrap_or_default();
        let rolled = next.iter().zip(codes).scan(first.unwrap_or(0), move |sum, (new, old)| {
            *sum = self.append(*sum, *new).wrapping_sub(u64::from((self.view)(*old)).wrapping_mul(leaving));
            Some(*sum)
        });
        first.into_iter().chain(rolled).map(move |sum| self.spread(sum))
    }

    /// The bucket of the window that begins with these codes.
    fn bucket(self, codes: &[u32]) -> usize {
        self.spread(self.sum(codes))
    }

    fn sum(self, codes: &[u32]) -> u64 {
        codes[..self.width].iter().fold(0, |sum, code| self.append(sum, *code))
    }

    fn append(self, sum: u64, code: u32) -> u64 {
        sum.wrapping_mul(FACTOR).wrapping_add(u64::from((self.view)(code)))
    }

    fn spread(self, sum: u64) -> usize {
        ((sum ^ sum >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - self.bits)) as usize
    }
}

/// The positions of token windows, in ascending order in each bucket.
struct WindowIndex {
    windows: TokenWindows,
    ends: Vec<u32>,
    places: Vec<u32>,
}

impl WindowIndex {
    fn new(tokens: &TokenSequence, width: usize, view: fn(u32) -> u32) -> WindowIndex {
        let count = (tokens.codes.len() + 1).saturating_sub(width);
        let bits = (count.max(2).ilog2() + 1).min(MAX_BUCKET_BITS);
        let windows = TokenWindows { width, bits, view };
        // Sort by the upper bits of the buckets, then each part by the lower bits, so that writes stay in the cache.
        let lower = bits / 2;
        let mut parts = vec![0; (1 << (bits - lower)) + 1];
        windows.buckets(&tokens.codes).for_each(|bucket| parts[(bucket >> lower) + 1] += 1);
        accumulate(&mut parts);
        let (mut places, mut rests) = (vec![0; count], vec![0u16; count]);
        let mut next = parts.clone();
        for (at, bucket) in windows.buckets(&tokens.codes).enumerate() {
            let place = &mut next[bucket >> lower];
            places[*place] = at as u32;
            rests[*place] = (bucket & ((1 << lower) - 1)) as u16;
            *place += 1;
        }
        let mut ends = Vec::with_capacity((1 << bits) + 1);
        ends.push(0);
        for part in parts.windows(2).map(|part| part[0]..part[1]) {
            let mut next = vec![0; (1 << lower) + 1];
            rests[part.clone()].iter().for_each(|rest| next[usize::from(*rest) + 1] += 1);
            accumulate(&mut next);
            ends.extend(next[1..].iter().map(|end| (part.start + end) as u32));
            let unsorted = places[part.clone()].to_vec();
            for (at, rest) in unsorted.iter().zip(&rests[part.clone()]) {
                let place = &mut next[usize::from(*rest)];
                places[part.start + *place] = *at;
                *place += 1;
            }
        }
        WindowIndex { windows, ends, places }
    }

    /// At most four positions in the bucket of the window that begins with these codes: the nearest to `wished`.
    fn near(&self, codes: &[u32], wished: usize) -> &[u32] {
        if codes.len() < self.windows.width {
            return &[];
        }
        let bucket = self.windows.bucket(codes);
        let places = &self.places[self.ends[bucket] as usize..self.ends[bucket + 1] as usize];
        let middle = places.partition_point(|place| (*place as usize) < wished);
        &places[middle.saturating_sub(2)..places.len().min(middle + 2)]
    }
}

/// Replaces counts by their running sums.
fn accumulate(counts: &mut [usize]) {
    (1..counts.len()).for_each(|at| counts[at] += counts[at - 1]);
}

/// A continuation from one place, and what it gains.
struct Extension {
    gain: i32,
    /// Whether so many tokens are equal that no other place needs to be tried.
    settled: bool,
    /// How many tokens of the target were looked at.
    looked_at: usize,
    /// How many tokens of each side the continuation covers.
    target: usize,
    window: usize,
    starts: Vec<(usize, usize)>,
}

impl Extension {
    fn straight(gain: i32) -> Extension {
        Extension { gain, settled: false, looked_at: 0, target: 1, window: 1, starts: Vec::new() }
    }
}

/// Another place to continue from.
struct Restart {
    gain: i32,
    target: usize,
    window: usize,
}

struct Aligner {
    old: TokenSequence,
    new: TokenSequence,
    indexes: Vec<WindowIndex>,
    module_jump: i32,
}

impl Aligner {
    /// The cost of moving the pointer at a token of the target.
    fn jump(&self, i: usize) -> i32 {
        if self.new.is_of_module(i) { self.module_jump } else { JUMP }
    }

    /// The positions of the starts, and of what follows a number that became longer or shorter.
    fn diagonals(&self, starts: &[(usize, usize)]) -> Vec<(u32, u32)> {
        let mut found = Vec::with_capacity(starts.len());
        for (place, (i, j)) in starts.iter().enumerate() {
            found.push((self.new.start(*i), self.old.start(*j)));
            let end = starts.get(place + 1).map_or(self.new.codes.len(), |next| next.0);
            for step in 1..(end - i).min(self.old.codes.len() - j) {
                let (new, old) = (self.new.len(i + step - 1), self.old.len(j + step - 1));
                if new != old && NUMBER <= new.min(old) {
                    found.push((self.new.start(i + step), self.old.start(j + step)));
                }
            }
        }
        found
    }

    /// The gain of pairing two tokens; `None` if the pointer would lose its place.
    #[inline]
    fn pair(&self, i: usize, j: usize) -> Option<i32> {
        let (new, old) = (self.new.codes[i], *self.old.codes.get(j)?);
        match (new >> 26, old >> 26) {
            (0, 0) => Some(if new == old { 3 } else { -4 }),
            (0, _) | (_, 0) => None,
            (len, _) if new == old => {
                let len = len.checked_sub(NUMBER).unwrap_or(len.min(12));
                Some(2 + 2 * len as i32)
            }
            _ => Some(-2),
        }
    }

    /// The greatest gain of up to `len` tokens without a gap.
    fn straight(&self, i: usize, j: usize, len: usize) -> i32 {
        let (mut sum, mut best) = (0, 0);
        for step in 0..len.min(self.new.codes.len() - i) {
            let Some(gain) = self.pair(i + step, j + step) else { break };
            sum += gain;
            best = best.max(sum);
            if sum < best - STRAIGHT_DROP {
                break;
            }
        }
        best
    }

    /// The best other place to continue from, if it gains more than `least`. The target is aligned up to `done`.
    fn seek(&self, i: usize, j: usize, done: usize, least: i32, words: bool) -> Option<Restart> {
        let jump = self.jump(i);
        let (mut best, mut found) = (least, None);
        let mut until = LOOK_AHEAD.min(self.new.codes.len() - i);
        let mut ahead = 0;
        while ahead < until {
            let codes = &self.new.codes[i + ahead..];
            for place in self.indexes.iter().flat_map(|index| index.near(codes, j + ahead)) {
                let place = *place as usize;
                let distance = place.abs_diff(j + ahead).min(place.abs_diff(j));
                let cost = jump + (distance + 1).ilog2() as i32;
                let gain = self.straight(i + ahead, place, if words { 4 * LOOK_AHEAD } else { LOOK_AHEAD }) - cost;
                if best < gain {
                    (best, found) = (gain, Some((i + ahead, place)));
                    until = until.min(ahead + BETTER);
                }
            }
            ahead += 1;
        }
        found.map(|(to, place)| {
            let same = |back: &usize| self.new.codes[to - back] == self.old.codes[place - back];
            let back = (1..=place.min(to - done)).take_while(same).count();
            Restart { gain: best, target: to - back, window: place - back }
        })
    }

    /// The best continuation with small insertions and deletions, each of which costs a jump.
    fn gapped(&self, i: usize, j: usize) -> Extension {
        const WIDTH: usize = 2 * BAND + 1;
        // Column c of row r is window token j + r + c - BAND. `paired` ends with a pair, `open` ends in a gap.
        let (mut paired, mut open) = ([IMPOSSIBLE; WIDTH], [IMPOSSIBLE; WIDTH]);
        let mut run = [0u32; WIDTH];
        paired[BAND] = 0;
        open[BAND..].fill(-JUMP);
        let mut steps = vec![TraceRow::start(BAND)];
        let (mut best, mut end, mut settled) = (0, (0, BAND), false);
        for row in 0..EXTENSION.min(self.new.codes.len() - i) {
            let (mut next_paired, mut next_open, mut next_run) =
                ([IMPOSSIBLE; WIDTH], [IMPOSSIBLE; WIDTH], [0u32; WIDTH]);
            let mut step = TraceRow::default();
            let mut alive = false;
            for column in 0..WIDTH {
                let from = paired[column].max(open[column]);
                let place = (j + row + column).checked_sub(BAND);
                if let (true, Some(place)) = (IMPOSSIBLE < from, place)
                    && let Some(gain) = self.pair(i + row, place)
                    && best - DROP <= from + gain
                {
                    next_paired[column] = from + gain;
                    step.set_from_gap(column, paired[column] < open[column]);
                    next_run[column] = if 0 < gain { run[column] + 1 } else { 0 };
                }
                let ways = [
                    (next_paired[column] - JUMP, GapMove::Opened),
                    (open.get(column + 1).copied().unwrap_or(IMPOSSIBLE), GapMove::Inserted),
                    (column.checked_sub(1).map_or(IMPOSSIBLE, |before| next_open[before]), GapMove::Deleted),
                ];
                let (value, way) = ways
                    .into_iter()
                    .fold((IMPOSSIBLE, GapMove::Opened), |most, way| if most.0 < way.0 { way } else { most });
                if IMPOSSIBLE < value && best - DROP <= value {
                    next_open[column] = value;
                    step.ways[column] = way;
                }
                alive |= IMPOSSIBLE < next_paired[column].max(next_open[column]);
                if best < next_paired[column] {
                    (best, end) = (next_paired[column], (row + 1, column));
                    settled = SETTLED <= next_run[column];
                }
            }
            steps.push(step);
            (paired, open, run) = (next_paired, next_open, next_run);
            if !alive || settled {
                break;
            }
        }
        // From one row to the next a path moves at most one column to the left, so no place is before `j`.
        let starts = trace(&steps, end).into_iter().map(|(row, column)| (i + row, j + row + column - BAND)).collect();
        Extension { gain: best, settled, looked_at: steps.len(), target: end.0, window: end.0 + end.1 - BAND, starts }
    }
}

#[derive(Clone, Copy, Default, PartialEq)]
enum GapMove {
    #[default]
    Opened,
    Inserted,
    Deleted,
}

/// How each cell of a row was reached.
#[derive(Clone)]
struct TraceRow {
    from_gap: [bool; 2 * BAND + 1],
    ways: [GapMove; 2 * BAND + 1],
}

impl Default for TraceRow {
    fn default() -> TraceRow {
        TraceRow { from_gap: [false; 2 * BAND + 1], ways: [GapMove::Opened; 2 * BAND + 1] }
    }
}

impl TraceRow {
    /// The row before the first token: deletions, from the middle on.
    fn start(middle: usize) -> TraceRow {
        let mut step = TraceRow::default();
        step.ways[middle + 1..].fill(GapMove::Deleted);
        step
    }

    fn set_from_gap(&mut self, column: usize, from_gap: bool) {
        self.from_gap[column] = from_gap;
    }
}

/// The cells, by row and column, at which a pair follows a gap on the path to `end`.
fn trace(steps: &[TraceRow], end: (usize, usize)) -> Vec<(usize, usize)> {
    let (mut row, mut column) = end;
    let (mut in_gap, mut starts) = (false, Vec::new());
    while 0 < row || in_gap {
        if in_gap {
            match steps[row].ways[column] {
                GapMove::Opened => in_gap = false,
                GapMove::Inserted => (row, column) = (row - 1, column + 1),
                GapMove::Deleted => column -= 1,
            }
        } else {
            in_gap = steps[row].from_gap[column];
            row -= 1;
            if in_gap {
                starts.push((row, column));
            }
        }
    }
    starts.reverse();
    starts
}

#[cfg(test)]
mod tests;
