"""Clients of browser-sync-stream that hold nothing: what one, ten and fifty at once cost the server that has never seen the file."""

import subprocess
import time

from measure.process import PeakMemory, run
from measure.report import row
from measure.server import driblet, publish
from measure.setting import corpus
from measure.socket import receive_at_once

MIB = 1 << 20
# What the original took for the same file on one such machine, which re-chunks and holds it for each connection: wall, CPU in seconds; GB.
ORIGINAL = {1: (1.9, 2.1, 0.45), 10: (15, 20, 2.0), 50: (132, 207, 7.7)}
CLIENT = "a WebSocket to /file that announces nothing, and reads"
PULL = "driblet pull ws://ADDR/file DEST"


def measure(setting):
    pair, folder = corpus("scattered-128m"), setting.fresh("served")
    publish(pair / "new", folder / "file")
    for clients, (wall, cpu, memory) in ORIGINAL.items():
        done = [served(setting, folder, clients) for _ in range(min(setting.runs, 3))]
        many = f"{clients} cold clients" if clients != 1 else "1 cold client"
        original = f"the original: {wall} s wall, {cpu} s CPU, {memory} GB"
        yield row(
            f"128 MiB, {many}: server CPU",
            [one["cpu"] for one in done],
            "s",
            ("<=", cpu / 10 if clients == 50 else cpu),
            CLIENT,
            original,
        )
        yield row(f"128 MiB, {many}: wall", [one["wall"] for one in done], "s", command=CLIENT)
        yield row(
            f"128 MiB, {many}: the first byte for anyone", [one["first"] for one in done], "s", ("<=", 2.0), CLIENT
        )
        yield row(
            f"128 MiB, {many}: server, highest RssAnon", [one["anonymous"] / MIB for one in done], "MiB", command=CLIENT
        )
        resident = [one["resident"] / MIB for one in done]
        yield row(
            f"128 MiB, {many}: server, highest resident, mapped files too", resident, "MiB", ("<=", 300e6 / MIB), CLIENT
        )
    yield from pulls(setting, pair, folder)


def served(setting, folder, clients):
    """A server that begins with an empty history, so that the first index is in its figures too."""
    with driblet(setting.driblet, folder, setting.fresh("history"), "--ahead", "0") as server:
        with PeakMemory(server.pid) as busy:
            begin = time.perf_counter()
            received = receive_at_once(f"{server.url}/file", clients)
            wall = time.perf_counter() - begin
        if len({length for length, _ in received}) != 1:
            raise RuntimeError(f"the clients received different lengths: {sorted(received)}")
        return {
            "cpu": server.cpu(),
            "wall": wall,
            "first": min(first for _, first in received) - begin,
            "anonymous": busy.anonymous,
            "resident": busy.resident,
        }


def pulls(setting, pair, folder):
    """The client, cold and then warm; it also shows that what the server sends is the file."""
    destination = setting.fresh("clients") / "file"
    with driblet(setting.driblet, folder, setting.fresh("history"), "--ahead", "0") as server:
        server.head("file")
        url = server.url.replace("http:", "ws:") + "/file"
        cold, warm = [], []
        for _ in range(min(setting.runs, 3)):
            for times, held in [(cold, None), (warm, pair / "old")]:
                destination.unlink(missing_ok=True)
                if held:
                    publish(held, destination)
                times.append(run([setting.driblet, "pull", url, destination]).wall)
                if subprocess.run(["cmp", "-s", destination, pair / "new"], check=False).returncode != 0:
                    raise RuntimeError(f"{destination} is not the new file")
    yield row("128 MiB, pull by WebSocket, nothing held: wall", cold, "s", command=PULL)
    yield row("128 MiB, pull by WebSocket, the old version held: wall", warm, "s", command=PULL)
    setting.fresh("clients")
