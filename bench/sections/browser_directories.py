"""Directories in a real Chromium: synced, synced again, and served by a service worker."""

import json
import statistics

from measure.process import run
from measure.report import row
from measure.setting import HERE, corpus

SYNC = "syncDirectory('/app/'), until it is stored"
FETCH = "fetch('/one', { cache: 'no-store' }), then arrayBuffer()"
NAVIGATION = "serveDirectory('/site/'); caches.match(request)"


def measure(setting):
    text = corpus("typescript-patch") / "new"
    script = HERE / "browser" / "directories.mjs"
    turns = json.loads(
        run(["node", script, setting.driblet, text, setting.work / "directories", str(setting.runs)]).stdout
    )
    quiet = [turn for turn in turns if not turn["isTraced"]]
    yield row("5,000 files, 60 MB: cold sync", [turn["cold"]["ms"] for turn in quiet], "ms", command=SYNC)
    ratios = [turn["cold"]["ms"] / turn["fetched"] for turn in quiet]
    yield row(
        "5,000 files: cold sync / a fetch of one file of that size", ratios, "ratio", ("<=", 3), f"{SYNC}; {FETCH}"
    )
    requests = [turn["changed"]["requests"] for turn in turns]
    yield row("5,000 files, 20 changed: requests", requests, "count", ("<=", 2), SYNC)
    ratios = [turn["changed"]["ms"] / turn["cold"]["ms"] for turn in quiet]
    yield row("5,000 files, 20 changed: time / cold sync", ratios, "ratio", ("<=", 0.1), SYNC)
    received = [turn["changed"]["received"] for turn in turns]
    yield row("5,000 files, 20 changed: bytes received", received, "bytes", command=SYNC)
    traced = [turn["cold"] for turn in turns if turn["isTraced"]]
    if traced:
        what = "5,000 files, cold: the longest task of the page's thread"
        yield row(f"{what}, CPU time", [cold["longest"] for cold in traced], "ms", ("<=", 16), SYNC)
        yield row(f"{what}, wall time", [cold["longestWall"] for cold in traced], "ms", command=SYNC)
    medians = [{site: statistics.median(times) for site, times in turn["navigations"].items()} for turn in turns]
    ratios = [median["site"] / median["cached"] for median in medians]
    yield row("navigation, 50 files: served by the worker / Cache Storage", ratios, "ratio", ("<=", 1.2), NAVIGATION)
