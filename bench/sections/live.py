"""Live streams: what ten thousand cost a server that has nothing to tell, how fast all hear of a version, how they come back, and how fast a page has the version."""

import json
import statistics
import time
from contextlib import ExitStack
from typing import NamedTuple
from urllib.parse import urlsplit

from measure.live import built, plain, streams
from measure.process import anonymous_of, run, status_of
from measure.report import row, table
from measure.server import driblet, until_few_sockets
from measure.setting import HERE, corpus

COUNT, FEW = 10_000, 1_000
KIB, MIB = 1 << 10, 1 << 20
NAME = "app.js"
LENGTH = 20_000
IDLE_RUNS = 3
# Streams that are idle hear every 15 s that they are alive: so many rounds.
IDLE_SECONDS = 45
# The event that follows a new head, after 5 s, must not fall into the next turn.
BETWEEN_TURNS = 7
TURNS = 9
# Milliseconds that a publisher waits after the last change: of a file that is replaced, and of a directory.
FILE_QUIET, DIRECTORY_QUIET = 20, 100
PARTS = ["copy", "encode", "fetched", "decode"]
WATCH = "watch('/typescript.js'), then bytes()"
WATCH_DIRECTORY = "watchDirectory('/app/'), then file(path) and text()"


def measure(setting):
    folder = setting.fresh("served")
    (folder / NAME).write_text(text(0))
    time.sleep(2.1)  # the file's times grow old enough to be trusted
    for version, limit in [("http1", 20), ("http2", 8)]:
        yield from idle(setting, folder, version, limit)
    for count in [FEW, COUNT]:
        yield from told(setting, folder, count)
    yield from restarted(setting, folder)
    yield from in_page(setting)


def text(number):
    """A file whose versions differ in one line."""
    lines = [f"export const value{at} = {at * 7919}\n" for at in range(LENGTH // 30)]
    lines[len(lines) // 2] = f"export const changed = {number}\n"
    return "".join(lines)


def stream_of(server):
    return f"{server.url}/{NAME}.driblet/live"


def idle(setting, folder, version, limit):
    """Memory and CPU of streams that hear nothing but that they are alive, and what they leave behind."""
    name = {"http1": "HTTP/1.1", "http2": "HTTP/2, 100 streams a connection"}[version]
    what = f"{COUNT:,} idle subscribers, {name}"
    runs = [idle_once(setting, folder, version) for _ in range(IDLE_RUNS)]
    each = [run.memory / COUNT / KIB for run in runs]
    yield row(f"{what}: memory of each", each, "KiB", ("<=", limit), note="RssAnon above idle")
    shares = [100 * run.share for run in runs]
    yield row(f"{what}: CPU", shares, "% of a core", ("<=", 2), note=f"over {IDLE_SECONDS} s")
    what = f"memory after {COUNT:,} subscribers, {name} / idle"
    note = f"RSS; idle: {statistics.median(run.idle for run in runs) / MIB:.1f} MiB"
    yield row(what, [run.after / run.idle for run in runs], "ratio", ("<=", 1.2), note=note)


class Idle(NamedTuple):
    memory: int  # bytes of RssAnon, above those before
    share: float  # of a core
    idle: int  # bytes of RSS before
    after: int  # bytes of RSS afterwards


def idle_once(setting, folder, version):
    with driblet(setting.driblet, folder, setting.fresh("history")) as server:
        for _ in range(100):
            server.get(f"/{NAME}")
        before, resident = anonymous_of(server.pid), status_of(server.pid, "VmRSS:")
        with streams(stream_of(server), COUNT, version):
            time.sleep(6)  # the events that follow the first one
            memory = anonymous_of(server.pid) - before
            begin, cpu = time.monotonic(), server.cpu()
            time.sleep(IDLE_SECONDS)
            share = (server.cpu() - cpu) / (time.monotonic() - begin)
        until_few_sockets(server.pid)
        return Idle(memory, share, resident, status_of(server.pid, "VmRSS:"))


def told(setting, folder, count):
    """How long it takes until the last of them has the event of a version, beside the same bytes over plain sockets."""
    turns = []
    upcoming = setting.fresh("next") / NAME
    with (
        driblet(setting.driblet, folder, setting.fresh("history")) as server,
        plain() as plain_url,
        streams(stream_of(server), count) as subscribers,
        streams(plain_url, count) as sockets,
    ):
        time.sleep(BETWEEN_TURNS)
        for turn in range(TURNS):
            upcoming.write_text(text(f"{count}_{turn}"))
            live = subscribers.told("replace", upcoming, folder / NAME)
            turns.append((live, sockets.told("tell", live.event)))
            time.sleep(BETWEEN_TURNS)
    what = f"{count:,} subscribers: file replaced → event read by the last"
    command = f"plain: {len(turns[0][0].event) // 2} bytes"
    yield row(f"{what}", [1000 * live.last for live, _ in turns], "ms")
    yield row(f"{what}, plain sockets", [1000 * plain.last for _, plain in turns], "ms", command=command)
    yield row(f"{what} / plain sockets", [live.last / plain.last for live, plain in turns], "ratio", ("<=", 2.0))
    lines = []
    for name, which in [("driblet", 0), ("plain sockets", 1)]:
        medians = [
            1000 * statistics.median(getattr(turn[which], part) for turn in turns)
            for part in ("first", "median", "p99", "last")
        ]
        slowest = 1000 * max(turn[which].last for turn in turns)
        lines.append([name, *(f"{ms:.1f} ms" for ms in [*medians, slowest])])
    yield table(
        f"{count:,} subscribers: when they have the event",
        ["", "the first", "half", "99 %", "the last", "the last, slowest of the turns"],
        lines,
    )


def restarted(setting, folder):
    """All streams end, and all receivers come back to a new server."""
    history = setting.fresh("history")
    with ExitStack() as first:
        server = first.enter_context(driblet(setting.driblet, folder, history))
        with streams(stream_of(server), COUNT) as receivers:
            time.sleep(BETWEEN_TURNS)
            receivers.await_return()
            begin = time.monotonic()
            first.close()
            gone = time.monotonic() - begin
            with driblet(setting.driblet, folder, history, listen=urlsplit(server.url).netloc):
                away = time.monotonic() - begin
                returned = receivers.returned()
    what = f"{COUNT:,} receivers after a restart"
    note = f"the old server ended after {gone:.2f} s, the new one listened after {away:.2f} s"
    yield row(f"{what}: all are back after the new server listens", returned.last - away, "s", ("<=", 10), note=note)
    yield row(f"{what}: all are back after SIGTERM", returned.last, "s")
    yield row(f"{what}: most connections in any second", returned.most, "count", ("<=", 1000))
    yield row(f"{what}: attempts that failed", returned.failed, "count")


def in_page(setting):
    """From the last write until an open page has verified bytes, beside what its parts take alone."""
    script, work = HERE / "browser" / "live.mjs", setting.work / "live"
    pair = corpus("typescript-patch")
    command = ["node", script, setting.driblet, built(), setting.encode, pair, work, str(setting.runs)]
    said = json.loads(run(command).stdout)
    sums = {which: [sum(turn[part] for part in PARTS) for turn in turns] for which, turns in said.items()}
    times = {which: [turn["ms"] for turn in turns] for which, turns in said.items()}

    what = "typescript.js replaced → verified bytes in an open page"
    yield row(what, times["file"], "ms", command=WATCH)
    ratios = [(ms - FILE_QUIET) / alone for ms, alone in zip(times["file"], sums["file"], strict=True)]
    note = f"less the publisher's {FILE_QUIET} ms"
    yield row(f"{what} / the sum of its parts", ratios, "ratio", ("<=", 1.3), WATCH, note)

    what = "one of 5,000 files replaced → verified file in an open page"
    yield row(what, times["directory"], "ms", command=WATCH_DIRECTORY)
    more = [ms - DIRECTORY_QUIET - 1.3 * alone for ms, alone in zip(times["directory"], sums["directory"], strict=True)]
    note = f"less the publisher's {DIRECTORY_QUIET} ms"
    yield row(f"{what} - 1.3 times the sum of its parts", more, "ms", ("<=", 100), WATCH_DIRECTORY, note)

    head = ["", "copy, hash, flush", "encode", "loopback fetch", "decode, verify", "sum"]
    lines = []
    for which, name in [("file", "typescript.js"), ("directory", "one of 5,000 files")]:
        alone = [[turn[part] for turn in said[which]] for part in PARTS]
        lines.append([name, *(f"{statistics.median(runs):.1f} ms" for runs in [*alone, sums[which]])])
    yield table("What the parts take alone", head, lines)
