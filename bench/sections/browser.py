"""A second sync in a real Chromium: in a page that is open, and from navigation over a slow link."""

import json

from measure.process import run
from measure.report import row
from measure.setting import HERE, corpus

WARM = "sync('/typescript.js', { store: opfsStore() }), then bytes()"
FETCH = "fetch(url, { cache: 'no-store' }), then arrayBuffer()"
LINK = "20 Mbit/s, 40 ms round trip"


def measure(setting):
    pair = corpus("typescript-patch")
    script = HERE / "browser" / "measure.mjs"
    said = json.loads(run(["node", script, setting.driblet, pair, setting.work / "browser", str(setting.runs)]).stdout)
    warm, navigation = said["warm"], said["navigation"]

    yield row("open page, second sync of typescript.js", [turn["synced"]["ms"] for turn in warm], "ms", command=WARM)
    yield row(
        "open page, sync of an unchanged typescript.js", [turn["unchanged"]["ms"] for turn in warm], "ms", command=WARM
    )
    yield row(
        "open page, loopback fetch of the whole file", [turn["fetched"]["ms"] for turn in warm], "ms", command=FETCH
    )
    ratios = [turn["synced"]["ms"] / turn["fetched"]["ms"] for turn in warm]
    yield row("open page, second sync / loopback fetch", ratios, "ratio", ("<=", 5))

    synced, fetched = ([turn[name] for turn in navigation] for name in ["synced", "fetched"])
    yield row("navigation until synced", [visit["after"] for visit in synced], "ms", command=WARM, note=LINK)
    yield row("… until the client is imported", [visit["imported"] for visit in synced], "ms")
    yield row("… until sync() is done, before bytes()", [visit["synced"] for visit in synced], "ms")
    yield row("navigation until synced: bytes to the browser", [visit["received"] for visit in synced], "bytes")
    yield row("navigation until synced: connections", [visit["connections"] for visit in synced], "count")
    yield row(
        "navigation until fetched, brotli -11", [visit["after"] for visit in fetched], "ms", command=FETCH, note=LINK
    )
    yield row("navigation until fetched: bytes to the browser", [visit["received"] for visit in fetched], "bytes")
    ratios = [one["after"] / other["after"] for one, other in zip(synced, fetched, strict=True)]
    yield row("navigation, synced / fetched under brotli", ratios, "ratio", ("<=", 0.35))
