"""What crosses the wire when a file is pulled: unchanged, from a known version, from one the server has forgotten."""

import json
import re
import shutil

from measure.process import run
from measure.report import row
from measure.server import driblet, publish, rsync_daemon
from measure.setting import corpus

PULL = "driblet pull http://ADDR/NAME DEST --stats json"
TRANSFERRED = re.compile(rb"Total bytes (?:sent|received): ([\d,]+)")


def measure(setting):
    pair = corpus("typescript-patch")
    yield from unchanged(setting, pair / "new", "typescript.js, 9 MB")
    yield from unchanged(setting, corpus("scattered-128m") / "new", "128 MiB")
    yield from known(setting, pair)
    yield from forgotten(setting, pair)
    yield from peers(setting, pair)


def pull(setting, server, name, destination):
    """What `driblet pull` says it cost."""
    return json.loads(run([setting.driblet, "pull", f"{server.url}/{name}", destination, "--stats", "json"]).stdout)


def unchanged(setting, file, title):
    folder, work = setting.fresh("served"), setting.fresh("clients")
    publish(file, folder / "file")
    destination = work / "file"
    with driblet(setting.driblet, folder, setting.fresh("history")) as server:
        shutil.copyfile(file, destination)
        pull(setting, server, "file", destination)  # DEST has its origin from here on
        stats = [pull(setting, server, "file", destination) for _ in range(setting.runs)]
    yield row(f"unchanged, {title}: both ways", [both_ways(s) for s in stats], "bytes", ("<=", 200), PULL)
    yield row(f"unchanged, {title}: requests", [s["requests"] for s in stats], "requests", ("<=", 1), PULL)
    yield row(f"unchanged, {title}: time", [s["elapsed_ms"] for s in stats], "ms", command=PULL)


def known(setting, pair):
    folder, work = setting.fresh("served"), setting.fresh("clients")
    publish(pair / "old", folder / "file")
    stats = []
    with driblet(setting.driblet, folder, setting.fresh("history")) as server:
        server.head("file")
        publish(pair / "new", folder / "file")
        for number in range(setting.runs):
            stats.append(changed(setting, server, pair, work / f"{number}", "version"))
    title = "typescript-patch, version known"
    yield row(f"{title}: received", [s["received"] for s in stats], "bytes", ("<=", 2_000), PULL)
    yield row(f"{title}: both ways", [both_ways(s) for s in stats], "bytes", command=PULL)
    yield row(f"{title}: requests", [s["requests"] for s in stats], "requests", ("<=", 1), PULL)
    yield row(f"{title}: time", [s["elapsed_ms"] for s in stats[1:] or stats], "ms", command=PULL, note="delta made")


def forgotten(setting, pair):
    folder, work = setting.fresh("served"), setting.fresh("clients")
    publish(pair / "new", folder / "file")
    stats = []
    for number in range(setting.runs):
        with driblet(setting.driblet, folder, setting.fresh("history")) as server:
            server.head("file")
            stats.append(changed(setting, server, pair, work / f"{number}", "matched"))
    title = "typescript-patch, history emptied between"
    yield row(f"{title}: both ways", [both_ways(s) for s in stats], "bytes", ("<=", 30_000), PULL)
    yield row(f"{title}: requests", [s["requests"] for s in stats], "requests", ("<=", 2), PULL)
    yield row(f"{title}: time", [s["elapsed_ms"] for s in stats], "ms", command=PULL)


def changed(setting, server, pair, destination, basis):
    shutil.copyfile(pair / "old", destination)
    stats = pull(setting, server, "file", destination)
    if destination.read_bytes() != (pair / "new").read_bytes() or stats["basis"] != basis:
        raise RuntimeError(f"pulled from basis {stats['basis']}, not {basis}, or another file: {stats}")
    return stats


def both_ways(stats):
    return stats["sent"] + stats["received"]


def peers(setting, pair):
    folder, work = setting.fresh("served"), setting.fresh("clients")
    publish(pair / "new", folder / "file")
    with rsync_daemon(folder, setting.fresh("rsync")) as server:
        for name, options in [("rsync", []), ("rsync -z", ["-z", "--zc=zlib"]), ("rsync, zstd", ["-z", "--zc=zstd"])]:
            shutil.copyfile(pair / "old", work / "file")
            said = run(["rsync", "-I", "--stats", *options, server.url + "file", work / "file"]).stdout
            moved = sum(int(number.replace(b",", b"")) for number in TRANSFERRED.findall(said))
            yield row(
                f"typescript-patch, {name}: both ways", moved, "bytes", command=" ".join(["rsync -I --stats", *options])
            )
    for name, command in [
        ("brotli -11 of the whole file", ["brotli", "-q", "11", "-w", "24", "-c", pair / "new"]),
        ("zstd -19 of the whole file", ["zstd", "-19", "-q", "-c", pair / "new"]),
        (
            "zstd -19 --patch-from, no verification",
            ["zstd", "-19", "-q", "--long=27", f"--patch-from={pair / 'old'}", "-c", pair / "new"],
        ),
    ]:
        shown = " ".join(str(part).removeprefix(str(pair) + "/").replace(str(pair) + "/", "") for part in command)
        yield row(f"typescript-patch, {name}", len(run(command).stdout), "bytes", command=shown)
