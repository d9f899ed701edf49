"""Inputs that are hard on an encoder: what they take at one size and at four times it, of time and of memory."""

import random
import statistics

from measure.process import run
from measure.report import row

MIB = 1 << 20
SMALL, TIMES = 7_500_000, 4
# n log n grows by 4.35, and tables outgrow caches on the way; a square would grow by 16.
GROWTH = 8
BUDGET = 1 << 30
DIFF = "driblet diff OLD NEW --codec fast -o DELTA"


def edited(data, count=1000):
    """One byte in so many is gone, or another."""
    step = max(len(data) // count, 2)
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    return b"".join(piece[:-1] if number % 2 else piece[:-1] + b"x" for number, piece in enumerate(pieces))


def noise(seed, length, alphabet=None):
    data = random.Random(seed).randbytes(length)
    return data.translate(bytes(alphabet[byte % len(alphabet)] for byte in range(256))) if alphabet else data


def pairs(length):
    signs = b"abcdefgh(){};,. \n_$=+-*/<>!?&|^%"
    lines, line = b"ab\n" * (length // 3), b"a line that is the same\n" * (length // 24)
    period = noise(4, 300) * (length // 300)
    yield "zeros", bytes(length), bytes(length - 7)
    yield "zeros to noise", bytes(length), noise(1, length)
    yield "noise to other noise", noise(1, length), noise(2, length)
    yield "short equal lines", lines, edited(lines)
    yield "one repeated line", line, edited(line)
    yield "one repeated line to random signs", line, noise(3, length, signs)
    yield "random signs to others", noise(3, length, signs), noise(5, length, signs)
    yield "a repeated block of noise", period, edited(period)


def measure(setting):
    folder = setting.fresh("hostile")
    old, new, delta, back = (folder / name for name in ["old", "new", "delta", "back"])
    taken = {}
    for length in [SMALL, SMALL * TIMES]:
        for name, before, after in pairs(length):
            old.write_bytes(before)
            new.write_bytes(after)
            runs = [run([setting.driblet, "diff", old, new, "--codec", "fast", "-o", delta]) for _ in range(min(setting.runs, 3))]
            run([setting.driblet, "patch", old, delta, "-o", back])
            if back.read_bytes() != after:
                raise RuntimeError(f"{name} of {length} bytes does not come back")
            taken[name, length] = statistics.median(done.cpu for done in runs), max(done.memory for done in runs) - len(before) - len(after)
    for name in {name: None for name, _ in taken}:
        (short, _), (long, memory) = taken[name, SMALL], taken[name, SMALL * TIMES]
        yield row(f"{name}, 30 MB: encoded", long, "s", command=DIFF, note="CPU time")
        yield row(f"{name}: 30 MB / 7.5 MB", long / short, "ratio", ("<=", GROWTH), DIFF)
        yield row(f"{name}, 30 MB: memory besides the files", memory / MIB, "MiB", ("<=", BUDGET / MIB), DIFF)
    setting.fresh("hostile")
