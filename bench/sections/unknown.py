"""What crosses the wire, both ways, when the server does not know the version that is held, beside rsync, zsync and bita."""

import re
import shutil
import subprocess

from measure.process import run
from measure.report import row, table
from measure.server import driblet, nginx, publish, rsync_daemon
from measure.setting import HERE, corpus

from sections.deltas import KINDS, mean
from sections.pull import PULL, TRANSFERRED, both_ways, pull

LONGER = KINDS["longer than 32 MiB"]
BITA = HERE / "data" / ".work" / "tools" / "bin" / "bita"
MADE = re.compile("made a delta in the background.*Matched")
RSYNC = {
    "rsync -z": ["-z", "--zc=zlib"],
    "rsync, zstd": ["-z", "--zc=zstd"],
    "rsync, zstd 19": ["-z", "--zc=zstd", "--zl=19"],
}


# Made once for all receivers, and served by nginx: what is published of a file, and how a receiver asks for it.
PUBLISHED = {
    "zsync -z": (["zsyncmake", "-z", "-o", "published", "file"], ["zsync", "-q", "-i", "OLD", "-o", "NEW", "URL"]),
    "bita, 4 KiB": (
        [
            BITA,
            "compress",
            "-i",
            "file",
            "--min-chunk-size",
            "1KiB",
            "--avg-chunk-size",
            "4KiB",
            "--max-chunk-size",
            "64KiB",
            "published",
        ],
        [BITA, "clone", "--seed", "OLD", "URL", "NEW"],
    ),
}


def measure(setting):
    subprocess.run([HERE / "peers.sh"], check=True)
    lines, ratios, worst, later = [], {}, {}, {}
    for kind, names in KINDS.items():
        for name in names:
            folder = corpus(name)
            ours, again = forgotten(setting, folder)
            peers, others = rsyncs(setting, folder), published(setting, folder)
            whole = len(run(["zstd", "-19", "-q", "-c", folder / "new"]).stdout)
            best = min(peers.values())
            if kind != "held out":
                ratios[name], worst[name] = ours / best, ours / min(best, whole)
                later[name] = again / min(best, whole)
            lines.append(
                [
                    name,
                    f"{ours:,}",
                    f"{again:,}",
                    *(f"{moved:,}" if moved else "failed" for moved in (peers | others).values()),
                    f"{whole:,}",
                    f"{ours / best:.2f}",
                ]
            )
    yield row(
        "unknown version, both ways / rsync's best, geometric mean", mean(ratios.values()), "ratio", ("<=", 0.85), PULL
    )
    smaller = "unknown version, both ways / the smaller of rsync's best and zstd -19 of the whole"
    yield row(
        f"{smaller}, the largest",
        max(ratio for name, ratio in worst.items() if name not in LONGER),
        "ratio",
        ("<=", 1.01),
        PULL,
    )
    yield row(f"{smaller}, the longest file", max(worst[name] for name in LONGER), "ratio", command=PULL)
    # Later receivers of the same version get what the server made for all of them in the background.
    yield row(f"{smaller}, the largest, later receivers", max(later.values()), "ratio", ("<=", 1.01), PULL)
    yield row(f"{smaller}, geometric mean, later receivers", mean(later.values()), "ratio", command=PULL)
    for name in ["typescript-patch", "reactdom-dev-patch"]:
        yield row(f"{name}, unknown version, both ways / rsync's best", ratios[name], "ratio", ("<=", 0.6), PULL)
    yield table(
        "Bytes both ways",
        ["pair", "driblet", "driblet, later", *RSYNC, *PUBLISHED, "zstd -19, whole", "driblet / rsync's best"],
        lines,
    )


def forgotten(setting, pair):
    """The bytes both ways of the first pull, and of one after the server has made a better delta for the second."""
    folder, destination = setting.fresh("served"), setting.fresh("clients") / "file"
    publish(pair / "new", folder / "file")
    with driblet(setting.driblet, folder, setting.fresh("history"), log="driblet=info") as server:
        server.head("file")

        def pulled():
            shutil.copyfile(pair / "old", destination)
            stats = pull(setting, server, "file", destination)
            if destination.read_bytes() != (pair / "new").read_bytes():
                raise RuntimeError(f"another file came: {stats}")
            return both_ways(stats)

        first = pulled()
        pulled()
        server.said(MADE)
        return first, pulled()


def rsyncs(setting, pair):
    folder, work = setting.fresh("served"), setting.fresh("clients")
    publish(pair / "new", folder / "file")
    moved = {}
    with rsync_daemon(folder, setting.fresh("rsync")) as server:
        for name, options in RSYNC.items():
            shutil.copyfile(pair / "old", work / "file")
            said = run(["rsync", "-I", "--stats", *options, server.url + "file", work / "file"]).stdout
            moved[name] = sum(int(number.replace(b",", b"")) for number in TRANSFERRED.findall(said))
    return moved


def published(setting, pair):
    """What each of the peers that publish once moves; None for one that failed."""
    moved = {}
    for name, (publish_it, receive) in PUBLISHED.items():
        folder, work, log = setting.fresh("served"), setting.fresh("clients"), setting.fresh("nginx")
        shutil.copyfile(pair / "new", folder / "file")
        subprocess.run(publish_it, cwd=folder, check=True, capture_output=True)
        try:
            with nginx(folder, log) as server:
                places = {"OLD": pair / "old", "NEW": work / "new", "URL": f"{server.url}/published"}
                run([places.get(word, word) for word in receive], cwd=work)
            if (work / "new").read_bytes() != (pair / "new").read_bytes():
                raise RuntimeError(f"it does not give {pair.name} back")
            moved[name] = server.moved()
        except RuntimeError as error:
            print(
                f"  {pair.name}: {name} failed: {next((line for line in str(error).splitlines() if 'panicked' in line), error)}"
            )
            moved[name] = None
    return moved
