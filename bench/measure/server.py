"""The servers that are measured: driblet's, rsync's daemon, nginx, Caddy, each on a loopback port of its own."""

import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from measure.process import cpu_of

# driblet gives memory back when the threads are gone that waited for files: seconds.
GIVEN_BACK = 15
READY = re.compile(r"listening on (http://\S+?)/?$")


class Driblet:
    """A running `driblet serve`."""

    def __init__(self, child, url, ready_after):
        self.child, self.url, self.pid, self.ready_after = child, url, child.pid, ready_after
        self.lines = queue.SimpleQueue()
        # Read to the end, so that the server never blocks on a full pipe.
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.child.stderr:
            self.lines.put(line)

    def said(self, pattern):
        """Waits until the server logs a line that has the pattern in it."""
        while not pattern.search(line := self.lines.get(timeout=600)):
            pass
        return line

    def cpu(self):
        return cpu_of(self.pid)

    def get(self, path, **headers):
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=600) as response:
            return response.read()

    def head(self, name):
        """The JSON of a file's head; it is indexed when this returns."""
        import json

        return json.loads(self.get(f"/{name}.driblet/head"))


@contextmanager
def driblet(binary, folder, history, *options, listen="127.0.0.1:0", log="driblet=warn"):
    begin = time.perf_counter()
    command = [binary, "serve", folder, "--listen", listen, "--history", history, *options]
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "RUST_LOG": log},
    )
    try:
        said = []
        for line in child.stderr:
            said.append(line)
            if found := READY.search(line.strip()):
                break
        else:
            raise RuntimeError(f"{' '.join(map(str, command))} did not start:\n{''.join(said)}")
        ready_after = time.perf_counter() - begin
        yield Driblet(child, found[1], ready_after)
    finally:
        child.terminate()
        child.wait()


class Rsync:
    """A running rsync daemon."""

    def __init__(self, child, port):
        self.child, self.url = child, f"rsync://127.0.0.1:{port}/data/"

    def cpu(self):
        return cpu_of(self.child.pid)


@contextmanager
def rsync_daemon(folder, work):
    port = free_port()
    config = Path(work) / "rsyncd.conf"
    user = "uid = root\ngid = root\n" if os.geteuid() == 0 else ""
    config.write_text(f"use chroot = no\n{user}[data]\npath = {folder}\nread only = yes\n")
    command = ["rsync", "--daemon", "--no-detach", "--address=127.0.0.1", f"--port={port}", f"--config={config}"]
    with running(command, port) as child:
        yield Rsync(child, port)


class Nginx:
    """A running nginx; what it moved is known once it has ended."""

    def __init__(self, child, port, log):
        self.child, self.url, self.log = child, f"http://127.0.0.1:{port}", log

    def cpu(self):
        return cpu_of(self.child.pid)

    def moved(self):
        """Bytes both ways."""
        return sum(int(number) for number in self.log.read_text().split())


@contextmanager
def nginx(folder, work, logs=True, sendfile=False):
    """nginx in one process, which reads and sends by itself unless it may use sendfile."""
    port, work = free_port(), Path(work)
    log, config = work / "log", work / "nginx.conf"
    temporary = " ".join(
        f"{kind}_temp_path {work / kind};" for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    )
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(
        f"daemon off; master_process off; pid {work / 'pid'}; error_log {work / 'errors'}; {user} events {{}}\n"
        f"http {{ log_format moved '$request_length $bytes_sent'; access_log {f'{log} moved' if logs else 'off'};\n"
        f"sendfile {'on' if sendfile else 'off'}; {temporary}\n"
        f"server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n"
    )
    with running(["nginx", "-c", config, "-e", work / "errors"], port, end=signal.SIGQUIT) as child:
        yield Nginx(child, port, log)


class Caddy:
    """A running Caddy with one thread for Go."""

    def __init__(self, child, port):
        self.child, self.url = child, f"http://127.0.0.1:{port}"

    def cpu(self):
        return cpu_of(self.child.pid)


@contextmanager
def caddy(folder, work):
    port, work = free_port(), Path(work)
    config = work / "Caddyfile"
    config.write_text(
        f"{{\n admin off\n auto_https off\n}}\nhttp://127.0.0.1:{port} {{\n root * {folder}\n file_server\n}}\n"
    )
    command = ["caddy", "run", "--config", config, "--adapter", "caddyfile"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with running(command, port, env={**os.environ, "GOMAXPROCS": "1", "HOME": str(work)}, **quiet) as child:
        yield Caddy(child, port)


@contextmanager
def running(command, port, end=signal.SIGTERM, **options):
    """A process that listens on a port, until the signal ends it."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)
    try:
        until_open(port)
        yield child
    finally:
        child.send_signal(end)
        child.wait()


def until_few_sockets(pid):
    """Waits until a server has closed the connections of clients that are gone, and has given back their memory: a few sockets are its own."""
    deadline = time.monotonic() + 60
    while 20 < sockets(pid):
        if deadline < time.monotonic():
            raise RuntimeError("the server keeps connections of clients that are gone")
        time.sleep(0.1)
    time.sleep(GIVEN_BACK)


def sockets(pid):
    count = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            count += os.readlink(link).startswith("socket:")
        except FileNotFoundError:
            pass  # it was closed meanwhile
    return count


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until_open(port):
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if deadline < time.monotonic():
                raise
            time.sleep(0.01)


def publish(source, path):
    """Puts a copy of `source` at `path` in one step, and lets its times grow old enough to be trusted."""
    part = f"{path}.part"
    shutil.copyfile(source, part)
    os.replace(part, path)
    os.sync()
    time.sleep(2.1)
