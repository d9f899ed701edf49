"""The delta from a known version on many kinds of files, in two halves: one that methods are chosen by, and one held out."""

import statistics
import subprocess
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from corpus.kinds import PAIRS
from measure.process import run
from measure.report import row, table
from measure.setting import HERE

from sections.deltas import DIFF, PEERS, in_chromium

OURS = ["dense", "fast"]
HALVES = {False: "chosen by", True: "held out"}
# The most bytes of a delta that ratios say nothing about.
TINY = 1000
# How long the fast codec takes is compared with this one, whose level 22 takes longer.
ZSTD = "zstd -19"
# The links in Mbit/s that receivers tell apart.
LINKS = [2, 20, 200]
AUTO = "driblet diff OLD NEW --codec auto --link MBITS -o DELTA"


class Measured(NamedTuple):
    sizes: dict[str, int]  # bytes of the delta, by the way it is made
    slowness: float  # CPU time that the fast codec takes, by that of ZSTD


def ways(driblet):
    """How each way encodes, and the bytes that its container adds to the file: hashes that the bare formats lack."""
    hdiff = [PEERS / "python" / "bin" / "python", HERE / "measure" / "hdiff.py"]
    ours = {
        codec: (lambda o, n, d, codec=codec: [driblet, "diff", o, n, "--codec", codec, "-o", d], 0) for codec in OURS
    }
    return ours | {
        "dcz -22": (
            lambda o, n, d: ["zstd", "--ultra", "-22", "-q", "-f", "--long=31", f"--patch-from={o}", n, "-o", d],
            40,
        ),
        "dcb -11": (
            lambda o, n, d: [PEERS / "brotli", "-q", "11", "--large_window=30", "-f", "-D", o, n, "-o", d],
            36,
        ),
        "HDiffPatch": (lambda o, n, d: [*hdiff, "sweep", o, n, d], -1),
    }


def measure(setting):
    subprocess.run([HERE / "peers.sh"], check=True)
    with ThreadPoolExecutor(2) as pool:
        found = dict(pool.map(lambda pair: (pair, measured_of(setting, pair)), PAIRS))
    measured = {pair: one.sizes for pair, one in found.items()}
    best = {pair: min(size for way, size in sizes.items() if way not in OURS) for pair, sizes in measured.items()}
    ratios = {way: {pair: sizes[way] / best[pair] for pair, sizes in measured.items()} for way in OURS}
    judged = [pair for pair in PAIRS if TINY < best[pair]]
    held_out = [pair for pair in judged if pair.is_held_out]
    containers = [pair for pair in judged if pair.kind in ("base64", "tgz", "wheel")]
    wasm = [pair for pair in judged if pair.kind == "wasm"]
    chosen_by = [pair for pair in judged if not pair.is_held_out]
    for way, limits in {"dense": (0.45, 1.0, 0.38), "fast": (0.60, 1.03, 0.55)}.items():
        of = ratios[way]
        title = f"{way} / best peer"
        yield row(f"{title}, held out, geometric mean", mean(of, held_out), "ratio", ("<=", limits[0]), DIFF)
        yield row(
            f"{title}, held out, the largest", max(of[pair] for pair in held_out), "ratio", ("<=", limits[1]), DIFF
        )
        yield row(f"{title}, wasm, geometric mean", mean(of, wasm), "ratio", ("<=", limits[2]), DIFF)
        yield row(f"{title}, containers, geometric mean", mean(of, containers), "ratio", ("<=", 0.10), DIFF)
        yield row(f"{title}, chosen by, geometric mean", mean(of, chosen_by), "ratio", None, DIFF)
    slowest = max(PAIRS, key=lambda pair: found[pair].slowness)
    yield row(
        f"fast, encoded: CPU time / {ZSTD} --patch-from, the slowest pair",
        found[slowest].slowness,
        "ratio",
        ("<=", 1.0),
        DIFF,
        slowest.name,
    )
    mean_slowness = statistics.geometric_mean(one.slowness for one in found.values())
    yield row(f"fast, encoded: CPU time / {ZSTD} --patch-from, geometric mean", mean_slowness, "ratio", None, DIFF)
    # One after the other: these are times.
    timed = [autos_of(setting, pair, found[pair].sizes) for pair in held_out]
    for link in LINKS:
        autos = [of_link[link] for of_link in timed]
        title = f"auto at {link} Mbit/s, time to verified bytes / the best of dcz, dcb and fast, held out"
        yield row(f"{title}, geometric mean", statistics.geometric_mean(autos), "ratio", ("<=", 0.85), AUTO)
        yield row(f"{title}, the slowest", max(autos), "ratio", ("<=", 1.05), AUTO)
    yield kinds(judged, ratios)
    lines = [
        [pair.name, pair.kind, HALVES[pair.is_held_out], *(f"{size:,}" for size in sizes.values())]
        + [f"{ratios[way][pair]:.2f}" for way in OURS]
        + [f"{found[pair].slowness:.2f}"]
        for pair, sizes in measured.items()
    ]
    names = list(next(iter(measured.values())))
    yield table(
        "Bytes of the delta",
        ["pair", "kind", "half", *names, *(f"{way} / best" for way in OURS), f"fast's CPU / {ZSTD}'s"],
        lines,
    )


def mean(ratios, pairs):
    return statistics.geometric_mean(ratios[pair] for pair in pairs)


def shown(ratios, pairs):
    return f"{mean(ratios, pairs):.2f}" if pairs else "–"


def kinds(judged, ratios):
    of = defaultdict(list)
    for pair in judged:
        of[pair.kind, pair.is_held_out].append(pair)

    lines = [
        [kind, *(shown(ratios[way], of[kind, half]) for half in HALVES for way in OURS)]
        for kind in sorted({k for k, _ in of})
    ]
    head = ["kind", *(f"{way}, {half}" for half in HALVES.values() for way in OURS)]
    return table("Geometric mean of the ratio to the best peer, where that is above 1,000 bytes", head, lines)


def measured_of(setting, pair):
    old, new = pair.files(HERE / "data")
    work = setting.fresh(f"kinds/{pair.name}")
    sizes, cpu = {}, {}
    for way, (encode, extra) in ways(setting.driblet).items():
        delta = work / way.replace(" ", "")
        cpu[way] = run(encode(old, new, delta)).cpu
        sizes[way] = delta.stat().st_size + extra
        if way in OURS:
            run([setting.driblet, "patch", old, delta, "-o", work / "back"])
            if (work / "back").read_bytes() != new.read_bytes():
                raise RuntimeError(f"{way} does not give {pair.name} back")
            (work / "back").unlink()
    peer = ["zstd", "-19", "-q", "-f", "--long=31", f"--patch-from={old}", new, "-o", work / "peer"]
    slowness = cpu["fast"] / run(peer).cpu
    print(f"  {pair.name}: {sizes}, {slowness:.2f}", flush=True)
    return Measured(sizes, slowness)


def autos_of(setting, pair, sizes):
    """The time until auto's bytes are verified, by that of the best of dcz, dcb and fast, for each link."""
    (old, new), work = pair.files(HERE / "data"), setting.work / "kinds" / pair.name
    ours = {link: work / f"auto-{link}" for link in LINKS}
    for link, delta in ours.items():
        run([setting.driblet, "diff", old, new, "--codec", "auto", "--link", str(link), "-o", delta])
    fast, *autos, verify = in_chromium(setting, old, [work / "fast", *ours.values()])
    unpack = {
        "dcz -22": ["zstd", "-d", "-q", "-f", "--long=31", f"--patch-from={old}", work / "dcz-22", "-o", work / "back"],
        "dcb -11": [PEERS / "brotli", "-d", "-f", "-D", old, work / "dcb-11", "-o", work / "back"],
    }
    seconds = {way: min(run(command).wall for _ in range(3)) + verify for way, command in unpack.items()}
    seconds["fast"] = fast

    def over(link, size, decode):
        return size * 8 / (link * 1e6) + decode

    return {
        link: over(link, delta.stat().st_size, decode)
        / min(over(link, sizes[way], decode) for way, decode in seconds.items())
        for (link, delta), decode in zip(ours.items(), autos, strict=True)
    }
