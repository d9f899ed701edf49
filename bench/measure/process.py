"""Runs a program to its end, or watches one that goes on: wall time, CPU seconds, memory."""

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import NamedTuple

TICK = os.sysconf("SC_CLK_TCK")


class Run(NamedTuple):
    wall: float  # seconds
    cpu: float  # seconds, user and system
    stdout: bytes
    memory: int  # bytes, the highest resident size


def run(command, cwd=None):
    """Runs a command that must succeed; what it says on stderr is shown if it does not."""
    begin = time.perf_counter()
    child = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    stderr = []
    reader = threading.Thread(target=lambda: stderr.append(child.stderr.read()))
    reader.start()
    stdout = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    reader.join()
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{stderr[0].decode(errors='replace')}")
    return Run(wall, usage.ru_utime + usage.ru_stime, stdout, usage.ru_maxrss * 1024)


def cpu_of(pid):
    """CPU seconds of a process and of its children that have ended, to a hundredth."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / TICK


def anonymous_of(pid):
    """RssAnon in bytes, 0 for a process that is gone."""
    return status_of(pid, "RssAnon:")


def status_of(pid, name):
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        pass
    return 0


class PeakMemory:
    """The highest RssAnon of a process while the block runs, sampled every 2 ms, and the highest RSS as the kernel saw it."""

    def __init__(self, pid):
        self.pid, self.anonymous, self.resident = pid, 0, 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.sample)

    def sample(self):
        while not self.ended.wait(0.002):
            self.anonymous = max(self.anonymous, anonymous_of(self.pid))
            self.resident = max(self.resident, status_of(self.pid, "VmHWM:"))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
