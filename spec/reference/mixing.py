"""Mixtures of predictions: dense.md, "Mixtures", with the same names."""

from .decisions import RATES, Counter, clamp

KNOTS = [
    22, 36, 60, 98, 162, 267, 439, 720, 1179, 1921, 3108, 4971, 7812, 11955, 17625, 24743, 32768,
    40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097, 65269, 65374, 65438, 65476, 65500, 65514,
]  # fmt: skip
MAX_STRETCH = 2047
SLOT_LIMIT = 30
HISTORY_LIMIT = 255
FIRST_GUESS_MIN, FIRST_GUESS_MAX = 1311, 64224
WEIGHT_MIN, WEIGHT_MAX = -(1 << 15), (1 << 15) - 1
FINAL_WEIGHT, FINAL_WEIGHT_LIMIT = 65536 // 3, 1 << 18
CELLS = 33


def interpolate(values, stretch):
    i, rest = stretch + 2048 >> 7, stretch + 2048 & 127
    return (values[i] * (128 - rest) + values[i + 1] * rest) >> 7


SQUASHED = [interpolate(KNOTS, s) for s in range(-2048, 2048)]


def squash(stretch):
    return SQUASHED[clamp(stretch, -MAX_STRETCH, MAX_STRETCH) + 2048]


def make_stretches():
    stretches, s = [], -MAX_STRETCH
    for high in range(4096):
        while s < MAX_STRETCH and squash(s) < 16 * high + 8:
            s += 1
        stretches.append(s)
    return stretches


STRETCHES = make_stretches()


def stretch(probability):
    return STRETCHES[probability >> 4]


def divide(a, b):
    """The quotient, rounded towards zero."""
    return a // b if 0 <= a else -(-a // b)


def goal(bit):
    return 65535 if bit else 0


def first_guess(history):
    p = 32768
    for i in reversed(range(history.bit_length() - 1)):
        p += divide((goal(history >> i & 1) - p) * 3, 5)
    return clamp(p, FIRST_GUESS_MIN, FIRST_GUESS_MAX)


class Slot:
    def __init__(self):
        self.p, self.history, self.n = 32768, 1, 0

    def learn(self, bit):
        self.p += (goal(bit) - self.p) * (RATES[self.n] >> 2) >> 14
        self.history = self.history << 1 | bit
        if 255 < self.history:
            self.history = self.history & 127 | 128
        self.n = min(self.n + 1, SLOT_LIMIT)


class Mixture:
    def __init__(self, context_count, slot_bits, group_bits, set_counts, first_weights):
        self.context_count, self.slot_bits, self.group_len = context_count, slot_bits, 1 << group_bits
        self.slots, self.checks = {}, {}  # by (context's number, place)
        self.history_counters = [[Counter(first_guess(max(h, 1))) for h in range(256)] for _ in range(context_count)]
        self.weights = [[list(first_weights) for _ in range(count)] for count in set_counts]
        self.final_weights = [[FINAL_WEIGHT] * 3 for _ in range(set_counts[0])]

    def find_group(self, k, context):
        group = (context >> 32 - self.slot_bits) & ~(self.group_len - 1)
        check = context & 0xFFFF | 1
        if self.checks.get((k, group)) != check:
            self.checks[k, group] = check
            for node in range(self.group_len):
                self.slots.pop((k, group + node), None)
        return group

    def find(self, contexts):
        self.groups = [self.find_group(k, context) for k, context in enumerate(contexts)]

    def slot(self, k, group, node):
        return self.slots.setdefault((k, group + node), Slot())

    def predict(self, node, extra, chosen):
        self.node, self.chosen, self.inputs = node, chosen, []
        for k in range(self.context_count):
            slot = self.slot(k, self.groups[k], node)
            self.inputs.append(stretch(slot.p) if slot.n else 0)
            self.inputs.append(stretch(self.history_counters[k][slot.history].probability()))
        self.inputs += extra
        self.outputs = []
        for i in range(3):
            total = sum(x * w for x, w in zip(self.inputs, self.weights[i][chosen[i]], strict=True))
            self.outputs.append(clamp(total >> 14, -MAX_STRETCH, MAX_STRETCH))
        total = sum(s * (w >> 2) for s, w in zip(self.outputs, self.final_weights[chosen[0]], strict=True))
        self.output = clamp(total >> 14, -MAX_STRETCH, MAX_STRETCH)
        return self.output

    def learn(self, bit):
        for i in range(3):
            error = (goal(bit) - squash(self.outputs[i])) * 14 >> 5
            weights = self.weights[i][self.chosen[i]]
            for j, x in enumerate(self.inputs):
                weights[j] = clamp(weights[j] + (x * error + 16384 >> 15), WEIGHT_MIN, WEIGHT_MAX)
        error = (goal(bit) - squash(self.output)) * 3 >> 4
        weights = self.final_weights[self.chosen[0]]
        for i, s in enumerate(self.outputs):
            weights[i] = clamp(weights[i] + (s * error + 8192 >> 14), -FINAL_WEIGHT_LIMIT, FINAL_WEIGHT_LIMIT)
        for k in range(self.context_count):
            self.learn_slot(k, self.groups[k], self.node, bit)

    def learn_slot(self, k, group, node, bit):
        slot = self.slot(k, group, node)
        self.history_counters[k][slot.history].learn(bit, HISTORY_LIMIT)
        slot.learn(bit)

    def prime(self, k, context, bits):
        """Learns the four bits that follow one context; no weight changes."""
        group, node = self.find_group(k, context), 1
        for i in (3, 2, 1, 0):
            bit = bits >> i & 1
            self.learn_slot(k, group, node, bit)
            node = node << 1 | bit


class Correction:
    def __init__(self):
        self.first_cells = [squash(-2048 + 128 * i) for i in range(CELLS)]
        self.cells = {}

    def refine(self, output, context):
        self.row = self.cells.setdefault(context, list(self.first_cells))
        i, rest = output + 2048 >> 7, output + 2048 & 127
        self.nearer = i + 1 if 64 < rest else i
        return interpolate(self.row, output)

    def learn(self, bit):
        self.row[self.nearer] += goal(bit) - self.row[self.nearer] >> 6
