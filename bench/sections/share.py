"""Many clients that want a delta nobody has made yet: the server's CPU beside that for a single client."""

import time

from measure.clients import get_at_once
from measure.report import row
from measure.server import driblet, publish
from measure.setting import corpus

CLIENTS = 200
GET = "GET /file.driblet/H"


def measure(setting):
    for name in ["typescript-patch", "scattered-128m"]:
        pair, folder = corpus(name), setting.fresh("served")
        one, many, again, waits = [], [], [], []
        for _ in range(min(setting.runs, 3)):
            for count, cpu in [(1, one), (CLIENTS, many)]:
                publish(pair / "old", folder / "file")
                with driblet(setting.driblet, folder, setting.fresh("history")) as server:
                    held = server.head("file")["version"]
                    publish(pair / "new", folder / "file")
                    server.head("file")
                    url = f"{server.url}/file.driblet/{held}"
                    cpu.append(spent(server, url, count))
                    if count == CLIENTS:
                        begin = time.perf_counter()
                        again.append(spent(server, url, count))
                        waits.append(time.perf_counter() - begin)
        yield row(f"{name}, 1 client, delta not made: server CPU", one, "s", command=GET)
        yield row(f"{name}, {CLIENTS} clients, delta not made: server CPU", many, "s", command=GET)
        yield row(f"{name}, {CLIENTS} clients, delta made: server CPU", again, "s", command=GET)
        yield row(f"{name}, {CLIENTS} clients, delta made: wall", waits, "s", command=GET)
        # What remains when the sending is taken away is the making: 1 if it was done once for all of them.
        diffs = [
            (all_cpu - sending) / max(single, 0.01) for single, all_cpu, sending in zip(one, many, again, strict=True)
        ]
        yield row(
            f"{name}, {CLIENTS} clients at once: work beside sending, in single clients'", diffs, "ratio", ("<=", 1.5)
        )


def spent(server, url, count):
    before = server.cpu()
    lengths = get_at_once(url, count)
    if len(set(lengths)) != 1:
        raise RuntimeError(f"the clients received different lengths: {sorted(set(lengths))}")
    return server.cpu() - before
