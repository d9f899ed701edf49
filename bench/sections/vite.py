"""A React app that vite builds thirty times, beside the compressed files that a browser would fetch after each build.

The app, its changes and the proof that every pull is whole are those of npm/test/vite.test.mjs.
"""

import os
import re
import statistics
import subprocess

from measure.report import row, table
from measure.setting import HERE

NPM = HERE.parent / "npm"
PULL = "npm run build && driblet pull http://ADDR/ DIR"
LINE = re.compile(r"^# (.+): (\d+) bytes received, (\d+) compressed$", re.MULTILINE)


def measure(setting):
    command = ["node", "--test", "--test-reporter=tap", "--test-timeout=1200000", "test/vite.test.mjs"]
    environment = {**os.environ, "DRIBLET_BIN": str(setting.driblet)}
    out = subprocess.run(command, cwd=NPM, env=environment, check=True, capture_output=True, text=True).stdout
    builds = [(name, int(received), int(compressed)) for name, received, compressed in LINE.findall(out)]
    assert len(builds) == 30, out
    lines = [received / compressed for name, received, compressed in builds if name.startswith("a line of")]
    yield row(
        "vite, one line changed: received / brotli -11 of the changed files, geometric mean",
        statistics.geometric_mean(lines),
        "ratio",
        ("<=", 0.02),
        PULL,
    )
    every = [received / compressed for _, received, compressed in builds]
    yield row(
        "vite, all thirty builds: the same, geometric mean", statistics.geometric_mean(every), "ratio", None, PULL
    )
    long = [received / compressed for _, received, compressed in builds if compressed > 2_000]
    yield row("vite, all thirty builds: the largest where it is above 2 kB", max(long), "ratio", ("<=", 1.0), PULL)
    names = dict.fromkeys(name for name, _, _ in builds)
    rounds = {name: [build for build in builds if build[0] == name] for name in names}
    yield table(
        "Bytes received after each build, of three rounds; and those of the changed files under brotli -11",
        ["change", "first", "second", "third"],
        [[name, *(f"{received:,} ({compressed:,})" for _, received, compressed in rounds[name])] for name in names],
    )
