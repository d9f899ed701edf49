"""Codec 5, predicted: predicted.md, with the same names. Slow and plain on purpose."""

from collections import defaultdict

from .decisions import COUNTER_LIMIT, MAX_PROBABILITY, MIN_PROBABILITY, Counter, clamp, hash2
from .mixing import goal, squash, stretch
from .substitution import decode_copies
from .wire import demand

ORDERS = (5, 3, 2)
OFFERS = 3
RECALLED = 8
MAX_COMPARED = 40
RECALL = 9
FIRST_WEIGHTS = (22000, 22000, 22000, 0)
MAX_WEIGHT = 1 << 17
M64 = (1 << 64) - 1


def decode_predicted_region(reader, span, basis, p, limits, target):
    """Appends the region to `target`; returns the basis position after the last copy."""
    demand(span <= limits.dense, "limit-span")

    def new_bytes_of(decisions, new_len, prefix):
        demand(len(prefix) <= limits.learned + 1, "limit-reference")
        return Predictor(prefix, new_len, decisions)

    return decode_copies(reader, span, basis, p, limits, target, new_bytes_of)


def size_class(n):
    return n if n < 4 else 4 if n < 6 else 5 if n < 10 else 6 if n < 21 else 7


def verdict(found, start, byte):
    for place in range(start, len(ORDERS)):
        if found[place]:
            return (2 if place == start else 1) if found[place][0][0] == byte else 3
    return 0


class Mixed:
    """Mixed decisions of one kind."""

    def __init__(self):
        self.counters = [defaultdict(Counter) for _ in range(3)]
        self.weights = defaultdict(lambda: list(FIRST_WEIGHTS))

    def read(self, read_bit, contexts, weight_set):
        counters = [self.counters[i][context] for i, context in enumerate(contexts)]
        inputs = [stretch(counter.probability()) for counter in counters] + [256]
        weights = self.weights[weight_set]
        total = sum(x * w for x, w in zip(inputs, weights, strict=True))
        probability = clamp(squash(total >> 16), MIN_PROBABILITY, MAX_PROBABILITY)
        bit = read_bit(probability)
        error = (goal(bit) - probability) * 3
        for i, x in enumerate(inputs):
            weights[i] = clamp(weights[i] + (x * error + 32768 >> 16), -MAX_WEIGHT, MAX_WEIGHT)
        for counter in counters:
            counter.learn(bit, COUNTER_LIMIT)
        return bit


class Predictor:
    def __init__(self, prefix, new_len, decisions):
        self.decisions = decisions
        self.buffer = bytearray(RECALLED)
        self.bits = clamp((len(prefix) + new_len).bit_length(), 10, 18)
        self.tables = [{} for _ in ORDERS]  # by the place: the check, and the offers (byte, count)
        self.places = defaultdict(int)
        self.recalled, self.agreed, self.outcomes = 0, 0, 0
        self.offers, self.letters = Mixed(), Mixed()
        for byte in prefix:
            self.next_byte(byte)
        self.before = bytes(RECALLED)

    def passed(self, copy):
        before = self.buffer[-RECALLED:] if self.before is None else self.before
        self.before = (bytes(before) + copy)[-RECALLED:]

    def take(self, count):
        made = bytes(self.read_new_byte() for _ in range(count))
        demand(count == 0 or not self.decisions.is_overdrawn(), "bad-renames")
        return made

    def read_new_byte(self):
        if self.before is not None:
            self.buffer += self.before
            self.before, self.agreed = None, 0
            self.recall()
        return self.next_byte()

    def read_mixed(self, kind, contexts, weight_set, known):
        """`known` is the decision, where the model learns the prefix."""
        read_bit = self.decisions.read_bit if known is None else lambda _: int(known)
        return kind.read(read_bit, contexts, weight_set)

    def next_byte(self, known=None):
        contexts = [self.context_of(order) for order in ORDERS]
        found = [self.look_up(place, context) for place, context in enumerate(contexts)]
        byte, longest = self.read_offered(found, known)
        self.outcomes = self.outcomes << 1 & 3 | (longest == 0)
        for place in range(min(longest, 2) + 1):
            self.learn(place, contexts[place], found[place], byte)
        self.append_byte(byte)
        return byte

    def context_of(self, order):
        n = int.from_bytes(self.buffer[-order:], "little")
        return (n + order) * 0x9E3779B97F4A7C15 & M64

    def check_of(self, context):
        return context >> 16 & 0xFFFF | 1

    def look_up(self, place, context):
        check, offers = self.tables[place].get(context >> 64 - self.bits, (0, []))
        return offers if check == self.check_of(context) else []

    def read_offered(self, found, known):
        wrong = set()
        if self.agreed != 0:
            byte = self.buffer[self.recalled]
            more = self.agreed - RECALLED
            more = min(14 + more // 8, 21) if 16 <= more else more
            v = verdict(found, 0, byte)
            if self.read_offer(RECALL, 256 * RECALL + 4 * more + v, v, byte, known):
                return byte, 0
            wrong.add(byte)
        for place, offers in enumerate(found):
            others = sum(count for _, count in offers)
            for rank, (byte, count) in enumerate(offers):
                others -= count
                if byte in wrong:
                    continue
                source = OFFERS * place + rank
                v = verdict(found, place + 1, byte)
                counts = 256 * source + 32 * size_class(count) + 4 * size_class(others) + v
                if self.read_offer(source, counts, v, byte, known):
                    return byte, place
                wrong.add(byte)
        return self.read_letters(known), 3

    def read_offer(self, source, counts, v, byte, known):
        by_last = hash2(source, byte << 8 | self.buffer[-1])
        by_two = hash2(by_last, self.buffer[-2])
        weight_set = 16 * source + 4 * v + self.outcomes
        known = None if known is None else known == byte
        return self.read_mixed(self.offers, [counts, by_last >> 16, by_two >> 16], weight_set, known)

    def read_letters(self, known):
        last, two = self.buffer[-1], hash2(int.from_bytes(self.buffer[-2:], "little"), 5)
        node = 1
        for i in range(7, -1, -1):
            contexts = [node, last << 8 | node, hash2(two, node) >> 16]
            bit = None if known is None else known >> i & 1
            node = node << 1 | self.read_mixed(self.letters, contexts, i, bit)
        return node & 255

    def learn(self, place, context, offers, byte):
        offers = list(offers)
        at = next((i for i, offer in enumerate(offers) if offer[0] == byte), None)
        if at is None:
            at, count = min(len(offers), OFFERS - 1), 1
            offers[at:] = [(byte, count)]
        else:
            count = min(offers[at][1] + 1, 255)
            offers[at] = (byte, count)
        while 0 < at and offers[at - 1][1] <= count:
            offers[at - 1], offers[at] = offers[at], offers[at - 1]
            at -= 1
        self.tables[place][context >> 64 - self.bits] = (self.check_of(context), offers)

    def append_byte(self, byte):
        if self.agreed != 0 and self.buffer[self.recalled] == byte:
            self.recalled, self.agreed = self.recalled + 1, self.agreed + 1
        else:
            self.agreed = 0
        self.buffer.append(byte)
        self.recall()

    def recall(self):
        place = self.context_of(RECALLED) >> 64 - self.bits
        then, end = self.places[place], len(self.buffer)
        if self.agreed == 0 and then != 0:
            n = 0
            while n < min(MAX_COMPARED, then) and self.buffer[then - 1 - n] == self.buffer[end - 1 - n]:
                n += 1
            if RECALLED <= n:
                self.recalled, self.agreed = then, n
        self.places[place] = end
