"""Plain files on connections that stay open, as a cache or a proxy asks for them: the server's CPU for one request, beside nginx and Caddy."""

import http.client
import os
import re
import socket
import subprocess
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

from measure.process import status_of
from measure.report import row, table
from measure.server import caddy, driblet, nginx, until_few_sockets

# A name, a length, and the connections that ask for it at once.
FILES = [("16k.bin", 16 << 10, 16), ("10m.bin", 10_000_000, 4)]
# For each server in each turn. CPU times have steps of 10 ms.
SECONDS = 4
CLIENTS = 10_000
# Fewer than the most connections of driblet, so that none gives way.
AT_ONCE = 500
COUNT = re.compile(r"(\d+) requests in")


def measure(setting):
    folder = setting.fresh("served")
    for name, length, _ in FILES:
        # No server compresses it, and wrk does not ask for that.
        (folder / name).write_bytes(os.urandom(length))
    time.sleep(2.1)  # the files' times grow old enough to be trusted
    yield from requests(setting, folder)
    yield from memory(setting, folder)


def requests(setting, folder):
    with ExitStack() as stack:
        servers = {
            "driblet": driblet(setting.driblet, folder, setting.fresh("history")),
            "driblet, with its logs": driblet(
                setting.driblet, folder, setting.fresh("history-logs"), *logs(setting.driblet)
            ),
            "nginx": nginx(folder, setting.fresh("nginx"), logs=False),
            "nginx, sendfile": nginx(folder, setting.fresh("nginx-sendfile"), logs=False, sendfile=True),
            "Caddy": caddy(folder, setting.fresh("caddy")),
        }
        servers = {name: stack.enter_context(server) for name, server in servers.items()}
        for name, length, connections in FILES:
            for server in servers.values():
                load(server, name, connections, 1)
            turns = [
                {which: load(server, name, connections, SECONDS) for which, server in servers.items()}
                for _ in range(setting.runs)
            ]
            what = f"{'16 KiB' if length < 1 << 20 else '10 MB'}, {connections} connections"
            yield from compared(what, turns, length < 1 << 20)
    yield table(
        "How the servers run",
        ["server", "settings"],
        [
            ["driblet", "defaults; " + " ".join(logs(setting.driblet)) + " where it says so"],
            ["nginx", "one process, access_log off"],
            ["Caddy", "GOMAXPROCS=1, file_server, no access log"],
        ],
    )


def compared(what, turns, is_short):
    command = f"wrk -t1 -c… -d{SECONDS}s"
    for which in turns[0]:
        yield row(f"{what}: CPU of a request, {which}", [1e6 * turn[which] for turn in turns], "µs", command=command)

    def ratio(one, other, limit):
        runs = [turn[one] / turn[other] for turn in turns]
        return row(f"{what}: CPU of a request, {one} / {other}", runs, "ratio", limit)

    yield ratio("driblet", "Caddy", ("<=", 1.0) if is_short else None)
    yield ratio("driblet", "nginx", ("<=", 2.0 if is_short else 1.3))
    yield ratio("driblet", "nginx, sendfile", None)
    yield ratio("driblet, with its logs", "driblet", ("<=", 1.1) if is_short else None)


def logs(binary):
    """The options that have it count and log each request."""
    options = ["--access-log", "json"]
    described = subprocess.run([binary, "serve", "--help"], capture_output=True, text=True, check=True).stdout
    return [*options, "--metrics", "127.0.0.1:0"] if "--metrics" in described else options


def load(server, name, connections, seconds):
    """Asks for a file again and again. Gives the server's CPU seconds for each request."""
    begin = server.cpu()
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"{server.url}/{name}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or not (count := COUNT.search(said)):
        raise RuntimeError(f"{server.url}: {said}")
    return (server.cpu() - begin) / int(count[1])


def memory(setting, folder):
    """What clients leave behind that were connected and are gone."""
    ratios = []
    name = FILES[0][0]
    with driblet(setting.driblet, folder, setting.fresh("history")) as server:
        for _ in range(100):
            server.get(f"/{name}")
        idle = status_of(server.pid, "VmRSS:")
        place = urlsplit(server.url)
        for _ in range(CLIENTS // AT_ONCE):
            clients = [http.client.HTTPConnection(place.hostname, place.port, timeout=60) for _ in range(AT_ONCE)]
            for client in clients:
                client.connect()
                client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                client.request("GET", f"/{name}")
            for client in clients:
                client.getresponse().read()
            for client in clients:
                client.close()
        until_few_sockets(server.pid)
        ratios.append(status_of(server.pid, "VmRSS:") / idle)
    yield row(f"memory after {CLIENTS:,} clients, {AT_ONCE} at a time / idle", ratios, "ratio", ("<=", 1.2))
