"""A big file with scattered edits: a warm pull beside rsync, then what it takes of memory."""

import os
import re
import shutil
import subprocess

from measure.clients import get_at_once
from measure.process import PeakMemory, anonymous_of, run
from measure.report import row
from measure.server import driblet, publish, rsync_daemon
from measure.setting import corpus

MIB = 1 << 20
PULL = "driblet pull http://ADDR/file DEST"
RSYNC = "rsync --fsync -I rsync://ADDR/data/file DEST"
CLIENTS = 50
MADE = re.compile("made a delta in the background.* bytes=([0-9]+)")
SERVE = "driblet serve FOLDER"


def measure(setting):
    for size, name, runs in [
        ("128 MiB", "scattered-128m", setting.runs),
        ("1 GiB", "scattered-1g", min(setting.runs, 3)),
    ]:
        pair = corpus(name)
        yield from first_client(setting, pair, size)
        yield from beside_rsync(setting, pair, size, runs)
        yield from memory(setting, pair, size)
        yield from in_background(setting, pair, size)


def prepared(setting, server, pair, folder):
    """The server has indexed old and new."""
    server.head("file")
    publish(pair / "new", folder / "file")
    return server.head("file")


def served(setting, pair):
    folder = setting.fresh("served")
    publish(pair / "old", folder / "file")
    return folder


def room(setting):
    return ["--history-bytes", str(8 << 30)]


def place(pair, destination):
    """DEST as it was before: written back, so that no measurement pays for another's dirty pages."""
    shutil.copyfile(pair / "old", destination)
    os.sync()


def first_client(setting, pair, size):
    folder, destination = served(setting, pair), setting.fresh("clients") / "file"
    with driblet(setting.driblet, folder, setting.fresh("history"), *room(setting)) as server:
        prepared(setting, server, pair, folder)
        place(pair, destination)
        before = server.cpu()
        pull = run([setting.driblet, "pull", f"{server.url}/file", destination])
        yield row(f"{size}, first client, delta not made: wall", pull.wall, "s", command=PULL)
        yield row(
            f"{size}, first client, delta not made: CPU, client and server",
            pull.cpu + server.cpu() - before,
            "s",
            command=PULL,
        )


def beside_rsync(setting, pair, size, runs):
    folder, destination = served(setting, pair), setting.fresh("clients") / "file"
    taken = {"driblet": [], "rsync": []}
    with (
        driblet(setting.driblet, folder, setting.fresh("history"), *room(setting)) as server,
        rsync_daemon(folder, setting.fresh("rsync")) as daemon,
    ):
        prepared(setting, server, pair, folder)
        commands = {
            "driblet": (server, [setting.driblet, "pull", f"{server.url}/file", destination]),
            "rsync": (daemon, ["rsync", "--fsync", "-I", daemon.url + "file", destination]),
        }
        place(pair, destination)
        run(commands["driblet"][1])  # makes the delta
        for number in range(runs):
            for name in ["driblet", "rsync"] if number % 2 == 0 else ["rsync", "driblet"]:
                peer, command = commands[name]
                place(pair, destination)
                before = peer.cpu()
                done = run(command)
                taken[name].append((done.wall, done.cpu + peer.cpu() - before))
        if subprocess.run(["cmp", "-s", destination, pair / "new"], check=False).returncode != 0:
            raise RuntimeError(f"{destination} is not the new file")
    for name, shown in [("driblet", PULL), ("rsync", RSYNC)]:
        yield row(f"{size}, delta ready, {name}: wall", [wall for wall, _ in taken[name]], "s", command=shown)
        yield row(
            f"{size}, delta ready, {name}: CPU, client and server", [cpu for _, cpu in taken[name]], "s", command=shown
        )
    ratios = [ours[0] / theirs[0] for ours, theirs in zip(taken["driblet"], taken["rsync"], strict=True)]
    cpu_ratios = [ours[1] / theirs[1] for ours, theirs in zip(taken["driblet"], taken["rsync"], strict=True)]
    yield row(f"{size}, delta ready, driblet / rsync --fsync: wall", ratios, "ratio", ("<=", 1.0))
    yield row(f"{size}, delta ready, driblet / rsync --fsync: CPU", cpu_ratios, "ratio")


def in_background(setting, pair, size):
    """The better delta, which the server makes after a change before anyone asks."""
    folder = served(setting, pair)
    with driblet(setting.driblet, folder, setting.fresh("history"), *room(setting), log="driblet=info") as server:
        server.head("file")
        idle, before = anonymous_of(server.pid), server.cpu()
        with PeakMemory(server.pid) as busy:
            publish(pair / "new", folder / "file")
            made = int(MADE.search(server.said(MADE)).group(1))
        taken = server.cpu() - before
        yield row(f"{size}, stored, and its delta made in the background: CPU", taken, "s", command=SERVE)
    yield row(f"{size}, delta made in the background: length", made / MIB, "MiB", command=SERVE)
    yield above_idle(f"{size}, server, a delta in the background", busy, idle, 512, SERVE)


def above_idle(what, busy, idle, most, command):
    return row(f"{what}: RssAnon above idle", (busy.anonymous - idle) / MIB, "MiB", ("<=", most), command)


def memory(setting, pair, size):
    folder, work = served(setting, pair), setting.fresh("clients")
    with driblet(setting.driblet, folder, setting.fresh("history"), *room(setting), log="driblet=info") as server:
        held = server.head("file")["version"]
        head = prepared(setting, server, pair, folder)["version"]
        place(pair, work / "0")
        # The client takes some of its memory from the file it patches: mapped pages are not its own.
        child = subprocess.Popen([setting.driblet, "pull", f"{server.url}/file", work / "0"])
        with PeakMemory(child.pid) as client:
            child.wait()
        yield row(f"{size}, client: highest RssAnon", client.anonymous / MIB, "MiB", ("<=", 150), PULL)
        yield row(f"{size}, client: highest resident, mapped files too", client.resident / MIB, "MiB", command=PULL)
        server.said(MADE)  # its memory is another row
        idle = anonymous_of(server.pid)
        with PeakMemory(server.pid) as busy:
            get_at_once(f"{server.url}/file.driblet/{held}-{head}", CLIENTS, pause=0.02)
        yield row(f"{size}, server, idle after one client: RssAnon", idle / MIB, "MiB")
        slowly = "GET /file.driblet/H-T by 64 KiB every 20 ms"
        yield above_idle(f"{size}, server, {CLIENTS} clients that read slowly", busy, idle, 100, slowly)
        if (pair / "old").stat().st_size <= 256 * MIB:
            for number in range(CLIENTS):
                shutil.copyfile(pair / "old", work / str(number))
            os.sync()
            with PeakMemory(server.pid) as busy:
                pulls = [
                    subprocess.Popen([setting.driblet, "pull", f"{server.url}/file", work / str(n)])
                    for n in range(CLIENTS)
                ]
                if any(pull.wait() != 0 for pull in pulls):
                    raise RuntimeError("a pull failed")
            yield above_idle(f"{size}, server, {CLIENTS} pulls at once", busy, idle, 100, PULL)
    setting.fresh("clients")
