"""The pointer into the window, the word tables and the recall: dense.md, with the same names."""

from .decisions import M32, Counter, hash2

MARGIN = 16
WORD_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$")
MAX_WORD = 48
WORD_TABLE_BITS = 16
MAX_CONFIDENCE = 3
KIND_LIMIT = 60
OWN_WORD, UNCERTAIN_WORD, NO_GUESS, WINDOW_BYTE, WINDOW_END, RECALLED, KINDS = 12, 13, 14, 15, 16, 17, 18
MIN_AGREED, MAX_AGREED = 5, 40


def hash3(a, b, c):
    return hash2(hash2(a, b), c)


def hash_word(word):
    h = 17
    for byte in word:
        h = (h + byte) * 0x2C1B3C6D & M32
    return h


class Word:
    """A word of the window that the target is following."""

    def __init__(self, start, end, own_hash, keys):
        self.start, self.end, self.hash, self.keys = start, end, own_hash, keys
        self.guesses, self.uncertain, self.refused = [], 0, 0


class Follower:
    def __init__(self, buffer, window_end):
        self.buffer, self.window_end = buffer, window_end
        self.pointer, self.word, self.passed = MARGIN, None, (0, 0)
        self.tables = [{}, {}, {}]  # place -> (word, check, confidence)
        self.kind_counters = [Counter() for _ in range(KINDS)]

    def window_byte(self, at):
        return self.buffer[at] if at < self.window_end else 0

    def read_word(self, at, passed, last_byte):
        """The end, the hash and the keys of the window's word at a position."""
        end = at
        while end < min(self.window_end, at + MAX_WORD) and self.buffer[end] in WORD_BYTES:
            end += 1
        own_hash = hash_word(self.buffer[at:end])
        left = hash2(own_hash, hash2(passed[0], last_byte))
        return end, own_hash, [hash2(own_hash, 1), hash2(left, 2), hash2(left, hash2(passed[1], 3))]

    def look_up(self, keys):
        """The tables' guesses, each with its kind."""
        found = []
        for t in (2, 1, 0):
            entry = self.tables[t].get(keys[t] >> 32 - WORD_TABLE_BITS)
            if entry is not None and entry[1] == keys[t] & 0xFFFF:
                found.append((entry[0], 4 * t + entry[2]))
            elif t == 0:
                return []
        return found

    def enter_word(self):
        b, at = self.buffer, self.pointer
        if self.word or self.window_end <= at or b[at] not in WORD_BYTES or b[-1] in WORD_BYTES:
            return
        end, own_hash, keys = self.read_word(at, self.passed, b[-1])
        word, own = Word(len(b), end, own_hash, keys), bytes(b[at:end])
        guesses = self.look_up(keys)
        word.uncertain = int(any(hash_word(guess) != own_hash for guess, _ in guesses))
        guesses.append((own, UNCERTAIN_WORD if word.uncertain else OWN_WORD))
        guesses.sort(key=lambda guess: -self.kind_counters[guess[1]].probability())  # stable
        word.guesses = [(own if hash_word(guess) == own_hash else guess, kind) for guess, kind in guesses]
        self.word = word

    def stride(self, length, most):
        """Where a block of about `length` bytes ends in the window, and `passed` there."""
        b, at, passed_here, last_byte = self.buffer, self.pointer, self.passed, self.buffer[-1]
        while at < min(self.window_end, self.pointer + length):
            if b[at] in WORD_BYTES and last_byte not in WORD_BYTES:
                end, own_hash, keys = self.read_word(at, passed_here, last_byte)
                ends = end < self.window_end and b[end] not in WORD_BYTES
                uncertain = any(hash_word(guess) != own_hash for guess, _ in self.look_up(keys))
                if self.pointer + most < end + ends or uncertain:
                    break
                if ends:
                    passed_here = own_hash, passed_here[0]
                at = end + ends
            else:
                if b[at] not in WORD_BYTES:
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
        for guess, kind in self.word.guesses:
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
            if byte not in WORD_BYTES:
                self.passed = byte, self.passed[0]
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
        for guess, kind in word.guesses:
            self.kind_counters[kind].learn(hash_word(guess) == hash_word(new), KIND_LIMIT)
        for table, key in zip(self.tables, word.keys, strict=True):
            place, check = key >> 32 - WORD_TABLE_BITS, key & 0xFFFF
            entry = table.get(place)
            same = entry is not None and entry[1] == check and hash_word(entry[0]) == hash_word(new)
            table[place] = new, check, min(entry[2] + 1, MAX_CONFIDENCE) if same else 0


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
