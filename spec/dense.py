"""Codec 2, dense: the model of protocol.md, section 4, decoded step by step.

Slow and plain on purpose: what counts is that it says the same as the text.
"""

from decisions import M32, RATES, Counter, Decisions, Overdrawn, Sizes, clamp, hash2

MARGIN = 16

KNOTS = [
    22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971, 7812, 11955, 17625, 24743, 32768,
    40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500, 65514,
]  # fmt: skip
SQUASH = [(KNOTS[i >> 7] * (128 - (i & 127)) + KNOTS[(i >> 7) + 1] * (i & 127)) >> 7 for i in range(4096)]


def _stretches():
    table, at = [], 1
    for high in range(4096):
        while at < 4095 and SQUASH[at] < high * 16 + 8:
            at += 1
        table.append(at - 2048)
    return table


STRETCH = _stretches()


def squash(stretch):
    return SQUASH[clamp(stretch, -2047, 2047) + 2048]


def hash3(a, b, c):
    return hash2(hash2(a, b), c)


def half(a, b):
    """a / b, towards zero."""
    return a // b if 0 <= a else -(-a // b)


class OutsideWindow(Exception):
    pass


def first_guess(history):
    p = 32768
    for at in reversed(range(max(history, 1).bit_length() - 1)):
        p += half(((65535 if history >> at & 1 else 0) - p) * 3, 5)
    return Counter(clamp(p, 1311, 64224))


class Mixture:
    def __init__(self, contexts, slot_bits, group_bits, sets, weights):
        self.k, self.slot_bits, self.group = contexts, slot_bits, 1 << group_bits
        self.slots = {}  # (context, place) -> [probability, history, count]
        self.checks = {}
        self.histories = [[first_guess(h) for h in range(256)] for _ in range(contexts)]
        self.weights = [[list(weights) for _ in range(size)] for size in sets]
        self.last = [[65536 // 3] * 3 for _ in range(sets[0])]
        self.places = [0] * contexts

    def find(self, contexts):
        self.places = [self.place(k, context) for k, context in enumerate(contexts)]

    def place(self, k, context):
        place = (context >> 32 - self.slot_bits) & ~(self.group - 1)
        check = context & 0xFFFF | 1
        if self.checks.get((k, place)) != check:
            self.checks[k, place] = check
            for node in range(1, self.group):
                self.slots.pop((k, place + node), None)
        return place

    def slot(self, k, node):
        return self.slots.setdefault((k, self.places[k] + node), [32768, 1, 0])

    def predict(self, node, extra, sets):
        self.node, self.sets, self.inputs = node, sets, []
        for k in range(self.k):
            p, history, count = self.slot(k, node)
            self.inputs.append(STRETCH[p >> 4] if count else 0)
            self.inputs.append(STRETCH[self.histories[k][history].probability() >> 4])
        self.inputs += extra
        self.stretches = []
        for which, chosen in enumerate(sets):
            weights = self.weights[which][chosen]
            self.stretches.append(clamp(sum(i * w for i, w in zip(self.inputs, weights)) >> 14, -2047, 2047))
        total = sum(s * (w >> 2) for s, w in zip(self.stretches, self.last[sets[0]]))
        self.output = clamp(total >> 14, -2047, 2047)
        return self.output

    def learn(self, bit):
        wanted = 65535 if bit else 0
        for which, chosen in enumerate(self.sets):
            error = (wanted - squash(self.stretches[which])) * 14 >> 5
            weights = self.weights[which][chosen]
            for i, value in enumerate(self.inputs):
                weights[i] = clamp(weights[i] + (value * error + 0x4000 >> 15), -(1 << 15), (1 << 15) - 1)
        error = (wanted - squash(self.output)) * 3 >> 4
        weights = self.last[self.sets[0]]
        for i, value in enumerate(self.stretches):
            weights[i] = clamp(weights[i] + (value * error + 0x2000 >> 14), -(1 << 18), 1 << 18)
        for k in range(self.k):
            self.see(k, self.places[k], self.node, bit)

    def see(self, k, place, node, bit):
        slot = self.slots.setdefault((k, place + node), [32768, 1, 0])
        self.histories[k][slot[1]].learn(bit, 255)
        learn_slot(slot, bit)

    def show(self, k, context, bits):
        place = self.place(k, context)
        for at in range(4):
            self.see(k, place, 1 << at | bits >> 4 - at, bits >> 3 - at & 1)


def learn_slot(slot, bit):
    p, history, count = slot
    p += ((65535 if bit else 0) - p) * (RATES[count] >> 2) >> 14
    history = history << 1 | bit
    slot[:] = p, history if history < 256 else history & 127 | 128, min(count + 1, 30)


class Correction:
    def __init__(self, contexts):
        self.row = [squash((at - 16) * 128) for at in range(33)]
        self.cells = {}

    def refine(self, stretch, context):
        at = stretch + 2048
        cell, rest = at >> 7, at & 127
        row = self.cells.setdefault(context, list(self.row))
        self.chosen = row, cell + (64 < rest)
        return (row[cell] * (128 - rest) + row[cell + 1] * rest) >> 7

    def learn(self, bit):
        row, cell = self.chosen
        row[cell] += (65535 if bit else 0) - row[cell] >> 6


# --- Following --------------------------------------------------------------------------------------------------------

WORD_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$")
MAX_WORD = 48
SAME_WORD, DOUBTED_WORD, UNKNOWN_WORD, BYTE, NOTHING, RECALLED, KINDS = 12, 13, 14, 15, 16, 17, 18
WHOLE = 18  # added to the kind of a word that is expected whole
RENAME_BITS = 16


def hash_word(text):
    word_hash = 17
    for byte in text:
        word_hash = (word_hash + byte) * 0x2C1B3C6D & M32
    return word_hash


class Word:
    def __init__(self, start, end, word_hash, keys):
        self.start, self.end, self.hash, self.keys = start, end, word_hash, keys
        self.guesses, self.doubted, self.refused = [], False, False


class Follower:
    def __init__(self, buffer, window_end):
        self.buffer, self.window_end = buffer, window_end
        self.at, self.word, self.before = MARGIN, None, (0, 0)
        self.tables = [{} for _ in range(3)]  # index -> (text, check, confidence)
        self.trust = [Counter() for _ in range(KINDS)]

    def byte_at(self, at):
        return self.buffer[at] if at < self.window_end else 0

    def read(self, at, before, last):
        """The window's word at a position: its end, its hash, its keys."""
        end = at
        while end < min(self.window_end, at + MAX_WORD) and self.buffer[end] in WORD_BYTES:
            end += 1
        word_hash = hash_word(self.buffer[at:end])
        left = hash2(word_hash, hash2(before[0], last))
        return end, word_hash, [hash2(word_hash, 1), hash2(left, 2), hash2(left, hash2(before[1], 3))]

    def known(self, keys):
        """What the tables say such a word became; what is not in the first is in none."""
        found = []
        for table in (2, 1, 0):
            entry = self.tables[table].get(keys[table] >> 32 - RENAME_BITS)
            if entry and entry[1] == keys[table] & 0xFFFF:
                found.append((entry[0], 4 * table + entry[2]))
        return found if found and found[-1][1] < 4 else []

    def enter(self):
        b = self.buffer
        if self.word or self.window_end <= self.at or b[self.at] not in WORD_BYTES or b[-1] in WORD_BYTES:
            return
        end, word_hash, keys = self.read(self.at, self.before, b[-1])
        text, word = bytes(b[self.at : end]), Word(len(b), end, word_hash, keys)
        known = self.known(keys)
        word.doubted = any(hash_word(guess) != word_hash for guess, _ in known)
        known.append((text, DOUBTED_WORD if word.doubted else SAME_WORD))
        known.sort(key=lambda guess: -self.trust[guess[1]].probability())  # stable
        word.guesses = [(text if hash_word(guess) == word_hash else guess, kind) for guess, kind in known]
        self.word = word

    def whole(self):
        """The word that is about to be followed, if the byte after it can be told."""
        word = self.word
        if not word or word.start != len(self.buffer) or word.end == self.window_end:
            return None
        text = word.guesses[0][0]
        return text if self.buffer[word.end] not in WORD_BYTES and len(text) < MAX_WORD else None

    def stride(self, length, most):
        """Where a block of at least so many bytes ends, and what stands before it."""
        b, at, before, last = self.buffer, self.at, self.before, self.buffer[-1]
        until = min(self.window_end, self.at + length)
        while at < until:
            if b[at] in WORD_BYTES and last not in WORD_BYTES:
                end, word_hash, keys = self.read(at, before, last)
                ends = end < self.window_end and b[end] not in WORD_BYTES
                doubted = any(hash_word(guess) != word_hash for guess, _ in self.known(keys))
                if self.at + most < end + ends or doubted:
                    break
                if ends:
                    before = word_hash, before[0]
                at = end + ends
            else:
                if b[at] not in WORD_BYTES:
                    before = b[at], before[0]
                at += 1
            last = b[at - 1]
        return at, before

    def in_word(self):
        return len(self.buffer) - self.word.start if self.word else 0

    def continuations(self):
        """Of each guess that fits what stands of the word: the next byte (None: past the window) and the kind."""
        so_far = bytes(self.buffer[self.word.start :])
        for text, kind in self.word.guesses:
            if text[: len(so_far)] == so_far:
                if len(text) == len(so_far):
                    yield (self.buffer[self.word.end] if self.word.end < self.window_end else None), kind
                else:
                    yield text[len(so_far)], kind

    def expected(self):
        if not self.word:
            return (self.buffer[self.at], BYTE) if self.at < self.window_end else (0, NOTHING)
        for byte, kind in self.continuations():
            return byte or 0, kind
        return self.byte_at(self.word.end), UNKNOWN_WORD

    def otherwise(self, not_this):
        """What the best guess expects that disagrees."""
        for byte, kind in self.continuations() if self.word else ():
            if byte is not None and byte != not_this:
                return byte, kind
        return None

    def advance(self, learn):
        b, word, byte = self.buffer, self.word, self.buffer[-1]
        if not word:
            self.at = min(self.window_end, self.at + 1)
            if byte not in WORD_BYTES:
                self.before = byte, self.before[0]
            return
        if byte in WORD_BYTES:
            if len(b) - word.start == MAX_WORD:
                self.at, self.word = word.end, None
            return
        new = bytes(b[word.start : len(b) - 1])
        if new:
            if learn:
                self.learn(word, new)
            self.before = word.hash, self.before[0]
        follows = word.end < self.window_end and b[word.end] == byte
        self.at, self.word = word.end + follows, None

    def learn(self, word, new):
        for text, kind in word.guesses:
            self.trust[kind].learn(hash_word(text) == hash_word(new), 60)
        for table, key in zip(self.tables, word.keys):
            place = key >> 32 - RENAME_BITS
            text, check, confidence = table.get(place, (b"", 0, 0))
            same = text != b"" and check == key & 0xFFFF and hash_word(text) == hash_word(new)
            table[place] = new, key & 0xFFFF, min(confidence + 1, 3) if same else 0


class Recall:
    def __init__(self, buffer, bits):
        self.buffer, self.bits = buffer, bits
        self.short, self.long, self.at, self.agreed = {}, {}, 0, 0

    def tails(self, at):
        number = lambda start, length: int.from_bytes(self.buffer[at - start : at - start + length], "little")
        short = hash2(number(6, 4), number(2, 2))
        long = hash3(number(12, 4), number(8, 4), number(4, 4))
        return short >> 32 - self.bits, long >> 32 - self.bits

    def remember(self, at):
        short, long = self.tails(at)
        self.short[short], self.long[long] = at, at

    def expected(self):
        return self.buffer[self.at] if self.agreed else None

    def advance(self):
        if self.agreed:
            if self.buffer[self.at] == self.buffer[-1]:
                self.agreed, self.at = self.agreed + 1, self.at + 1
            else:
                self.agreed = 0

    def skip(self, length):
        """Moves on over the last bytes, if all of them are as recalled."""
        if self.agreed and self.buffer[self.at : self.at + length] == self.buffer[-length:]:
            self.agreed, self.at = self.agreed + length, self.at + length
        else:
            self.agreed = 0

    def search(self):
        if self.agreed:
            return
        short, long = self.tails(len(self.buffer))
        for found in (self.long.get(long, 0), self.short.get(short, 0)):
            agreed = 0
            while agreed < min(40, found) and self.buffer[found - 1 - agreed] == self.buffer[-1 - agreed]:
                agreed += 1
            if 5 <= agreed:
                self.at, self.agreed = found, agreed
                return


# --- The model --------------------------------------------------------------------------------------------------------

CALM, RESYNC, PAGE = 16, 32, 4096
# For each context its probability's and its history's, then those of the extra inputs.
BLOCK_WEIGHTS = [-400, 800, 3200, 1800, 4400, 1950, 1500, 1750, 1750, 1150, 1750]
FLAG_WEIGHTS = [5950, 4350, 800, 750, 2600, 750, 2100, 800, 3000, 2050, 550, 1850, 2500, 1100, -3700]
LITERAL_WEIGHTS = [
    900, 850, 3200, 2650, 2400, 2200, 1450, 850, 1100, 900, 2500, 1850, 2300, 2500, 1750, 1550, 2350, 1900, 1000, 850,
    1550, 1500, 8950, 3550, 1350, 2300, 950,
]  # fmt: skip


def agreed_class(agreed):
    return sum(limit <= agreed for limit in (1, 8, 16, 32))


def order(length, last):
    return hash2(16 + length, last & M32 >> 32 - 8 * length)


def decode_dense(window, span, words, memory, packed):
    """The target that a dense region's decisions make, and whether all bytes were read."""
    model = Model(window, words, memory, packed)
    while len(model.b) < model.window_end + span:
        model.step(model.window_end + span)
        if len(packed) + 4 < model.decisions.at:
            raise Overdrawn
    return bytes(model.b[model.window_end :]), len(packed) <= model.decisions.at


class Model:
    def __init__(self, window, words, memory, packed):
        self.b = bytearray(MARGIN) + window
        self.window_end = len(self.b)
        self.words, self.decisions = words, Decisions(packed)
        self.follower = Follower(self.b, self.window_end)
        self.recall = Recall(self.b, min(10 + memory, 20))
        if memory:
            for at in range(MARGIN, self.window_end, 2):
                self.recall.remember(at)
        self.flags = Mixture(7, min(8 + memory, 16), 1, (36 * 3, 256, 64), FLAG_WEIGHTS)
        self.flag_corrections = Correction(1 << 12), Correction(1 << 12)
        self.literals = Mixture(11, min(10 + memory, 18), 4, (256, KINDS * 64, 256), LITERAL_WEIGHTS)
        self.literal_correction = Correction(1 << 14)
        self.blocks = Mixture(5, 12, 1, (16, 64, 256), BLOCK_WEIGHTS)
        self.numbers = Numbers(self.decisions)
        self.outcomes = self.since_jump = self.gap = self.last_distance = self.level = 0
        self.patience, self.misses, self.hits, self.new_word = CALM, 0, 0, 0
        self.difference = self.differences = 0
        self.anchor, self.jumped = MARGIN, False
        self.shown, self.pages_left = set(), (1 << memory) >> 1

    def step(self, end):
        between = not self.follower.word and self.follower.at < self.window_end
        if self.patience == 0 and between and self.block(end):
            return
        self.patience = max(self.patience - 1, 0)
        if self.words:
            self.follower.enter()
            if self.word(end):
                return
        self.byte()

    def block(self, end):
        b, start, follower = self.b, len(self.b), self.follower
        length, left = min(CALM << self.level, end - start), end - start
        if self.words:
            at, before = follower.stride(length, left)
        else:
            at, before = min(self.window_end, follower.at + length), follower.before
        length = at - follower.at
        if length < CALM:
            self.patience = 1
            return False
        b += b[follower.at : at]
        holds = self.block_flag(start)
        if holds:
            self.level = min(self.level + 1, 12)
            self.misses = self.new_word = self.recall.agreed = 0
            self.hits, self.since_jump = self.hits + length, self.since_jump + length
            follower.at, follower.before = at, before
        else:
            del b[start:]
            self.level, self.patience = self.level // 2, CALM
        return holds

    def word(self, end):
        text = self.follower.whole()
        if text is None or end - len(self.b) <= len(text):
            return False
        word = self.follower.word
        seen = Seen(self)
        seen.kind += WHOLE
        seen.after = self.b[word.end]
        if not self.flag(seen):
            word.refused = True
            return False
        self.b += text + self.b[word.end : word.end + 1]
        length = len(text) + 1
        self.hits, self.since_jump = self.hits + length, self.since_jump + length
        self.misses = self.misses << min(length, 8) & M32
        self.new_word, self.jumped = 0, False
        self.follower.advance(learn=True)
        self.recall.skip(length)
        self.settle()
        return True

    def block_flag(self, start):
        b, level = self.b, self.level
        recent = min((self.misses >> 16).bit_count(), 3) | level << 2
        following = int.from_bytes(b[start : start + 2], "little")
        self.blocks.find([
            hash2(1, recent),
            hash2(2, self.outcomes & 0xFF | level << 8),
            hash2(3, level << 8 | self.hits.bit_length()),
            hash3(4, level, following | b[start - 1] << 16),
            hash3(5, level, self.outcomes & 3 | len(b) - start << 4),
        ])  # fmt: skip
        stretch = self.blocks.predict(1, [256], (level, self.outcomes & 63, b[start - 1]))
        bit = self.decisions.next(squash(stretch))
        self.blocks.learn(bit)
        self.outcomes = (self.outcomes << 1 | bit) & M32
        return bit

    def byte(self):
        seen = Seen(self)
        hit = self.flag(seen)
        if not hit:
            due = self.since_jump == self.gap
            if not self.jumped and self.numbers.jump(seen, due):
                return self.jump(due)
            if 4 <= self.hits or self.misses == 0:
                self.anchor = self.follower.at
            self.note_miss()
        byte = seen.expected if hit else self.literal(seen)
        self.jumped = False
        self.b.append(byte)
        self.advance(seen, byte)

    def flag(self, s):
        e, k, last = s.expected, s.kind, s.last
        calm, agreed = min(self.hits.bit_length(), 7), agreed_class(self.recall.agreed)
        within = min(s.in_word, 3) if s.is_word else 0
        word = self.follower.word
        refused = word is not None and word.refused
        contexts = [
            hash3(2, k | calm << 8 | (self.misses & 15) << 12, s.agreement | within << 4 | refused << 8),
            hash2(4, hash2(word.keys[0], s.in_word | k << 8 | refused << 16) if word else e | 1 << 20),
            hash3(6, e | s.after << 8 | s.before << 16 | (last & 255) << 24, k),
            hash2(1, e | (last & 255) << 8 | k << 16),
            hash3(8, (e | last << 8) & M32, s.in_word | s.is_word << 8 | refused << 9),
            hash3(13, min(self.since_jump, 255) | min(self.gap, 255) << 8, k),
            hash3(10, self.differences, e | (self.misses & 3) << 8),
        ]
        self.flags.find(contexts)
        sets = k * 3 + s.agreement, self.misses & 255, calm * 8 + agreed
        stretch = self.flags.predict(1, [256], sets)
        first = self.flag_corrections[0].refine(stretch, hash2((e | k << 8 | last << 16) & M32, 5) >> 20)
        second = self.flag_corrections[1].refine(stretch, contexts[1] >> 20)
        bit = self.decisions.next(clamp((2 * squash(stretch) + first + second) >> 2, 1, 65535))
        self.flags.learn(bit)
        for correction in self.flag_corrections:
            correction.learn(bit)
        return bit

    def literal(self, s):
        e, k, last, window = s.expected, s.kind, s.last, s.window
        word, other = self.follower.word, self.follower.otherwise(e)
        recalled, shifted = s.recalled or 0, window + self.difference & 255
        agreed = agreed_class(self.recall.agreed)
        contexts = [
            hash2(1, self.misses & 255),
            order(2, last),
            order(3, last),
            hash3(6, window | e << 8, k),
            hash3(7, window | (last & 255) << 8 | s.before << 16, s.after),
            order(1, last),
            order(4, last),
            hash3(8, word.hash if word else 0 if self.words else window | 1 << 30, self.new_word),
            hash3(10, recalled | agreed << 8, window),
            hash3(11, shifted, self.misses & 7 | (last & 255) << 8),
            hash3(13, e, self.differences & 0xFFFF),
        ]
        # What each of four says the byte is, as long as it agrees, and how strongly.
        says = [
            [s.recalled is not None, recalled],
            [True, e],
            [self.difference != 0, shifted],
            [other is not None, other[0] if other else 0],
        ]
        node = 1
        for at in reversed(range(8)):
            if at in (7, 3):
                self.literals.find([hash2(context, node) for context in contexts])
            inner = node if 4 <= at else node & (1 << 3 - at) - 1 | 1 << 3 - at
            strengths = 64 + min(self.recall.agreed, 32) * 16, -96 - (7 - at) * 60, 100, 150
            extra = [(w if byte >> at & 1 else -w) if holds else 0 for (holds, byte), w in zip(says, strengths)]
            holding = sum(holds << i for i, (holds, _) in enumerate(says))
            sets = node & 255, k << 6 | holding << 2 | at & 3, last & 255
            stretch = self.literals.predict(inner, [*extra, 256], sets)
            context = hash3(e | k << 8, node, last & 255) >> 18
            p = squash(stretch) + self.literal_correction.refine(stretch, context) >> 1
            bit = self.decisions.next(clamp(p, 32, 65504))
            self.literals.learn(bit)
            self.literal_correction.learn(bit)
            for said in says:
                said[0] = said[0] and said[1] >> at & 1 == bit
            node = node << 1 | bit
        return node & 255

    def jump(self, due):
        numbers, at = self.numbers, self.follower.at
        if numbers.again[due].decide(self.decisions):
            to = at + self.last_distance
        else:
            recalled = self.recall.at if self.recall.agreed else at
            base = numbers.base(self.recall.agreed)
            to = (at, self.anchor, recalled)[base] + numbers.distance(base)
            self.last_distance = to - at
        if not MARGIN <= to <= self.window_end:
            raise OutsideWindow
        self.follower.at, self.follower.word = to, None
        self.jumped = True
        self.gap, self.since_jump = self.since_jump, 0
        self.misses = (self.misses << 1 | 1) & M32
        self.hits, self.patience = 0, CALM

    def advance(self, seen, byte):
        hit = byte == seen.expected
        self.misses = (self.misses << 1 | (not hit)) & M32
        self.hits = self.hits + 1 if hit else 0
        if not hit:
            self.patience = 32 if self.words else 256
            if not seen.is_word and self.follower.at < self.window_end:
                self.difference = byte - seen.window & 255
                self.differences = (self.differences << 8 | self.difference) & M32
        self.since_jump += 1
        self.new_word = grown(self.new_word, byte)
        self.follower.advance(learn=True)
        self.recall.advance()
        self.settle()

    def settle(self):
        if self.misses & 0xFF:
            self.recall.search()
            self.recall.remember(len(self.b))
        if self.words and not self.follower.word and self.misses & 15:
            self.resync()

    def resync(self):
        b, at = self.b, self.follower.at
        best, chosen = 0, at
        for step in range(2 * RESYNC):
            place = at - (step + 1) // 2 if step % 2 else at + step // 2
            if not MARGIN <= place < self.window_end:
                continue
            agreed = 0
            while agreed < 16 and b[place - 1 - agreed] == b[-1 - agreed]:
                agreed += 1
            score = 4 * agreed - step // 16
            if 4 <= agreed and best < score:
                best, chosen = score, place
        self.follower.at = chosen

    def note_miss(self):
        page = (self.follower.at - MARGIN) // PAGE
        if self.pages_left and page not in self.shown:
            self.shown.add(page)
            self.pages_left -= 1
            self.prime(MARGIN + page * PAGE)

    def prime(self, start):
        word = 0
        for i in range(start, min(start + PAGE, self.window_end)):
            last, byte = int.from_bytes(self.b[i - 4 : i], "big"), self.b[i]
            contexts = {5: order(1, last), 1: order(2, last), 6: order(4, last), 7: hash3(8, 0, word)}
            for k, context in contexts.items():
                self.literals.show(k, hash2(context, 1), byte >> 4)
                self.literals.show(k, hash2(context, 16 | byte >> 4), byte & 15)
            word = grown(word, byte)
            self.recall.remember(i)


def grown(word, byte):
    return hash2(word + 1 & M32, byte) if byte in WORD_BYTES else 0


class Seen:
    """What stands around the next byte."""

    def __init__(self, model):
        follower, recall, b = model.follower, model.recall, model.b
        self.expected, self.kind = follower.expected()
        self.recalled = recall.expected()
        if UNKNOWN_WORD <= self.kind and 24 <= recall.agreed and model.hits < 4:
            self.expected, self.kind = self.recalled or 0, RECALLED
        self.agreement = 0 if self.recalled is None else 1 if self.recalled == self.expected else 2
        self.in_word, self.is_word = min(follower.in_word(), 48), follower.word is not None
        self.window, self.after = follower.byte_at(follower.at), follower.byte_at(follower.at + 1)
        self.before = b[follower.at - 1]
        self.last = int.from_bytes(b[-4:], "big")  # the latest byte lowest


class Numbers:
    def __init__(self, decisions):
        self.decisions = decisions
        self.jumps = [Counter(4096) for _ in range(16)]
        self.again = [Counter(), Counter()]
        self.bases, self.last_base = [Counter() for _ in range(32)], 0
        self.sizes = Sizes(decisions)
        self.signs = [Counter() for _ in range(3)]

    def jump(self, seen, due):
        return self.jumps[seen.is_word | seen.agreement << 1 | due << 3].decide(self.decisions)

    def base(self, agreed):
        if agreed and self.bases[min(agreed_class(agreed), 3) << 2 | self.last_base].decide(self.decisions):
            self.last_base = 2
        else:
            self.last_base = self.bases[16 | self.last_base].decide(self.decisions)
        return self.last_base

    def distance(self, base):
        size = self.sizes.read(base)
        return -size if size and self.signs[base].decide(self.decisions) else size
