"""The delta from a known version: ours in each codec, and the peers', on every pair of the corpus."""

import json
import statistics
import subprocess

from measure import picture
from measure.process import run
from measure.report import row, table
from measure.setting import HERE, b3sum, corpus

PEERS = HERE / "data" / ".work" / "peers"
LINK = 20e6  # bits a second, for auto
# The first runs in a process touch their memory for the first time.
WARM = 7
DECODE = "cargo run --release -p driblet-core --example decode RUNS OLD DELTA"
DIFF = "driblet diff OLD NEW --codec CODEC -o DELTA"
KINDS = {
    "source text": ["three-module-minor", "typescript-minor"],
    "minified": ["plotly-min-patch", "pdfworker-min", "esbuild-min-addmod"],
    "wasm": ["esbuild-wasm-patch", "sqljs-wasm-minor"],
    "data": ["bcd-json-patch", "sqlite-rows"],
    "tiny edits": ["reactdom-dev-patch", "typescript-patch", "webpack-prod-bump", "browserify-string"],
    "longer than 32 MiB": ["duckdb-wasm-minor"],
    "held out": [
        "held-echarts-min",
        "held-d3-min",
        "held-vue-min",
        "held-bootstrap-css",
        "held-resvg-wasm",
        "held-mime-json",
    ],
}
MINIFIED = KINDS["minified"]
# Those that limits are held against.
JUDGED = [name for kind, names in KINDS.items() if kind not in ["longer than 32 MiB", "held out"] for name in names]
CODECS = ["dense", "fast", "auto"]


def ways(driblet):
    """Each way: how it encodes, how it decodes, and the bytes that its container adds to the file."""
    hdiff = [PEERS / "python" / "bin" / "python", HERE / "measure" / "hdiff.py"]
    ours = {
        codec: (
            lambda o, n, d, codec=codec: [driblet, "diff", o, n, "--codec", codec, "-o", d],
            lambda o, d, n: [driblet, "patch", o, d, "-o", n],
            0,
        )
        for codec in CODECS
    }
    return ours | {
        "dcz -19": (
            lambda o, n, d: ["zstd", "-19", "-q", "-f", "--long=27", f"--patch-from={o}", n, "-o", d],
            lambda o, d, n: ["zstd", "-d", "-q", "-f", "--long=27", f"--patch-from={o}", d, "-o", n],
            40,
        ),
        "dcb -11": (
            lambda o, n, d: [PEERS / "brotli", "-q", "11", "-w", "24", "-f", "-D", o, n, "-o", d],
            lambda o, d, n: [PEERS / "brotli", "-d", "-f", "-D", o, d, "-o", n],
            36,
        ),
        "bsdiff": (lambda o, n, d: ["bsdiff", o, n, d], lambda o, d, n: ["bspatch", o, n, d], 0),
        "xdelta3 -9": (
            lambda o, n, d: ["xdelta3", "-9", "-e", "-f", "-s", o, n, d],
            lambda o, d, n: ["xdelta3", "-d", "-f", "-s", o, d, n],
            0,
        ),
        "HDiffPatch": (lambda o, n, d: [*hdiff, "diff", o, n, d], lambda o, d, n: [*hdiff, "patch", o, d, n], -1),
    }


def measure(setting):
    subprocess.run([HERE / "peers.sh"], check=True)
    measured = {name: pair(setting, name) for names in KINDS.values() for name in names}
    names = list(next(iter(measured.values())))
    peers = [name for name in names if name not in CODECS]
    best = {name: min((ways[peer]["bytes"], peer) for peer in peers if ways[peer]) for name, ways in measured.items()}
    yield from limits(measured, best)
    yield from autos(setting, measured)
    yield from scattered(setting)
    yield from tables(measured, best, names)
    picture.draw(HERE / "deltas.svg", KINDS, measured, best)


def pair(setting, name):
    """Of each way on a pair: bytes, the encoder's and the decoder's time and memory; None for one that failed."""
    folder, work = corpus(name), setting.fresh("deltas")
    old, new, back = folder / "old", folder / "new", work / "back"
    measured = {}
    for way, (encode, decode, extra) in ways(setting.driblet).items():
        delta = work / way.replace(" ", "")
        try:
            made = run(encode(old, new, delta))
            decoded = min((run(decode(old, delta, back)) for _ in range(3)), key=lambda taken: taken.wall)
            if back.read_bytes() != new.read_bytes():
                raise RuntimeError(f"{way} does not give {name} back")
        except (RuntimeError, FileNotFoundError) as error:
            print(f"  {name}: {way} failed: {error}")
            measured[way] = None
            continue
        measured[way] = {
            "bytes": delta.stat().st_size + extra,
            "encode": made.cpu,
            "decode": decoded.wall,
            "memory": made.memory,
            "len": new.stat().st_size,
        }
        back.unlink()
    for codec in CODECS:
        measured[codec]["native"] = natively(setting, old, work / codec)
    *seconds, verify = in_chromium(setting, old, [work / codec for codec in CODECS])
    for codec, decode in zip(CODECS, seconds, strict=True):
        measured[codec]["chromium"] = decode
    for peer in ["dcz -19", "dcb -11"]:
        if measured[peer]:
            measured[peer]["verified"] = measured[peer]["decode"] + verify
    return measured


def natively(setting, old, delta):
    """Seconds to decode and verify in memory: the least of the runs."""
    said = run([setting.decode, str(max(setting.runs, WARM)), old, delta])
    return min(map(float, said.stdout.split()))


def in_chromium(setting, old, deltas):
    """Seconds to decode and verify each delta in Chromium, and those to verify alone: the least of the runs."""
    version = run([b3sum(), "--no-names", old]).stdout.decode().strip()
    said = json.loads(run(["node", HERE / "browser" / "decode.mjs", str(setting.runs), old, version, *deltas]).stdout)
    return [min(times) / 1000 for times in [*said["times"], said["verify"]]]


def mean(ratios):
    return statistics.geometric_mean(ratios)


def limits(measured, best):
    large = [name for name in JUDGED if 1000 < best[name][0]]
    ratio = {codec: {name: measured[name][codec]["bytes"] / best[name][0] for name in measured} for codec in CODECS}
    yield row(
        "dense / best peer, the largest of the pairs above 1,000 bytes",
        max(ratio["dense"][name] for name in large),
        "ratio",
        ("<=", 1),
        DIFF,
    )
    yield row(
        "dense / best peer, geometric mean of these",
        mean([ratio["dense"][name] for name in large]),
        "ratio",
        ("<=", 0.5),
        DIFF,
    )
    yield row(
        "dense / best peer, geometric mean of the pairs held out",
        mean([ratio["dense"][name] for name in KINDS["held out"]]),
        "ratio",
        command=DIFF,
    )
    above = max(measured[name]["dense"]["bytes"] - best[name][0] for name in JUDGED if best[name][0] <= 1000)
    yield row("dense - best peer, the largest of the pairs below 1,000 bytes", above, "bytes", ("<=", 32), DIFF)
    yield row("reactdom-dev-patch, dense", measured["reactdom-dev-patch"]["dense"]["bytes"], "bytes", ("<=", 64), DIFF)
    yield row("typescript-patch, dense", measured["typescript-patch"]["dense"]["bytes"], "bytes", ("<=", 420), DIFF)
    yield row(
        "fast / best peer, the largest of the pairs above 1,000 bytes",
        max(ratio["fast"][name] for name in large),
        "ratio",
        ("<=", 1.1),
        DIFF,
    )
    yield row(
        "fast / best peer, geometric mean of these",
        mean([ratio["fast"][name] for name in large]),
        "ratio",
        ("<=", 0.75),
        DIFF,
    )
    yield row(
        "fast / best peer, the largest of the minified",
        max(ratio["fast"][name] for name in MINIFIED),
        "ratio",
        ("<=", 0.65),
        DIFF,
    )

    def speed(name, codec, what):
        return measured[name][codec]["len"] / measured[name][codec][what] / 1e6

    yield row(
        "typescript-minor, fast: decoded and verified in Chromium",
        speed("typescript-minor", "fast", "chromium"),
        "MB/s",
        (">=", 250),
    )
    yield row(
        "typescript-minor, fast: decoded and verified natively, in memory",
        speed("typescript-minor", "fast", "native"),
        "MB/s",
        (">=", 800),
        DECODE,
    )
    yield row(
        "typescript-minor, fast: driblet patch, whole process, durable",
        speed("typescript-minor", "fast", "decode"),
        "MB/s",
        command="driblet patch OLD DELTA -o NEW",
    )
    yield row(
        "plotly-min-patch, dense: decoded and verified in Chromium",
        measured["plotly-min-patch"]["dense"]["chromium"] * 1000,
        "ms",
        ("<=", 300),
    )
    slowest = min(speed(name, "fast", "encode") for name in JUDGED)
    yield row("fast, encoded, the slowest pair", slowest, "MB/s", (">=", 5), DIFF, "CPU time")


def front(measured, best):
    """Of each way: the mean of its bytes beside the best peer's, and all its seconds of decoding and verifying: ours in Chromium, theirs natively."""
    judged = [name for name in JUDGED if 1000 < best[name][0]]
    lines = []
    for way, decode in [*((codec, "chromium") for codec in CODECS), ("dcz -19", "verified"), ("dcb -11", "verified")]:
        ratios = [measured[name][way]["bytes"] / best[name][0] for name in judged]
        lines.append([way, f"{mean(ratios):.2f}", f"{sum(measured[name][way][decode] for name in judged):.2f}"])
    return ["way", "bytes / best peer", "decoding, s"], lines


def autos(setting, measured):
    """Time to verified bytes over the link, of auto beside the best of dcz, dcb and fast."""
    ratios = {}
    for name, ways in measured.items():

        def over(way, decode):
            return way["bytes"] * 8 / LINK + way[decode]

        others = [
            over(ways["fast"], "chromium"),
            *(over(ways[peer], "verified") for peer in ["dcz -19", "dcb -11"] if ways[peer]),
        ]
        ratios[name] = over(ways["auto"], "chromium") / min(others)
    judged = [ratio for name, ratio in ratios.items() if name in JUDGED]
    title = "auto at 20 Mbit/s, time to verified bytes / the best of dcz, dcb and fast"
    yield row(f"{title}, the slowest pair", max(judged), "ratio", ("<=", 1.05))
    yield row(f"{title}, the slowest pair held out", max(ratios[name] for name in KINDS["held out"]), "ratio")
    yield row(f"{title}, geometric mean of all", mean(ratios.values()), "ratio", ("<=", 0.95))


def scattered(setting):
    folder, work = corpus("scattered-128m"), setting.fresh("deltas")
    taken = [run([setting.driblet, "diff", folder / "old", folder / "new", "-o", work / "delta"]) for _ in range(3)]
    speed = [(folder / "new").stat().st_size / one.cpu / 1e6 for one in taken]
    yield row("scattered-128m, fast: encoded", speed, "MB/s", (">=", 100), DIFF, "CPU time")


def tables(measured, best, names):
    def each(what, show):
        for pairs in KINDS.values():
            for name in pairs:
                yield (
                    [name, *(show(measured[name][way][what]) if measured[name][way] else "failed" for way in names)],
                    name,
                )

    lines = [
        [
            *line,
            best[name][1],
            *(f"{measured[name][codec]['bytes'] / best[name][0]:.2f}" for codec in ["dense", "fast"]),
        ]
        for line, name in each("bytes", lambda value: f"{value:,}")
    ]
    means = [
        [
            kind,
            "",
            *(
                f"{mean([measured[name][codec]['bytes'] / best[name][0] for name in pairs]):.2f}"
                for codec in ["dense", "fast"]
            ),
        ]
        for kind, pairs in KINDS.items()
    ]
    yield table("Bytes of the delta", ["pair", *names, "best peer", "dense / best", "fast / best"], lines)
    yield table("Geometric mean of the ratio to the best peer", ["kind", "", "dense", "fast"], means)
    yield table(
        "Bytes against decoding, over the pairs above 1,000 bytes that were not held out", *front(measured, best)
    )
    yield table(
        "Encoding, seconds of CPU", ["pair", *names], [line for line, _ in each("encode", lambda value: f"{value:.2f}")]
    )
    yield table(
        "Decoding, seconds of the whole process",
        ["pair", *names],
        [line for line, _ in each("decode", lambda value: f"{value:.3f}")],
    )
    yield table(
        "Encoding, peak memory in MB",
        ["pair", *names],
        [line for line, _ in each("memory", lambda value: f"{value / 1e6:,.0f}")],
    )
    native = [[name, *(f"{measured[name][codec]['native'] * 1000:.1f}" for codec in CODECS)] for name in measured]
    yield table("Decoding and verifying natively, in memory, ms", ["pair", *CODECS], native)
    chromium = [[name, *(f"{measured[name][codec]['chromium'] * 1000:.1f}" for codec in CODECS)] for name in measured]
    yield table("Decoding and verifying in Chromium, ms", ["pair", *CODECS], chromium)
