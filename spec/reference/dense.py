"""Codec 2, dense: dense.md and modules.md, with the same names. Slow and plain on purpose."""

from .decisions import M32, MAX_PROBABILITY, MIN_PROBABILITY, Counter, Decisions, Sizes, clamp, hash2
from .follower import (
    KINDS,
    MARGIN,
    MAX_WORD,
    NO_GUESS,
    RECALLED,
    WINDOW_END,
    WORD_BYTES,
    Follower,
    Recall,
    agreed_class,
    hash3,
)
from .mixing import Correction, Mixture, squash
from .wasm import OPAQUE, OUTSIDE, WITHIN, Reader
from .wire import demand

WORDS, PART, WASM, MAX_MEMORY = 1, 2, 64, 13
WHOLE_WORD = 18  # added to the kind of a word that is expected whole
MIN_BLOCK, MAX_LEVEL = 16, 12
BLOCK_DELAY, DELAY_IN_WORDS, DELAY_IN_BYTES = 16, 32, 256
SURE_AGREED, UNSURE_HITS, ANCHOR_HITS = 24, 4, 4
MAX_WORD_HITS = 8
RESYNC_STEPS, RESYNC_AGREED, RESYNC_MIN = 64, 16, 4
PAGE = 4096
FIRST_JUMP_PROBABILITY = 4096
# For each context two weights, those of its probability and of its history; then those of the extra inputs.
BLOCK_WEIGHTS = [-400, 800, 3200, 1800, 4400, 1950, 1500, 1750, 1750, 1150, 1750]
FLAG_WEIGHTS = [5950, 4350, 800, 750, 2600, 750, 2100, 800, 3000, 2050, 550, 1850, 2500, 1100, -3700]
LITERAL_WEIGHTS = [
    900, 850, 3200, 2650, 2400, 2200, 1450, 850, 1100, 900, 2500, 1850, 2300, 2500, 1750, 1550, 2350, 1900, 1000, 850,
    1550, 1500, 8950, 3550, 1350, 2300, 950,
]  # fmt: skip
WASM_WEIGHTS = [2000, 1500, 2000, 1500]  # those of the two contexts more that literals have with wasm = 1
POINTER_BASE, ANCHOR_BASE, RECALL_BASE = 0, 1, 2


def decode_dense_region(reader, span, basis, limits):
    """The bytes of the region."""
    demand(span <= limits.dense, "limit-span")
    shape = reader.varint()
    start, length = 0, len(basis)
    if shape & PART:
        start, length = reader.varint(), reader.varint()
        demand(start + length <= len(basis), "copy-outside-basis")
    demand(length <= limits.dense, "limit-dense-window")
    memory = (shape & ~WASM) >> 2
    demand(memory <= MAX_MEMORY, "bad-dense")
    decisions_len = reader.varint()
    demand(decisions_len <= limits.decisions, "limit-packed")
    decisions = Decisions(reader.take(decisions_len))
    model = Model(basis[start : start + length], span, shape & WORDS, shape & WASM, memory, decisions)
    while len(model.buffer) < model.end:
        model.step()
        demand(not decisions.is_overdrawn(), "bad-dense")
    demand(decisions.is_spent(), "bad-dense")
    return bytes(model.buffer[model.window_end :])


def last_bytes_hash(count, last4):
    return hash2(16 + count, last4 & M32 >> 32 - 8 * count)


def extend_word_hash(word_hash, byte):
    return hash2(word_hash + 1 & M32, byte) if byte in WORD_BYTES else 0


def wasm_contexts(reader, last_byte):
    """The contexts of literals that only wasm = 1 has, each with its number."""
    r = reader
    contexts = [(11, hash3(22, r.context, last_byte)), (12, hash3(23, r.place, r.opcodes))]
    if r.part != OUTSIDE:
        contexts.append((0, hash3(25, r.place, hash2(r.latest[r.part], r.so_far))))
        contexts.append((2, hash3(26, r.context, hash2(r.opcodes & 0xFFFF, r.before[0]))))
    return contexts


class Situation:
    """What stands around the next byte."""

    def __init__(self, model):
        follower, recall, b = model.follower, model.recall, model.buffer
        self.expected, self.kind = follower.expect()
        self.recalled = recall.byte()
        if NO_GUESS <= self.kind <= WINDOW_END and SURE_AGREED <= recall.agreed and model.hits < UNSURE_HITS:
            self.expected, self.kind = self.recalled, RECALLED
        self.recalled_byte = self.recalled or 0
        self.agreement = 0 if self.recalled is None else 1 if self.recalled == self.expected else 2
        self.in_word, self.refused = int(follower.word is not None), follower.word.refused if follower.word else 0
        self.word_bytes = follower.word_bytes()
        self.at_byte = follower.window_byte(follower.pointer)
        self.after_byte = follower.window_byte(follower.pointer + 1)
        self.before_byte = b[follower.pointer - 1]
        self.shifted = self.at_byte + model.difference & 255
        self.calm = min(model.hits.bit_length(), 7)
        self.last4 = int.from_bytes(b[-4:], "big")  # the latest byte lowest
        self.last_byte = b[-1]


class Model:
    def __init__(self, window, span, words, wasm, memory, decisions):
        self.buffer = bytearray(MARGIN) + window
        self.window_end, self.end = len(self.buffer), len(self.buffer) + span
        self.wasm, self.follows, self.decisions = wasm, words or wasm, decisions
        self.reader, self.page_readers = Reader(), []
        self.follower = Follower(self.buffer, self.window_end, words, self.reader, self.read_window())
        self.recall = Recall(self.buffer, min(10 + memory, 20))
        if memory != 0:
            for at in range(MARGIN, self.window_end, 2):
                self.recall.remember(at)
        self.blocks = Mixture(5, 12, 1, (16, 64, 256), BLOCK_WEIGHTS)
        self.flags = Mixture(7, min(8 + memory, 16), 1, (3 * (KINDS + WHOLE_WORD), 256, 64), FLAG_WEIGHTS)
        context_count, most_bits, weights = 11, 18, LITERAL_WEIGHTS
        if wasm:
            context_count, most_bits, weights = 13, 19, weights[:22] + WASM_WEIGHTS + weights[22:]
        self.literals = Mixture(context_count, min(10 + memory, most_bits), 4, (256, 64 * KINDS, 256), weights)
        self.flag_corrections, self.literal_correction = [Correction(), Correction()], Correction()
        self.misses = self.hits = self.target_word = 0
        self.difference = self.differences = 0
        self.block_delay, self.block_level, self.block_outcomes = BLOCK_DELAY, 0, 0
        self.since_jump = self.last_gap = self.last_distance = self.last_base = 0
        self.anchor, self.jumped = MARGIN, False
        self.primed, self.pages_left = set(), (1 << memory) // 2
        self.jump_counters = [Counter(FIRST_JUMP_PROBABILITY) for _ in range(16)]
        self.again_counters = [Counter() for _ in range(2)]
        self.recall_counters = [Counter() for _ in range(16)]
        self.anchor_counters = [Counter() for _ in range(3)]
        self.sign_counters, self.sizes = [Counter() for _ in range(3)], Sizes(decisions)

    def read_window(self):
        """The parts of the window's bytes, by position. Keeps the reader as it is before each page."""
        parts, reader = bytearray(self.window_end), Reader()
        for at in range(MARGIN, self.window_end if self.wasm else MARGIN):
            if (at - MARGIN) % PAGE == 0:
                self.page_readers.append(reader.copy())
            parts[at] = reader.part if reader.bytes == 0 else WITHIN
            reader.read(self.buffer[at])
        return parts

    def read_target(self, length):
        """Reads the bytes that were appended."""
        if self.wasm:
            for byte in self.buffer[len(self.buffer) - length :]:
                self.reader.read(byte)

    def step(self):
        follower = self.follower
        can_try = self.block_delay == 0 and not follower.word and follower.pointer < self.window_end
        if can_try and self.try_block():
            return
        self.block_delay = max(self.block_delay - 1, 0)
        if self.follows:
            follower.enter_word()
            if self.try_word():
                return
        self.read_byte_or_jump()

    # Blocks

    def try_block(self):
        b, follower, start = self.buffer, self.follower, len(self.buffer)
        left = self.end - start
        length = min(MIN_BLOCK << self.block_level, left)
        if self.follows:
            end, passed_end = follower.stride(length, left)
        else:
            end, passed_end = min(follower.pointer + length, self.window_end), follower.passed
        length = end - follower.pointer
        if length < MIN_BLOCK:
            self.block_delay = 1
            return False
        b += b[follower.pointer : end]
        holds = self.read_block_flag(start, length)
        if holds:
            self.read_target(length)
            self.block_level = min(self.block_level + 1, MAX_LEVEL)
            self.misses = self.target_word = self.recall.agreed = 0
            self.hits, self.since_jump = self.hits + length, self.since_jump + length
            follower.pointer, follower.passed = end, passed_end
        else:
            del b[start:]
            self.block_level, self.block_delay = self.block_level // 2, BLOCK_DELAY
        return holds

    def read_block_flag(self, start, length):
        b, level = self.buffer, self.block_level
        last_byte, first_two = b[start - 1], int.from_bytes(b[start : start + 2], "little")
        old_misses = min((self.misses >> 16).bit_count(), 3)
        self.blocks.find([
            hash2(1, old_misses | level << 2),
            hash2(2, self.block_outcomes & 255 | level << 8),
            hash2(3, self.hits.bit_length() | level << 8),
            hash3(4, level, first_two | last_byte << 16),
            hash3(5, level, self.block_outcomes & 3 | length << 4),
        ])  # fmt: skip
        output = self.blocks.predict(1, [256], [level, self.block_outcomes & 63, last_byte])
        bit = self.decisions.read_bit(squash(output))
        self.blocks.learn(bit)
        self.block_outcomes = (self.block_outcomes << 1 | bit) & M32
        return bit

    # Words

    def try_word(self):
        b, follower, word = self.buffer, self.follower, self.follower.word
        if not word or word.part != OUTSIDE or follower.word_bytes() != 0:
            return False
        if word.end == self.window_end or b[word.end] in WORD_BYTES:
            return False
        guess, _, kind = word.guesses[0]
        length = len(guess) + 1
        if MAX_WORD <= len(guess) or self.end - len(b) < length:
            return False
        s = self.look()
        s.kind, s.after_byte = kind + WHOLE_WORD, b[word.end]
        if not self.read_flag(s):
            word.refused = 1
            return False
        b += guess + b[word.end : word.end + 1]
        self.hits, self.since_jump = self.hits + length, self.since_jump + length
        self.misses = self.misses << min(length, MAX_WORD_HITS) & M32
        self.target_word, self.jumped = 0, False
        self.read_target(length)
        follower.advance()
        self.recall.advance(length)
        self.find_places()
        return True

    # Bytes

    def look(self):
        return Situation(self)

    def read_byte_or_jump(self):
        s = self.look()
        if self.read_flag(s):
            byte = s.expected
        else:
            due = int(self.since_jump == self.last_gap)
            jump_context = s.in_word | s.agreement << 1 | due << 3
            if not self.jumped and self.decisions.counter_bit(self.jump_counters[jump_context]):
                self.read_jump(due)
                return
            if ANCHOR_HITS <= self.hits or self.misses == 0:
                self.anchor = self.follower.pointer
            self.prime_page()
            byte = self.read_literal(s)
        self.jumped = False
        self.buffer.append(byte)
        self.finish_byte(s, byte)

    def read_flag(self, s):
        word, r = self.follower.word, self.reader
        word_state = min(s.word_bytes, 3) << 4 | s.refused << 8
        place = hash2(word.keys[0], s.word_bytes | s.kind << 8 | s.refused << 16) if word else s.expected | 1 << 20
        neighbours = s.expected | s.after_byte << 8 | s.before_byte << 16 | s.last_byte << 24
        contexts = [
            hash3(2, s.kind | s.calm << 8 | (self.misses & 15) << 12, s.agreement | word_state),
            hash2(4, place),
            hash3(6, neighbours, s.kind),
            hash2(1, s.expected | s.last_byte << 8 | s.kind << 16),
            hash3(8, (s.expected | s.last4 << 8) & M32, s.word_bytes | s.in_word << 8 | s.refused << 9),
            hash3(13, min(self.since_jump, 255) | min(self.last_gap, 255) << 8, s.kind),
            hash3(10, self.differences, s.expected | (self.misses & 3) << 8),
        ]
        if r.part != OUTSIDE:
            contexts[1] = hash3(20, r.context, s.expected)
            contexts[4] = hash3(21, r.place, (s.expected | r.opcodes << 8) & M32)
        self.flags.find(contexts)
        second_set = self.misses & 255 if r.part == OUTSIDE else r.place
        chosen = [3 * s.kind + s.agreement, second_set, 8 * s.calm + agreed_class(self.recall.agreed)]
        output = self.flags.predict(1, [256], chosen)
        first, second = self.flag_corrections
        first_context = hash2((s.expected | s.kind << 8 | s.last4 << 16) & M32, 5) >> 20
        p = 2 * squash(output) + first.refine(output, first_context) + second.refine(output, contexts[1] >> 20) >> 2
        bit = self.decisions.read_bit(clamp(p, 1, 65535))
        self.flags.learn(bit)
        first.learn(bit)
        second.learn(bit)
        return bit

    def read_literal(self, s):
        word, other, r = self.follower.word, self.follower.alternative(s.expected), self.reader
        agreed = agreed_class(self.recall.agreed)
        word_or_byte = word.hash if word else 0 if self.follows else s.at_byte | 1 << 30
        contexts = [
            hash2(1, self.misses & 255),
            last_bytes_hash(2, s.last4),
            last_bytes_hash(3, s.last4),
            hash3(6, s.at_byte | s.expected << 8, s.kind),
            hash3(7, s.at_byte | s.last_byte << 8 | s.before_byte << 16, s.after_byte),
            last_bytes_hash(1, s.last4),
            last_bytes_hash(4, s.last4),
            hash3(8, word_or_byte, self.target_word),
            hash3(10, s.recalled_byte | agreed << 8, s.at_byte),
            hash3(11, s.shifted, self.misses & 7 | s.last_byte << 8),
            hash3(13, s.expected, self.differences & 0xFFFF),
        ]
        if r.part != OUTSIDE:
            if r.part != OPAQUE:
                contexts[5] = hash3(27, r.context, r.number & M32)
                before = hash2(r.before[0], r.before[1])
                contexts[6] = hash3(28, r.place, hash2(r.opcodes & 0xFFFFFF, before))
            if word:
                contexts[7] = hash3(24, word.hash, r.so_far)
            else:
                contexts[7] = hash3(24, r.context, s.at_byte | s.expected << 8)
        if self.wasm:
            contexts += [0, 0]
            for k, context in wasm_contexts(r, s.last_byte):
                contexts[k] = context
        third_set = s.last_byte if r.part == OUTSIDE else r.place
        candidates = [s.recalled_byte, s.expected, s.shifted, other or 0]
        possible = [s.recalled is not None, True, self.difference != 0, other is not None]
        node, inner = 1, 1
        for i in (7, 6, 5, 4, 3, 2, 1, 0):
            if i in (7, 3):
                self.literals.find([hash2(context, node) for context in contexts])
                inner = 1
            strengths = [64 + 16 * min(self.recall.agreed, 32), -96 - 60 * (7 - i), 100, 150]
            extra = [
                (strength if byte >> i & 1 else -strength) if is_possible else 0
                for byte, is_possible, strength in zip(candidates, possible, strengths, strict=True)
            ]
            holding = sum(is_possible << c for c, is_possible in enumerate(possible))
            chosen = [node, s.kind % KINDS << 6 | holding << 2 | i & 3, third_set]
            output = self.literals.predict(inner, [*extra, 256], chosen)
            context = hash3(s.expected | s.kind << 8, node, s.last_byte) >> 18
            p = squash(output) + self.literal_correction.refine(output, context) >> 1
            bit = self.decisions.read_bit(clamp(p, MIN_PROBABILITY, MAX_PROBABILITY))
            self.literals.learn(bit)
            self.literal_correction.learn(bit)
            possible = [
                is_possible and byte >> i & 1 == bit for byte, is_possible in zip(candidates, possible, strict=True)
            ]
            node, inner = node << 1 | bit, inner << 1 | bit
        return node & 255

    def finish_byte(self, s, byte):
        hit = byte == s.expected
        self.misses = (self.misses << 1 | (not hit)) & M32
        self.hits = self.hits + 1 if hit else 0
        if not hit:
            self.block_delay = DELAY_IN_WORDS if self.follows else DELAY_IN_BYTES
            if not s.in_word and self.follower.pointer < self.window_end:
                self.difference = byte - s.at_byte & 255
                self.differences = (self.differences << 8 | self.difference) & M32
        self.since_jump += 1
        self.target_word = extend_word_hash(self.target_word, byte)
        self.read_target(1)
        self.follower.advance()
        self.recall.advance(1)
        self.find_places()

    # Jumps

    def read_jump(self, due):
        pointer = self.follower.pointer
        if self.decisions.counter_bit(self.again_counters[due]):
            to = pointer + self.last_distance
        else:
            agreed = agreed_class(self.recall.agreed)
            if agreed and self.decisions.counter_bit(self.recall_counters[4 * min(agreed, 3) + self.last_base]):
                self.last_base = RECALL_BASE
            elif self.decisions.counter_bit(self.anchor_counters[self.last_base]):
                self.last_base = ANCHOR_BASE
            else:
                self.last_base = POINTER_BASE
            base = [pointer, self.anchor, self.recall.place][self.last_base]
            distance = self.sizes.read_size(self.last_base)
            if distance != 0 and self.decisions.counter_bit(self.sign_counters[self.last_base]):
                distance = -distance
            to = base + distance
            self.last_distance = to - pointer
        demand(MARGIN <= to <= self.window_end, "bad-dense")
        self.follower.pointer, self.follower.word = to, None
        self.last_gap, self.since_jump = self.since_jump, 0
        self.misses, self.hits = (self.misses << 1 | 1) & M32, 0
        self.block_delay, self.jumped = BLOCK_DELAY, True

    # The pointer and the recall after misses

    def find_places(self):
        if self.misses & 255:
            self.recall.search()
            self.recall.remember(len(self.buffer))
        if self.follows and not self.follower.word and self.misses & 15:
            self.resync()

    def resync(self):
        b, pointer = self.buffer, self.follower.pointer
        best, chosen = 0, pointer
        for step in range(RESYNC_STEPS):
            place = pointer - (step + 1) // 2 if step % 2 else pointer + step // 2
            if not MARGIN <= place < self.window_end:
                continue
            agreed = 0
            while agreed < RESYNC_AGREED and b[place - 1 - agreed] == b[len(b) - 1 - agreed]:
                agreed += 1
            score = 4 * agreed - step // 16
            if RESYNC_MIN <= agreed and best < score:
                best, chosen = score, place
        self.follower.pointer = chosen

    def prime_page(self):
        page = (self.follower.pointer - MARGIN) // PAGE
        if self.pages_left == 0 or page in self.primed:
            return
        self.primed.add(page)
        self.pages_left -= 1
        start = MARGIN + page * PAGE
        page_word = 0
        reader = self.page_readers[page].copy() if page < len(self.page_readers) else Reader()
        for at in range(start, min(start + PAGE, self.window_end)):
            byte, last4 = self.buffer[at], int.from_bytes(self.buffer[at - 4 : at], "big")
            contexts = [
                (5, last_bytes_hash(1, last4)),
                (1, last_bytes_hash(2, last4)),
                (6, last_bytes_hash(4, last4)),
                (7, hash3(8, 0, page_word)),
            ]
            if reader.part != OUTSIDE:
                contexts += wasm_contexts(reader, self.buffer[at - 1])
            for k, context in contexts:
                self.literals.prime(k, hash2(context, 1), byte >> 4)
                self.literals.prime(k, hash2(context, 16 | byte >> 4), byte & 15)
            page_word = extend_word_hash(page_word, byte)
            if self.wasm:
                reader.read(byte)
            self.recall.remember(at)
