"""The first index with its copy into the history: of a large file beside hashing it alone, of many small ones beside copying them."""

import re
import subprocess
import time

from measure.process import run
from measure.report import row
from measure.server import driblet, publish
from measure.setting import b3sum, corpus

B3SUM = "b3sum --num-threads 1 FILE"
SMALL = 10_000
COPY = "cp -r DIR COPY && sync -f COPY"
INDEXED = re.compile(r"indexed\b")
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
    speeds = [hash_time / index_time for hash_time, index_time in zip(theirs, ours, strict=True)]
    yield row("first index, speed as a part of b3sum's", speeds, "ratio", (">=", 0.15))
    yield from small_files(setting)


def small_files(setting):
    folder = setting.fresh("small")
    for number in range(SMALL):
        (folder / f"{number}.txt").write_bytes(b"file %06d\n" % number * 45 + b"x" * 5)
    subprocess.run(["sync"], check=True)
    ours, theirs = [], []
    for number in range(setting.runs):
        # Folders of their own: file systems are slow to reuse what was just deleted.
        copy = setting.fresh(f"copied-{number}")
        theirs.append(run(["sh", "-c", 'cp -r "$0" "$1" && sync -f "$1"', folder, copy / "copy"]).wall)
        history = setting.fresh(f"history-{number}")
        begin = time.perf_counter()
        with driblet(setting.driblet, folder, history, log="driblet=info") as server:
            server.said(INDEXED)
            ours.append(time.perf_counter() - begin)
    command = "driblet serve DIR, from its start until all files are indexed"
    yield row(f"{SMALL:,} files of 500 bytes, first index with its copy into the history", ours, "s", command=command)
    yield row(f"{SMALL:,} files of 500 bytes, copied, one sync at the end", theirs, "s", command=COPY)
    parts = [index_time / copy_time for index_time, copy_time in zip(ours, theirs, strict=True)]
    yield row("their first index as a part of copying them", parts, "ratio", ("<=", 1.5))
