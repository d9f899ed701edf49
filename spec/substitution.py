"""Codec 3, renames: ops and followed copies of protocol.md, section 4.

Slow and plain on purpose: what counts is that it says the same as the text.
"""

from collections import defaultdict

from decisions import M32, Counter, Decisions, Sizes, hash2

WORD_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_$")


def log2(number):
    return (number + 1).bit_length() - 1


class Ops:
    """Gap, distance, whether followed, length; of one op after the other, then the gap at the end."""

    def __init__(self, decisions):
        self.decisions, self.sizes = decisions, Sizes(decisions)
        self.signs, self.kinds = defaultdict(Counter), defaultdict(Counter)
        self.last_gap, self.last_followed = 0, 0

    def count(self):
        return self.sizes.read(0)

    def read(self):
        gap = self.sizes.read(1 + 4 * self.last_followed + min(log2(self.last_gap), 3))
        distance = self.sizes.read(9 + 6 * self.last_followed + min(log2(gap), 5))
        if distance and self.signs[self.last_followed].decide(self.decisions):
            distance = -distance
        goes_on = gap == 0 and distance == 0
        followed = self.kinds[2 * self.last_followed + goes_on].decide(self.decisions)
        length = self.sizes.read(21 + followed) + 1
        self.last_gap, self.last_followed = gap, followed
        return gap, distance, followed, length

    def tail(self):
        return self.sizes.read(23)


def pieces(data, words):
    """The pieces of a copy's bytes, and whether each is a token."""
    at = 0
    while at < len(data):
        length, token = 1, False
        if words:
            while data[at] in WORD_BYTES and at + length < len(data) and data[at + length] in WORD_BYTES:
                length += 1
            token = data[at] in WORD_BYTES and length <= 7
        else:
            high = 0
            while high < 5 and at + high < len(data) and 0x80 <= data[at + high]:
                high += 1
            if 1 <= high <= 4 and at + high < len(data):
                length, token = high + 1, True
        yield data[at : at + length], token
        at += length


def differences_of(data, words):
    """How many bytes of the copy want a difference."""
    return 0 if words else sum(len(piece) for piece, token in pieces(data, words) if not token)


def text_of(data):
    return int.from_bytes(data, "little")


def value_of(text, length):
    return sum((text >> 8 * at & 127) << 7 * at for at in range(length))


def number(value, length):
    """The shortest LEB128 of the value, if it has this length."""
    if not 1 << 7 * (length - 1) <= value < 1 << 7 * length:
        return None
    data = [value >> 7 * at & 127 | (0x80 if at + 1 < length else 0) for at in range(length)]
    return text_of(bytes(data))


class NoLetters(Exception):
    pass


class Renames:
    def __init__(self, words, packed):
        self.words, self.decisions = words, Decisions(packed)
        self.ops = Ops(self.decisions)
        self.tables = [{}, {}]  # place -> (text, check, confidence)
        self.near, self.moved = {}, 0
        self.firsts, self.others, self.letters = defaultdict(Counter), defaultdict(Counter), defaultdict(Counter)
        self.recent = 0

    def is_overdrawn(self):
        return len(self.decisions.packed) + 4 < self.decisions.at

    def is_spent(self):
        return len(self.decisions.packed) <= self.decisions.at

    def follow(self, data, differences):
        """What the bytes of a copy became; `differences` for those of no token, of numbers."""
        made, at, before = bytearray(), 0, 0
        for piece, token in pieces(data, self.words):
            if token:
                own = text_of(piece)
                alone = hash2(own & M32, own >> 32)
                left = data[at - 1] if at else 0
                new = self.token(own, len(piece), [alone, hash2(alone, hash2(left, before))])
                length = (new.bit_length() + 7) // 8 if self.words else len(piece)
                made += new.to_bytes(length, "little")
                before = alone
            elif self.words:
                made += piece
            else:
                made += bytes((byte + next(differences)) & 255 for byte in piece)
            at += len(piece)
        return bytes(made)

    def seen(self, table, key):
        text, check, confidence = self.tables[table].get(key >> 16, (0, 0, 0))
        return (text, confidence) if (text or check or confidence) and check == key & 63 else None

    def learn(self, table, key, text):
        seen = self.seen(table, key)
        confidence = min(seen[1] + 1, 3) if seen and seen[0] == text else 0
        self.tables[table][key >> 16] = (text, key & 63, confidence)

    def token(self, own, length, keys):
        t0, t1 = self.seen(0, keys[0]), self.seen(1, keys[1])
        offers = {}  # text -> source, in the order of the offers
        for source, seen in enumerate([t1, t0]):
            if seen:
                offers.setdefault(seen[0] if self.words else seen[0] & (1 << 8 * length) - 1, source)
        near_state = 0
        if not self.words:
            value = value_of(own, length)
            near_place = hash2(value >> 6, length) >> 18
            near = self.near.get(near_place)
            near_state = 0 if near is None else 1 if near == 0 else 2
            for source, moved in [(2, near), (3, self.moved)]:
                text = None if moved is None else number(value + moved, length)
                if text is not None:
                    offers.setdefault(text, source)
        offers.setdefault(own, 4)
        first = next(iter(offers))
        a, b = (seen[1] + 1 if seen else 0 for seen in (t1, t0))
        agree = (t1 and t1[0]) == (t0 and t0[0])
        if self.words and a == b == 0:
            context = 1200 + 4 * length + self.recent
        else:
            context = ((((5 * a + b) * 2 + agree) * 2 + (first == own)) * 3 + near_state) * 4 + self.recent
        holds = self.firsts[context].decide(self.decisions)
        self.recent = (self.recent << 1 | (not holds)) & 3
        new = first if holds else self.other(own, length, offers, 5 * a + b)
        for table, key in enumerate(keys):
            self.learn(table, key, new)
        if not self.words:
            moved = value_of(new, length) - value
            self.near[near_place] = moved
            self.moved = moved or self.moved
        return new

    def other(self, own, length, offers, trust):
        for place, (text, source) in enumerate(list(offers.items())[1:]):
            if self.others[(5 * place + source) * 25 + trust].decide(self.decisions):
                return text
        new = 0
        if not self.words:
            for at in range(length):
                difference = self.tree((length, at), 8)
                new |= ((own >> 8 * at) + difference & 255) << 8 * at
            return new
        for at in range(7):
            same = new == own & (1 << 8 * at) - 1
            letter = self.tree((own >> 8 * at & 127, same, min(at, 3)), 7)
            if letter == 0:
                break
            new |= letter << 8 * at
        if new == 0:
            raise NoLetters
        return new

    def tree(self, context, bits):
        node = 1
        for _ in range(bits):
            node = node << 1 | self.letters[context, node].decide(self.decisions, 30)
        return node - (1 << bits)
