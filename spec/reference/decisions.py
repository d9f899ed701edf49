"""Decisions, counters and sizes, which codecs 2 and 3 share: substitution.md, "Decisions"."""

from collections import defaultdict

M32 = 0xFFFFFFFF  # arithmetic modulo 2^32 is `& M32`
COUNTER_LIMIT = 250
MIN_PROBABILITY, MAX_PROBABILITY = 32, 65504
MAX_MISSING = 4
ADAPTIVE_DIGITS = 3
RATES = [131072 // (2 * n + 3) for n in range(256)]


def clamp(value, low, high):
    return max(low, min(high, value))


def hash2(a, b):
    b = b * 0x85EBCA77 & M32
    x = (a * 0x9E3779B1 & M32) ^ ((b << 13 | b >> 19) & M32)
    x = (x ^ x >> 15) * 0xC2B2AE3D & M32
    return x ^ x >> 13


class Counter:
    """A probability of 22 bits that learns, and the number of bits it learned from."""

    def __init__(self, probability=32768):
        self.estimate, self.n = probability << 6, 0

    def probability(self):
        return self.estimate >> 6

    def learn(self, bit, limit):
        goal = (1 << 22) - 1 if bit else 0
        self.estimate += (goal - self.estimate) * RATES[self.n] >> 16
        self.n = min(self.n + 1, limit)


class Decisions:
    """The arithmetic decoder."""

    def __init__(self, data):
        self.data, self.taken = data, 0
        self.low, self.high, self.value = 0, M32, 0
        for _ in range(4):
            self.take_byte()

    def take_byte(self):
        byte = self.data[self.taken] if self.taken < len(self.data) else 0
        self.taken += 1
        self.value = (self.value << 8 | byte) & M32

    def read_bit(self, probability):
        middle = self.low + ((self.high - self.low) * probability >> 16)
        bit = int(self.value <= middle)
        if bit:
            self.high = middle
        else:
            self.low = middle + 1
        while self.low >> 24 == self.high >> 24:
            self.low = self.low << 8 & M32
            self.high = (self.high << 8 | 0xFF) & M32
            self.take_byte()
        return bit

    def counter_bit(self, counter, limit=COUNTER_LIMIT):
        bit = self.read_bit(clamp(counter.probability(), MIN_PROBABILITY, MAX_PROBABILITY))
        counter.learn(bit, limit)
        return bit

    def is_overdrawn(self):
        return len(self.data) + MAX_MISSING < self.taken

    def is_spent(self):
        return len(self.data) <= self.taken


class Sizes:
    """Numbers below 2^32 - 1, each in a context."""

    def __init__(self, decisions):
        self.decisions = decisions
        self.length_counters, self.digit_counters = defaultdict(Counter), defaultdict(Counter)

    def read_size(self, context):
        node = 1
        for _ in range(5):
            node = node << 1 | self.decisions.counter_bit(self.length_counters[context, node])
        digits, number = node & 31, 1
        for digit in range(digits):
            if digit < ADAPTIVE_DIGITS:
                bit = self.decisions.counter_bit(self.digit_counters[context, digits, number & 7])
            else:
                bit = self.decisions.read_bit(32768)
            number = number << 1 | bit
        return number - 1
