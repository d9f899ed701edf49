"""First visitors, for whom nothing has been made yet: when the first byte comes and when the last, beside nginx, which compresses nothing."""

import http.client
import statistics
import threading
import time
from urllib.parse import urlsplit

from measure.process import run
from measure.report import row
from measure.server import driblet, nginx
from measure.setting import corpus

VISITORS = 50
LENGTH = 1_000_000
LONG = 29_500_000
KINDS = {
    "driblet's delta from nothing": ("/{}.driblet/none", {}),
    "plain, br": ("/{}", {"Accept-Encoding": "br"}),
    "plain, zstd": ("/{}", {"Accept-Encoding": "zstd"}),
}


def measure(setting):
    pair = corpus("typescript-minor")
    source = (pair / "old").read_bytes() + (pair / "new").read_bytes()
    folder = setting.fresh("served")
    step = (len(source) - LENGTH) // VISITORS
    names = [f"{number}.js" for number in range(VISITORS)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(source[number * step : number * step + LENGTH])
    yield from crowd(setting, folder, names)
    folder = setting.fresh("served")
    (folder / "long.js").write_bytes((source * 4)[:LONG])
    yield from alone(setting, folder)


def crowd(setting, folder, names):
    times = {kind: [] for kind in [*KINDS, "nginx, uncompressed"]}
    packing = []
    time.sleep(2.1)  # the files' times grow old enough to be trusted
    for _ in range(setting.runs):
        for kind, (path, headers) in KINDS.items():
            with driblet(setting.driblet, folder, setting.fresh("history")) as server:
                [server.head(name) for name in names]
                times[kind].append(visit(server.url, [path.format(name) for name in names], headers))
        with nginx(folder, setting.fresh("nginx")) as server:
            times["nginx, uncompressed"].append(visit(server.url, [f"/{name}" for name in names], {}))
        packing.append(
            run(
                [
                    "zstd",
                    "-3",
                    "-T1",
                    "-q",
                    "-f",
                    "-k",
                    "--output-dir-flat",
                    setting.fresh("packed"),
                    *(folder / name for name in names),
                ]
            ).wall
        )
    title = f"{VISITORS} first visitors of {VISITORS} files of 1 MB at once"
    for kind, visits in times.items():
        yield row(
            f"{title}, {kind}: median first byte", [1000 * statistics.median(first) for first, _, _ in visits], "ms"
        )
        yield row(f"{title}, {kind}: last first byte", [1000 * max(first) for first, _, _ in visits], "ms")
        yield row(f"{title}, {kind}: last byte of all", [1000 * max(last) for _, last, _ in visits], "ms")
        yield row(f"{title}, {kind}: bytes", [sum(lengths) for _, _, lengths in visits], "bytes")
    yield row(
        f"zstd -3 of the {VISITORS} files, one after the other",
        [1000 * wall for wall in packing],
        "ms",
        command="zstd -3 -T1",
    )
    for kind in KINDS:
        ratios = [max(last) / wall for (_, last, _), wall in zip(times[kind], packing, strict=True)]
        yield row(f"{title}, {kind}: last byte / zstd -3 of all", ratios, "ratio", ("<=", 4))


def alone(setting, folder):
    times = {kind: [] for kind in [*KINDS, "nginx, uncompressed"]}
    time.sleep(2.1)
    for _ in range(setting.runs):
        for kind, (path, headers) in KINDS.items():
            with driblet(setting.driblet, folder, setting.fresh("history")) as server:
                server.head("long.js")
                times[kind].append(visit(server.url, [path.format("long.js")], headers))
        with nginx(folder, setting.fresh("nginx")) as server:
            times["nginx, uncompressed"].append(visit(server.url, ["/long.js"], {}))
    for kind, visits in times.items():
        limit = ("<=", 100) if kind in KINDS else None
        yield row(
            f"first visitor of 29.5 MB, {kind}: first byte", [1000 * first[0] for first, _, _ in visits], "ms", limit
        )
        yield row(f"first visitor of 29.5 MB, {kind}: last byte", [1000 * last[0] for _, last, _ in visits], "ms")
        yield row(f"first visitor of 29.5 MB, {kind}: bytes", [lengths[0] for _, _, lengths in visits], "bytes")


def visit(url, paths, headers):
    """One client for each path, all at once: seconds to the first byte of each body and to its last, and its length."""
    host = urlsplit(url)
    first, last, lengths = ([None] * len(paths) for _ in range(3))
    together = threading.Barrier(len(paths) + 1)

    def ask(number, path):
        connection = http.client.HTTPConnection(host.hostname, host.port, timeout=600)
        connection.connect()
        together.wait()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body = len(answer.read(1))
        first[number] = time.perf_counter() - begin
        while piece := answer.read(256 << 10):
            body += len(piece)
        last[number] = time.perf_counter() - begin
        lengths[number] = body if answer.status == 200 else None
        connection.close()

    threads = [threading.Thread(target=ask, args=(number, path)) for number, path in enumerate(paths)]
    for thread in threads:
        thread.start()
    begin = time.perf_counter()
    together.wait()
    for thread in threads:
        thread.join()
    if None in lengths:
        raise RuntimeError("a visitor failed")
    return first, last, lengths
