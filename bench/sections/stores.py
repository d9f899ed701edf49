"""Each store of the browser package, in a page of a real Chromium that stays open: cold, warm, and reading what is stored."""

import json

from measure.process import run
from measure.report import row
from measure.setting import HERE, corpus

SYNC = "sync(url, { store })"
FETCH = "fetch(url, { cache: 'no-store' }), then arrayBuffer()"
RUNS = 9
KINDS = {"opfs": "opfsStore()", "indexeddb": "indexedDbStore()", "memory": "memoryStore()"}
MIB = 1 << 20


def measure(setting):
    for what, name in [("typescript.js", "typescript-patch"), ("128 MiB, scattered edits", "scattered-128m")]:
        pair = corpus(name)
        script = HERE / "browser" / "stores.mjs"
        said = json.loads(run(["node", script, setting.driblet, pair, setting.work / "stores", str(RUNS)]).stdout)
        fetched = [turn["fetched"] for turns in said.values() for turn in turns]
        yield row(f"{what}: loopback fetch", fetched, "ms", command=FETCH)
        without = said.pop("without a worker")
        for kind, turns in said.items():
            yield from one_store(f"{what}, {KINDS[kind]}", turns, (pair / "new").stat().st_size)
        yield from in_the_page(f"{what}, indexedDbStore() in a page without a worker", without)


def in_the_page(what, turns):
    ratios = [turn["warm"]["synced"] / turn["fetched"] for turn in turns]
    yield row(f"{what}: second sync / loopback fetch", ratios, "ratio")
    blocked = [turn["warm"]["blocked"] for turn in turns]
    yield row(f"{what}: the longest task of the page's thread", blocked, "ms")
    yield row(
        f"{what}: stream() of what is stored, verified as it is read",
        [round(turn["streams"][0]) for turn in turns],
        "MB/s",
    )


def one_store(what, turns, length):
    yield row(f"{what}: first sync", [turn["cold"]["synced"] for turn in turns], "ms", command=SYNC)
    yield row(f"{what}: … until it is stored", [turn["cold"]["stored"] for turn in turns], "ms")
    yield row(f"{what}: second sync", [turn["warm"]["synced"] for turn in turns], "ms", command=SYNC)
    yield row(f"{what}: … until it is stored", [turn["warm"]["stored"] for turn in turns], "ms")
    ratios = [turn["warm"]["synced"] / turn["fetched"] for turn in turns]
    yield row(f"{what}: second sync / loopback fetch", ratios, "ratio", ("<=", 5))
    memory = [turn["memory"] for turn in turns]
    yield row(
        f"{what}: memory of the page's process while it syncs, above before", memory, "MiB", ("<=", length / MIB + 64)
    )
    blocked = [max(turn["cold"]["blocked"], turn["warm"]["blocked"]) for turn in turns]
    yield row(f"{what}: the longest task of the page's thread", blocked, "ms", ("<=", 16))
    yield row(
        f"{what}: stream() of what is stored, verified as it is read",
        [round(turn["streams"][0]) for turn in turns],
        "MB/s",
        (">=", 400),
    )
    yield row(f"{what}: stream() again", [round(turn["streams"][1]) for turn in turns], "MB/s")
