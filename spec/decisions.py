"""Decisions, as codecs 2 and 3 read them: protocol.md, section 4."""

from collections import defaultdict

M32 = 0xFFFFFFFF
RATES = [131072 // (2 * n + 3) for n in range(256)]


def clamp(value, low, high):
    return max(low, min(high, value))


def hash2(a, b):
    b = b * 0x85EBCA77 & M32
    x = (a * 0x9E3779B1 & M32) ^ ((b << 13 | b >> 19) & M32)
    x = (x ^ x >> 15) * 0xC2B2AE3D & M32
    return x ^ x >> 13


class Overdrawn(Exception):
    pass


class Decisions:
    """The arithmetic decoder."""

    def __init__(self, packed):
        self.packed, self.at = packed, 0
        self.low, self.high, self.value = 0, M32, 0
        for _ in range(4):
            self.shift()

    def shift(self):
        byte = self.packed[self.at] if self.at < len(self.packed) else 0
        self.value = (self.value << 8 | byte) & M32
        self.at += 1

    def next(self, probability):
        middle = self.low + ((self.high - self.low) * probability >> 16)
        bit = self.value <= middle
        if bit:
            self.high = middle
        else:
            self.low = middle + 1
        while (self.low ^ self.high) >> 24 == 0:
            self.shift()
            self.low = self.low << 8 & M32
            self.high = (self.high << 8 | 0xFF) & M32
        return int(bit)


class Counter:
    def __init__(self, probability=1 << 15):
        self.p, self.n = probability << 6, 0  # 22 bits of probability

    def probability(self):
        return self.p >> 6

    def learn(self, bit, limit):
        self.p += ((((1 << 22) - 1 if bit else 0) - self.p) * RATES[self.n]) >> 16
        self.n = min(self.n + 1, limit) if self.n < limit else self.n

    def decide(self, decisions, limit=250):
        bit = decisions.next(clamp(self.probability(), 32, 65504))
        self.learn(bit, limit)
        return bit


class Sizes:
    def __init__(self, decisions):
        self.decisions, self.lens, self.digits = decisions, defaultdict(Counter), defaultdict(Counter)

    def read(self, context):
        node = 1
        for _ in range(5):
            node = node << 1 | self.lens[context, node].decide(self.decisions)
        length, value = node & 31, 1
        for at in range(length):
            if at < 3:
                bit = self.digits[context, length, value & 7].decide(self.decisions)
            else:
                bit = self.decisions.next(32768)
            value = value << 1 | bit
        return value - 1
