"""Inputs that are hard on an encoder: what they take at one size and at four times it, of time and of memory, and beside as much text."""

import base64
import random
import statistics
import zlib
from itertools import chain

from measure.process import run
from measure.report import row
from measure.setting import corpus

MIB = 1 << 20
SMALL, TIMES = 7_500_000, 4
# n log n grows by 4.35, and tables outgrow caches on the way; a square would grow by 16.
GROWTH = 8
BUDGET = 1 << 30
# A version of TypeScript and the one before, as often as it takes. A hard pair is compared with a first sync of as much text.
TEXT = "typescript-minor"
AS_TEXT = 4
ENCODE = "cargo run --release -p driblet-core --example encode RUNS HOW OLD NEW"
WAYS = ["at-once", "fast", "dense"]
DIFF = "driblet diff OLD NEW --codec fast -o DELTA"


def edited(data, count=1000):
    """One byte in so many is gone, or another."""
    step = max(len(data) // count, 2)
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    return b"".join(piece[:-1] if number % 2 else piece[:-1] + b"x" for number, piece in enumerate(pieces))


def random_bytes(start, length, alphabet=None):
    data = random.Random(start).randbytes(length)
    return data.translate(bytes(alphabet[byte % len(alphabet)] for byte in range(256))) if alphabet else data


def pairs(length):
    signs = b"abcdefgh(){};,. \n_$=+-*/<>!?&|^%"
    lines, line = b"ab\n" * (length // 3), b"a line that is the same\n" * (length // 24)
    period = random_bytes(4, 300) * (length // 300)
    yield "zeros", bytes(length), bytes(length - 7)
    yield "zeros to noise", bytes(length), random_bytes(1, length)
    yield "noise to other noise", random_bytes(1, length), random_bytes(2, length)
    yield "short equal lines", lines, edited(lines)
    yield "one repeated line", line, edited(line)
    yield "one repeated line to random signs", line, random_bytes(3, length, signs)
    yield "random signs to others", random_bytes(3, length, signs), random_bytes(5, length, signs)
    yield "a repeated block of noise", period, edited(period)


def text(side, length):
    data = (corpus(TEXT) / side).read_bytes()
    return (data * (length // len(data) + 1))[:length]


def archive(start, data):
    """The compressed bytes of text, in which every thirtieth byte is another."""
    changed = bytearray(data)
    changed[::30] = random_bytes(start, len(changed[::30]), b"abcdefghijklmnop")
    return zlib.compress(changed, 6)


def shuffled(data, length):
    pieces = [data[at : at + length] for at in range(0, len(data), length)]
    random.Random(6).shuffle(pieces)
    return b"".join(pieces)


def scattered(data, distance):
    """Every so many bytes one is another."""
    changed = bytearray(data)
    changed[::distance] = random_bytes(7, len(changed[::distance]))
    return bytes(changed)


def unrelated(length):
    before, other = text("old", length), random_bytes(1, length)
    yield "text to noise", before, random_bytes(2, length)
    yield "noise to text", other, before
    yield (
        "an archive to another",
        archive(1, text("old", 2 * length))[:length],
        archive(2, text("new", 2 * length))[:length],
    )
    yield (
        "base64 of noise to other",
        base64.b64encode(other)[:length],
        base64.b64encode(random_bytes(2, length))[:length],
    )
    for alphabet in [b"01", b"ACGT"]:
        name = alphabet.decode()
        yield f"random {name} to other", random_bytes(1, length, alphabet), random_bytes(2, length, alphabet)
    yield (
        "sorted numbers to others",
        b"".join(b"%d\n" % at for at in range(0, length, 3))[:length],
        b"".join(b"%d\n" % at for at in range(1, length, 7))[:length],
    )
    yield "text in blocks of 64 bytes, shuffled", before, shuffled(before, 64)
    yield "text, every 20th byte another", before, scattered(before, 20)
    yield "noise, every 40th byte another", other, scattered(other, 40)
    yield "a line to noise", b"a line that is the same\n" * 40, other
    yield "half the same, half other noise", other, other[: length // 2] + random_bytes(2, length - length // 2)


def beside_text(setting):
    """The CPU time of each hard pair beside that of as much text, each way."""
    length = SMALL * TIMES
    folder = setting.fresh("hostile")
    old, new = folder / "old", folder / "new"

    def seconds(how, before, after):
        old.write_bytes(before)
        new.write_bytes(after)
        done = run([setting.encode, str(min(setting.runs, 3)), how, old, new])
        return float(done.stdout.split()[0])

    first = {how: seconds(how, b"", text("new", length)) for how in WAYS}
    again = {how: seconds(how, text("old", length), text("new", length)) for how in WAYS}
    for name, before, after in chain(pairs(length), unrelated(length)):
        for how in WAYS:
            taken = seconds(how, before, after)
            note = f"{taken:.2f} s of CPU; {taken / again[how]:.1f} of a small change to as much text"
            yield row(
                f"{name}, {how}, 30 MB / a first sync of as much text",
                taken / first[how],
                "ratio",
                ("<=", AS_TEXT),
                ENCODE,
                note,
            )


def measure(setting):
    yield from by_size(setting)
    yield from beside_text(setting)


def by_size(setting):
    folder = setting.fresh("hostile")
    old, new, delta, back = (folder / name for name in ["old", "new", "delta", "back"])
    taken = {}
    for length in [SMALL, SMALL * TIMES]:
        for name, before, after in pairs(length):
            old.write_bytes(before)
            new.write_bytes(after)
            runs = [
                run([setting.driblet, "diff", old, new, "--codec", "fast", "-o", delta])
                for _ in range(min(setting.runs, 3))
            ]
            run([setting.driblet, "patch", old, delta, "-o", back])
            if back.read_bytes() != after:
                raise RuntimeError(f"{name} of {length} bytes does not come back")
            taken[name, length] = (
                statistics.median(done.cpu for done in runs),
                max(done.memory for done in runs) - len(before) - len(after),
            )
    for name in {name: None for name, _ in taken}:
        (short, _), (long, memory) = taken[name, SMALL], taken[name, SMALL * TIMES]
        yield row(f"{name}, 30 MB: encoded", long, "s", command=DIFF, note="CPU time")
        yield row(f"{name}: 30 MB / 7.5 MB", long / short, "ratio", ("<=", GROWTH), DIFF)
        yield row(f"{name}, 30 MB: memory besides the files", memory / MIB, "MiB", ("<=", BUDGET / MIB), DIFF)
    setting.fresh("hostile")
