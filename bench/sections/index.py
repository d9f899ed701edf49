"""The first index of a file with its copy into the history, beside hashing it alone."""

import time

from measure.process import run
from measure.report import row
from measure.server import driblet, publish
from measure.setting import b3sum, corpus

B3SUM = "b3sum --num-threads 1 FILE"
SERVE = "driblet serve DIR, from its start until /file.driblet/head answers"


def measure(setting):
    hasher = b3sum()
    pair = corpus("scattered-128m")
    folder = setting.fresh("served")
    publish(pair / "new", folder / "file")
    ours, theirs = [], []
    run([hasher, "--num-threads", "1", folder / "file"])
    for _ in range(setting.runs):
        history = setting.fresh("history")
        begin = time.perf_counter()
        with driblet(setting.driblet, folder, history) as server:
            server.head("file")
            ours.append(time.perf_counter() - begin)
        theirs.append(run([hasher, "--num-threads", "1", folder / "file"]).wall)
    yield row("128 MiB, first index with its copy into the history", ours, "s", command=SERVE)
    yield row("128 MiB, b3sum --num-threads 1", theirs, "s", command=B3SUM)
    speeds = [hash_time / index_time for hash_time, index_time in zip(theirs, ours)]
    yield row("first index, speed as a part of b3sum's", speeds, "ratio", (">=", 0.15))
