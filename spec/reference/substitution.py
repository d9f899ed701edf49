"""Codec 3, substitution: substitution.md, with the same names. Slow and plain on purpose."""

from collections import defaultdict

from .decisions import M32, Counter, Decisions, Sizes, hash2
from .wire import Reader, Refused, demand
from .zstd_region import Op, decode_frame, prefix_of

WORD_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$")
MAX_WORD_TOKEN = 7
MAX_NUMBER_TOKEN = 5
TABLE_BITS = 16
CHECK_BITS = 6
MAX_CONFIDENCE = 3
MOVEMENT_BITS = 14
NEAR_BITS = 7
LETTER_LIMIT = 30
UNSEEN_WORD = 1200
MAX_RUN = 32
SHORT, LONG, UNCHANGED_BYTE = range(3)
COUNT_SIZE, GAP_SIZE, DISTANCE_SIZE, COPY_SIZE, SUBSTITUTED_SIZE, TAIL_SIZE = 0, 1, 9, 21, 22, 23
BY_TOKEN, BY_CONTEXT = 0, 1
FROM_CONTEXT, FROM_TOKEN, NEAR_MOVEMENT, LAST_MOVEMENT, UNCHANGED = range(5)


class Frame:
    """The new bytes of codec 3: one frame."""

    def __init__(self, reader, new_len, limits, prefix):
        self.bytes = Reader(decode_frame(reader, new_len, limits, prefix) if new_len != 0 else b"")

    def take(self, count):
        return self.bytes.take(count)

    def passed(self, copy):
        pass


def decode_substitution_region(reader, span, basis, p, limits, target):
    """Appends the region to `target`; returns the basis position after the last copy."""
    return decode_copies(
        reader, span, basis, p, limits, target, lambda _, new_len, prefix: Frame(reader, new_len, limits, prefix)
    )


def decode_copies(reader, span, basis, p, limits, target, new_bytes_of):
    """As `decode_substitution_region`, for codecs 3 and 5. `new_bytes_of` gives what the new bytes are taken from."""
    shape = reader.varint()
    demand(shape <= 1, "bad-renames")
    words = shape == 1
    reach = reader.varint()
    demand(reach <= limits.reach, "limit-reach")
    decisions_len = reader.varint()
    demand(decisions_len <= limits.decisions, "limit-packed")
    decisions = Decisions(reader.take(decisions_len))
    ops, tail = read_ops(decisions, span, len(basis), p, limits)

    new_len = sum(op.gap for op, _ in ops) + tail
    prefix = prefix_of([op for op, _ in ops], reach, p, tail, basis, limits) if reach else b""
    new_bytes = new_bytes_of(decisions, new_len, prefix)

    model, region = Model(words, decisions), bytearray()
    for op, substituted in ops:
        region += new_bytes.take(op.gap)
        copy = basis[op.start : op.start + op.copy_len]
        if substituted:
            copy = model.substitute(copy)
            demand(not decisions.is_overdrawn(), "bad-renames")
        region += copy
        new_bytes.passed(copy)
        demand(len(region) <= span, "bad-ops")
        p = op.start + op.copy_len
    region += new_bytes.take(tail)
    demand(len(region) == span, "bad-ops")
    demand(decisions.is_spent(), "bad-renames")
    target.extend(region)
    return p


def log2(n):
    return n.bit_length() - 1


def read_ops(decisions, span, basis_len, p, limits):
    """The ops, each with whether its copy is substituted; and the tail."""
    sizes, sign_counters, kind_counters = Sizes(decisions), defaultdict(Counter), defaultdict(Counter)
    count = sizes.read_size(COUNT_SIZE)
    demand(count <= limits.substitution_ops, "limit-followed-ops")
    ops, rest, position, last_gap, last_substituted = [], span, p, 0, 0
    for _ in range(count):
        gap = sizes.read_size(GAP_SIZE + 4 * last_substituted + min(log2(last_gap + 1), 3))
        distance = sizes.read_size(DISTANCE_SIZE + 6 * last_substituted + min(log2(gap + 1), 5))
        if distance != 0 and decisions.counter_bit(sign_counters[last_substituted]):
            distance = -distance
        goes_on = int(gap == 0 and distance == 0)
        substituted = decisions.counter_bit(kind_counters[2 * last_substituted + goes_on])
        copy_len = sizes.read_size(SUBSTITUTED_SIZE if substituted else COPY_SIZE) + 1
        rest -= gap if substituted else gap + copy_len
        demand(0 <= rest, "bad-ops")
        start = position + gap + distance
        demand(0 <= start and start + copy_len <= basis_len, "copy-outside-basis")
        demand(not substituted or copy_len <= limits.substituted_copy, "limit-followed")
        ops.append((Op(gap, start, copy_len), substituted))
        position, last_gap, last_substituted = start + copy_len, gap, substituted
    tail = sizes.read_size(TAIL_SIZE)
    demand(tail <= rest and not decisions.is_overdrawn(), "bad-ops")
    return ops, tail


def split(copy, words):
    """The pieces of a copy, and whether each is a token."""
    at = 0
    while at < len(copy):
        piece_len, is_token = 1, False
        if words and copy[at] in WORD_BYTES:
            while at + piece_len < len(copy) and copy[at + piece_len] in WORD_BYTES:
                piece_len += 1
            is_token = piece_len <= MAX_WORD_TOKEN
        elif not words:
            high = 0
            while high < MAX_NUMBER_TOKEN and at + high < len(copy) and 0x80 <= copy[at + high]:
                high += 1
            if 1 <= high < MAX_NUMBER_TOKEN and at + high < len(copy):
                piece_len, is_token = high + 1, True
        yield copy[at : at + piece_len], is_token
        at += piece_len


def text_of(token):
    return int.from_bytes(token, "little")


def value_of(text, token_len):
    return sum((text >> 8 * i & 127) << 7 * i for i in range(token_len))


def number_of(value, token_len):
    """The text of a value's shortest LEB128, if that has this length."""
    if not 1 << 7 * (token_len - 1) <= value < 1 << 7 * token_len:
        return None
    return sum((value >> 7 * i & 127 | (0x80 if i + 1 < token_len else 0)) << 8 * i for i in range(token_len))


class Model:
    """What tokens became, and the counters of the decisions about them."""

    def __init__(self, words, decisions):
        self.words, self.decisions = words, decisions
        self.tables = [{}, {}]  # place -> (text, check, confidence)
        self.movements, self.last_movement = {}, 0
        self.first_counters, self.other_counters = defaultdict(Counter), defaultdict(Counter)
        self.letter_counters, self.recent = defaultdict(Counter), 0
        self.runs, self.run_outcomes, self.run_counters = {}, 0, defaultdict(Counter)
        self.bytes = [{}, {}]  # place -> (byte, check, confidence)
        self.byte_outcomes, self.byte_counters = 0, defaultdict(Counter)
        self.other_byte_counters, self.difference_counters = defaultdict(Counter), defaultdict(Counter)

    def substitute(self, copy):
        """The target's bytes for one substituted copy."""
        made, at, previous, begin = bytearray(), 0, 0, 0
        for piece, is_token in split(copy, self.words):
            if is_token:
                if not self.words:
                    made += self.change_bytes(copy, begin, at)
                own, token_len = text_of(piece), len(piece)
                left = copy[at - 1] if 0 < at else 0
                token_key = hash2(own & M32, own >> 32)
                keys = [token_key, hash2(token_key, hash2(left, previous))]
                new = self.read_token(own, token_len, left, keys)
                new_len = (new.bit_length() + 7) // 8 if self.words else token_len
                made += new.to_bytes(new_len, "little")
                previous, begin = token_key, at + token_len
            elif self.words:
                made += piece
            at += len(piece)
        if not self.words:
            made += self.change_bytes(copy, begin, len(copy))
        return bytes(made)

    def change_bytes(self, copy, start, end):
        """What the bytes between two numbers became."""
        made = bytearray()
        while start < end:
            run = copy[start : min(start + MAX_RUN, end)]
            if self.read_run(run):
                made += bytes(self.read_byte(copy, at) for at in range(start, start + len(run)))
            else:
                made += run
            start += len(run)
        return made

    def read_run(self, run):
        key = hash2(len(run), 0)
        for at in range(0, len(run), 4):
            key = hash2(key, text_of(run[at : at + 4]))
        state, check = self.runs.get(key >> 16, (0, 0))
        seen = state if check == key & 63 else 0
        changed = self.decisions.counter_bit(self.run_counters[seen, self.run_outcomes & 15, log2(len(run))])
        self.runs[key >> 16] = 2 if changed else 1, key & 63
        self.run_outcomes = self.run_outcomes << 1 | changed
        return changed

    def read_byte(self, copy, at):
        own = copy[at]
        back = [copy[at - n] if n <= at else 0 for n in range(4)]
        short_key = hash2(own | back[1] << 8, 0)
        keys = [short_key, hash2(short_key, back[2] | back[3] << 8)]
        short, short_confidence = self.byte_of(SHORT, keys[SHORT])
        long, long_confidence = self.byte_of(LONG, keys[LONG])
        trust = 5 * (long_confidence + 1) + short_confidence + 1
        first = next(byte for byte in [long, short, own] if byte is not None)
        context = trust, short == long, first == own, self.byte_outcomes & 7
        if self.decisions.counter_bit(self.byte_counters[context]):
            new = first
        else:
            new = self.read_other_byte(own, first, first if short is None else short, trust)
        for table, key in enumerate(keys):
            byte, confidence = self.byte_of(table, key)
            confidence = min(confidence + 1, MAX_CONFIDENCE) if byte == new else 0
            self.bytes[table][key >> 16] = new, key & 0xFFFF | 1, confidence
        self.byte_outcomes = self.byte_outcomes << 1 | int(new != own)
        return new

    def byte_of(self, table, key):
        """What a byte with this key became, and its confidence; or nothing and -1."""
        byte, check, confidence = self.bytes[table].get(key >> 16, (None, 0, -1))
        return (byte, confidence) if check == key & 0xFFFF | 1 else (None, -1)

    def read_other_byte(self, own, first, short, trust):
        if short != first and self.decisions.counter_bit(self.other_byte_counters[SHORT, trust]):
            return short
        if own not in (first, short) and self.decisions.counter_bit(self.other_byte_counters[UNCHANGED_BYTE, trust]):
            return own
        node = 1
        for _ in range(8):
            node = node << 1 | self.decisions.counter_bit(self.difference_counters[node], LETTER_LIMIT)
        return own + node & 255

    def look_up(self, table, key):
        """The text and its confidence from 1 to 4, or nothing and 0."""
        text, check, confidence = self.tables[table].get(key >> 32 - TABLE_BITS, (0, 0, 0))
        is_empty = text == check == confidence == 0
        if is_empty or check != key & (1 << CHECK_BITS) - 1:
            return None, 0
        return text, confidence + 1

    def store(self, table, key, new):
        text, confidence = self.look_up(table, key)
        confidence = min(confidence, MAX_CONFIDENCE) if text == new else 0
        self.tables[table][key >> 32 - TABLE_BITS] = new, key & (1 << CHECK_BITS) - 1, confidence

    def read_token(self, own, token_len, left, keys):
        """What a token became."""
        by_context, context_confidence = self.look_up(BY_CONTEXT, keys[BY_CONTEXT])
        by_token, token_confidence = self.look_up(BY_TOKEN, keys[BY_TOKEN])
        movement, value, movement_place = None, value_of(own, token_len), None
        if not self.words:
            movement_place = hash2(value >> NEAR_BITS, token_len | left << 8) >> 32 - MOVEMENT_BITS
            movement = self.movements.get(movement_place)
        offers = self.offers(own, token_len, by_context, by_token, movement)

        agree = int(by_context == by_token)
        is_own = int(offers[0][0] == own)
        movement_class = 0 if movement is None else 1 if movement == 0 else 2
        trust = 5 * context_confidence + token_confidence
        if self.words and trust == 0:
            context = UNSEEN_WORD + 4 * token_len + self.recent
        else:
            context = (((trust * 2 + agree) * 2 + is_own) * 3 + movement_class) * 4 + self.recent
        holds = self.decisions.counter_bit(self.first_counters[context])
        self.recent = (2 * self.recent + 1 - holds) & 3
        new = offers[0][0] if holds else self.read_other(own, token_len, offers, trust)

        self.store(BY_TOKEN, keys[BY_TOKEN], new)
        self.store(BY_CONTEXT, keys[BY_CONTEXT], new)
        if not self.words:
            moved = value_of(new, token_len) - value
            self.movements[movement_place] = moved
            if moved != 0:
                self.last_movement = moved
        return new

    def offers(self, own, token_len, by_context, by_token, movement):
        """The texts that the token may have become, each with its source."""
        candidates = [(by_context, FROM_CONTEXT), (by_token, FROM_TOKEN)]
        if not self.words:
            low_bytes = (1 << 8 * token_len) - 1
            candidates = [(text if text is None else text & low_bytes, source) for text, source in candidates]
            value = value_of(own, token_len)
            near = None if movement is None else number_of(value + movement, token_len)
            candidates += [(near, NEAR_MOVEMENT), (number_of(value + self.last_movement, token_len), LAST_MOVEMENT)]
        offers = []
        for text, source in [*candidates, (own, UNCHANGED)]:
            if text is not None and text not in [offered for offered, _ in offers]:
                offers.append((text, source))
        return offers

    def read_other(self, own, token_len, offers, trust):
        for j, (text, source) in enumerate(offers[1:]):
            if self.decisions.counter_bit(self.other_counters[(5 * j + source) * 25 + trust]):
                return text
        return self.spell_word(own) if self.words else self.spell_number(own, token_len)

    def spell_word(self, own):
        new = 0
        for i in range(MAX_WORD_TOKEN):
            own_letter = own >> 8 * i & 127
            same_so_far = int(new == own & (1 << 8 * i) - 1)
            letter = self.read_tree((own_letter, same_so_far, min(i, 3)), 7)
            if letter == 0:
                break
            new |= letter << 8 * i
        if new == 0:
            raise Refused("bad-renames")
        return new

    def spell_number(self, own, token_len):
        new = 0
        for i in range(token_len):
            difference = self.read_tree((token_len, i), 8)
            new |= ((own >> 8 * i) + difference & 255) << 8 * i
        return new

    def read_tree(self, context, bits):
        node = 1
        for _ in range(bits):
            node = node << 1 | self.decisions.counter_bit(self.letter_counters[context, node], LETTER_LIMIT)
        return node - (1 << bits)
