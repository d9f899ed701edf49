"""What a request waits for that comes before the good delta is there: the whole answer, from the server's first look at the pair."""

import time

from measure.report import row
from measure.server import driblet, publish
from measure.setting import corpus

PAIRS = ["typescript-minor", "plotly-min-patch", "bcd-json-patch", "sqlite-rows", "esbuild-wasm-patch"]
GET = "GET /file.driblet/H"


def measure(setting):
    slowest = {}
    for name in PAIRS:
        pair, folder, speeds = corpus(name), setting.fresh("served"), []
        length = (pair / "new").stat().st_size
        for _ in range(setting.runs):
            publish(pair / "old", folder / "file")
            with driblet(setting.driblet, folder, setting.fresh("history"), "--ahead", "0") as server:
                held = server.head("file")["version"]
                publish(pair / "new", folder / "file")
                server.head("file")
                begin = time.perf_counter()
                server.get(f"/file.driblet/{held}")
                speeds.append(length / 1e6 / (time.perf_counter() - begin))
        slowest[name] = speeds
        yield row(f"{name}: target by the time of the first answer", speeds, "MB/s", command=GET)
    least = min(slowest.values(), key=lambda speeds: sorted(speeds)[len(speeds) // 2])
    yield row("the slowest of them", least, "MB/s", (">=", 40))
