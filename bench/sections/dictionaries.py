"""Compression dictionaries (RFC 9842): bytes beside brotli's offline, and the second navigation of a page."""

import json
import subprocess

from measure.process import run
from measure.report import row
from measure.setting import HERE, corpus

PEERS = HERE / "data" / ".work" / "peers"
PAIRS = [
    "typescript-patch",
    "typescript-minor",
    "three-module-minor",
    "pdfworker-min",
    "plotly-min-patch",
    "sqljs-wasm-minor",
    "bcd-json-patch",
    "held-vue-min",
    "held-echarts-min",
    "held-bootstrap-css",
]
# Magic and hash, which RFC 9842 puts before the stream.
HEADER = 36
NAVIGATION = "a page with <script src>: navigation to its load event, 20 Mbit/s, 40 ms, TLS"


def measure(setting):
    subprocess.run([HERE / "peers.sh"], check=True)
    pairs = [corpus(name) for name in PAIRS]
    script = HERE / "browser" / "dictionaries.mjs"
    found = json.loads(
        run(["node", script, setting.driblet, setting.work / "dictionaries", str(setting.runs), *pairs]).stdout
    )
    worst = 0
    for pair in pairs:
        packed = setting.work / "dcb"
        run([PEERS / "brotli", "-q", "11", "-w", "24", "-f", "-D", pair / "old", pair / "new", "-o", packed])
        ours, peer = found["bytes"][pair.name], packed.stat().st_size + HEADER
        worst = max(worst, ours["length"] / peer)
        yield row(f"{pair.name}: {ours['coding']}, bytes", ours["length"], "bytes", note=f"dcb -11 offline: {peer:,}")
    command = "brotli -q 11 -w 24 -D OLD NEW"
    yield row("answers against a dictionary / dcb -11 made offline, the largest", worst, "ratio", ("<=", 1.02), command)
    with_dictionary, brotli = (found["navigations"][kind] for kind in ["dictionary", "brotli"])
    what = "second navigation, typescript.js with a new name"
    yield row(f"{what}, brotli", [one["duration"] for one in brotli], "ms", command=NAVIGATION)

    def ratios(field):
        return [one[field] / other[field] for one, other in zip(with_dictionary, brotli, strict=True)]

    yield row(f"{what}: with a dictionary / brotli", ratios("duration"), "ratio", ("<=", 0.35), NAVIGATION)
    cached = [one["cached"] / other["duration"] for one, other in zip(with_dictionary, brotli, strict=True)]
    yield row(
        f"{what}: the same page once more, from the browser's cache / brotli", cached, "ratio", command=NAVIGATION
    )
    least = [one["least"] / other["duration"] for one, other in zip(with_dictionary, brotli, strict=True)]
    yield row(f"{what}: without the answer to the script itself / brotli", least, "ratio", command=NAVIGATION)
    yield row(f"{what}: until the script is there, with a dictionary / brotli", ratios("fetched"), "ratio")
    moved = [one["transferred"] for one in with_dictionary]
    yield row(f"{what}: bytes of the script, with a dictionary", moved, "bytes")
