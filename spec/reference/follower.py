"""The pointer into the window, the word tables, shifts and the recall: dense.md and modules.md, with the same names.

Without wasm = 1 the reader of the target reads nothing, and all parts of the window are OUTSIDE.
"""

from collections import defaultdict

from .decisions import M32, Counter, hash2
from .wasm import DATA, LOCAL, MAX_NUMBER, OUTSIDE, moves, number_len, number_of, signed64, write_number

MARGIN = 16
WORD_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$")
MAX_WORD = 48
WORD_TABLE_BITS = 16
MAX_CONFIDENCE = 3
KIND_LIMIT = 60
OWN_WORD, UNCERTAIN_WORD, NO_GUESS, WINDOW_BYTE, WINDOW_END, RECALLED, KINDS = 12, 13, 14, 15, 16, 17, 18
SHIFTED = 18  # the first kind of a guess that a number moved as numbers near it did
SHIFT_BITS, SHIFT_TABLE_BITS = (3, 7, 12, 63), 14
MIN_AGREED, MAX_AGREED = 5, 40


def hash3(a, b, c):
    return hash2(hash2(a, b), c)


def hash_word(word, seed=17):
    h = seed
    for byte in word:
        h = (h + byte) * 0x2C1B3C6D & M32
    return h


class Word:
    """A word, or a number, of the window that the target is following."""

    def __init__(self, start, end, own_hash, keys, part):
        self.start, self.end, self.hash, self.keys, self.part = start, end, own_hash, keys, part
        self.guesses, self.uncertain, self.refused, self.value = [], 0, 0, 0


class Shifts:
    """By how much numbers moved."""

    def __init__(self):
        self.levels = [{} for _ in SHIFT_BITS]  # place -> (distance, check, confidence)

    def place_and_check(self, level, part, value):
        near = value >> SHIFT_BITS[level]
        key = hash3(part | level + 1 << 8, near & M32, near >> 32 & M32)
        return key >> 32 - SHIFT_TABLE_BITS, key & 0xFFFF | 1

    def shift(self, level, part, value):
        """The distance and the confidence, or None."""
        place, check = self.place_and_check(level, part, value)
        entry = self.levels[level].get(place)
        return (entry[0], entry[2]) if entry is not None and entry[1] == check else None

    def all(self, part, value):
        """The level, the distance and the confidence of each entry."""
        found = ((level, self.shift(level, part, value)) for level in range(len(SHIFT_BITS)))
        return [(level, *entry) for level, entry in found if entry is not None]

    def learn(self, part, value, distance):
        for level, table in enumerate(self.levels):
            place, check = self.place_and_check(level, part, value)
            entry = self.shift(level, part, value)
            same = entry is not None and entry[0] == distance
            table[place] = distance, check, min(entry[1] + 1, MAX_CONFIDENCE) if same else 0


class Follower:
    def __init__(self, buffer, window_end, words, reader, window_parts):
        self.buffer, self.window_end = buffer, window_end
        self.words, self.reader = words, reader
        self.window_parts = window_parts  # of each position before the window's end
        self.pointer, self.word, self.passed = MARGIN, None, (0, 0)
        self.tables = [{}, {}, {}]  # place -> (text, its hash when it was learned, check, confidence)
        self.kind_counters = defaultdict(Counter)  # by part and kind
        self.shifts = Shifts()

    def window_byte(self, at):
        return self.buffer[at] if at < self.window_end else 0

    def hash_of(self, part, text):
        """The hash of a word, or of a number."""
        seed = 17 + (part << 8)
        if part == LOCAL:
            seed = seed + hash2(self.reader.body, 1) & M32
        return hash_word(text, seed)

    def begins(self, at, last_byte):
        """The part of what begins at a window position and is followed in one piece, or None."""
        part = self.window_parts[at]
        if part == OUTSIDE:
            is_word = self.words and self.buffer[at] in WORD_BYTES and last_byte not in WORD_BYTES
            return OUTSIDE if is_word else None
        return part if moves(part) else None

    def read_word(self, part, at, passed, last_byte):
        """The end, the hash and the keys of the window's word, or number, at a position."""
        end = at
        if moves(part):
            end += number_len(part, self.buffer, at, self.window_end)
        else:
            while end < min(self.window_end, at + MAX_WORD) and self.buffer[end] in WORD_BYTES:
                end += 1
        own_hash = self.hash_of(part, self.buffer[at:end])
        left = hash2(own_hash, hash2(passed[0], last_byte))
        return end, own_hash, [hash2(own_hash, 1), hash2(left, 2), hash2(left, hash2(passed[1], 3))]

    def look_up(self, keys):
        """The tables' guesses, each with its hash and its kind."""
        found = []
        for t in (2, 1, 0):
            entry = self.tables[t].get(keys[t] >> 32 - WORD_TABLE_BITS)
            if entry is not None and entry[2] == keys[t] & 0xFFFF:
                found.append((entry[0], entry[1], 4 * t + entry[3]))
            elif t == 0:
                return []
        return found

    def enter_word(self):
        b, at = self.buffer, self.pointer
        if self.word or self.window_end <= at:
            return
        part = self.begins(at, b[-1])
        if part is None or self.reader.part != part or self.reader.bytes != 0:
            return
        end, own_hash, keys = self.read_word(part, at, self.passed, b[-1])
        word, own = Word(len(b), end, own_hash, keys, part), bytes(b[at:end])
        guesses = self.look_up(keys)
        if moves(part):
            word.value = number_of(part, own)
            guesses += self.shifted_guesses(word, len(own))
        word.uncertain = int(any(h != own_hash for _, h, _ in guesses))
        guesses.append((own, own_hash, UNCERTAIN_WORD if word.uncertain else OWN_WORD))
        guesses.sort(key=lambda guess: -self.kind_counters[part, guess[2]].probability())  # stable
        word.guesses = [(own if h == own_hash else guess, h, kind) for guess, h, kind in guesses]
        self.word = word

    def shifted_guesses(self, word, own_len):
        """What the number became if it moved as numbers near it did, each with its hash and its kind."""
        part, value = word.part, word.value
        least = own_len if len(write_number(part, value, 1)) < own_len else 1
        guesses = []
        for level, distance, confidence in self.shifts.all(part, value):
            guess = write_number(part, signed64(value + distance), least)
            guesses.append((guess, self.hash_of(part, guess), SHIFTED + 4 * level + confidence))
        return guesses

    def stride(self, length, most):
        """Where a block of about `length` bytes ends in the window, and `passed` there."""
        b, at, passed_here, last_byte = self.buffer, self.pointer, self.passed, self.buffer[-1]
        while at < min(self.window_end, self.pointer + length):
            part = self.begins(at, last_byte)
            if part is not None:
                end, own_hash, keys = self.read_word(part, at, passed_here, last_byte)
                ends = part == OUTSIDE and end < self.window_end and b[end] not in WORD_BYTES
                uncertain = any(h != own_hash for _, h, _ in self.look_up(keys))
                if self.pointer + most < end + ends or uncertain:
                    break
                if moves(part):
                    shifts = self.shifts.all(part, number_of(part, b[at:end]))
                    if shifts and shifts[0][1] != 0:
                        break
                if ends or moves(part):
                    passed_here = own_hash, passed_here[0]
                at = end + ends
            else:
                if b[at] not in WORD_BYTES and self.window_parts[at] == OUTSIDE:
                    passed_here = b[at], passed_here[0]
                at += 1
            last_byte = b[at - 1]
        return at, passed_here

    def word_bytes(self):
        """How many bytes of the word the target has."""
        return len(self.buffer) - self.word.start if self.word else 0

    def continuations(self):
        """For each guess that fits: the next byte (None beyond the window) and the kind."""
        so_far = bytes(self.buffer[self.word.start :])
        for guess, _, kind in self.word.guesses:
            if guess == so_far:
                yield (self.buffer[self.word.end] if self.word.end < self.window_end else None), kind
            elif guess.startswith(so_far):
                yield guess[len(so_far)], kind

    def expect(self):
        if not self.word:
            at_end = self.pointer == self.window_end
            return (0, WINDOW_END) if at_end else (self.buffer[self.pointer], WINDOW_BYTE)
        for byte, kind in self.continuations():
            return byte or 0, kind
        return self.window_byte(self.word.end), NO_GUESS

    def alternative(self, expected):
        """The next byte of the first guess that expects another one."""
        for byte, _ in self.continuations() if self.word else ():
            if byte is not None and byte != expected:
                return byte
        return None

    def advance(self):
        """Moves over the buffer's last byte."""
        b, word, byte = self.buffer, self.word, self.buffer[-1]
        if not word:
            self.pointer = min(self.window_end, self.pointer + 1)
            if byte not in WORD_BYTES and self.reader.part == OUTSIDE:
                self.passed = byte, self.passed[0]
        elif moves(word.part):
            new = bytes(b[word.start :])
            if len(new) == 4 if word.part == DATA else byte < 0x80 or len(new) == MAX_NUMBER:
                self.learn_word(word, new)
                self.passed = word.hash, self.passed[0]
                self.pointer, self.word = word.end, None
        elif byte in WORD_BYTES:
            if len(b) - word.start == MAX_WORD:
                self.pointer, self.word = word.end, None
        else:
            new = bytes(b[word.start : len(b) - 1])
            if new:
                self.learn_word(word, new)
                self.passed = word.hash, self.passed[0]
            same_end = word.end < self.window_end and b[word.end] == byte
            self.pointer, self.word = word.end + same_end, None

    def learn_word(self, word, new):
        new_hash = self.hash_of(word.part, new)
        for _, guess_hash, kind in word.guesses:
            self.kind_counters[word.part, kind].learn(guess_hash == new_hash, KIND_LIMIT)
        for table, key in zip(self.tables, word.keys, strict=True):
            place, check = key >> 32 - WORD_TABLE_BITS, key & 0xFFFF
            entry = table.get(place)
            same = entry is not None and entry[1:3] == (new_hash, check)
            table[place] = new, new_hash, check, min(entry[3] + 1, MAX_CONFIDENCE) if same else 0
        if moves(word.part):
            self.shifts.learn(word.part, word.value, signed64(number_of(word.part, new) - word.value))


class Recall:
    def __init__(self, buffer, recall_bits):
        self.buffer, self.recall_bits = buffer, recall_bits
        self.short_table, self.long_table, self.place, self.agreed = {}, {}, 0, 0

    def places(self, at):
        def number(back, length):
            return int.from_bytes(self.buffer[at - back : at - back + length], "little")

        short = hash2(number(6, 4), number(2, 2))
        long = hash3(number(12, 4), number(8, 4), number(4, 4))
        return short >> 32 - self.recall_bits, long >> 32 - self.recall_bits

    def remember(self, at):
        short, long = self.places(at)
        self.short_table[short] = self.long_table[long] = at

    def byte(self):
        return self.buffer[self.place] if self.agreed else None

    def advance(self, length):
        """Moves over the buffer's last bytes."""
        if self.agreed and self.buffer[self.place : self.place + length] == self.buffer[-length:]:
            self.place, self.agreed = self.place + length, self.agreed + length
        else:
            self.agreed = 0

    def search(self):
        if self.agreed:
            return
        b = self.buffer
        short, long = self.places(len(b))
        for place in (self.long_table.get(long, 0), self.short_table.get(short, 0)):
            agreed = 0
            while agreed < min(MAX_AGREED, place) and b[place - 1 - agreed] == b[len(b) - 1 - agreed]:
                agreed += 1
            if MIN_AGREED <= agreed:
                self.place, self.agreed = place, agreed
                return


def agreed_class(agreed):
    return sum(limit <= agreed for limit in (1, 8, 16, 32))
