"""Live streams by the thousand: the program of bench/live, which holds them and says when each heard of a version."""

import subprocess
from contextlib import contextmanager
from typing import NamedTuple

from measure.setting import HERE

SOURCE, TARGET = HERE / "live", HERE / "data" / ".work" / "live"


class Told(NamedTuple):
    """Seconds until the first, the median, the 99th percentile and the last of the streams had an event, and its bytes in hex."""

    first: float
    median: float
    p99: float
    last: float
    event: str


class Returned(NamedTuple):
    """Seconds until all were back, the most connections in any second, how many attempts failed."""

    last: float
    most: int
    failed: int


class Streams:
    def __init__(self, child):
        self.child = child

    def say(self, *words):
        print(*words, file=self.child.stdin, flush=True)

    def answer(self):
        if not (line := self.child.stdout.readline()):
            raise RuntimeError("the program that holds live streams has ended")
        return line.split()

    def opened(self):
        self.say("opened")
        self.answer()

    def told(self, *command):
        self.say(*command)
        *times, event = self.answer()
        return Told(*(int(time) / 1e6 for time in times), event)

    def await_return(self):
        """From now on streams that end are expected back."""
        self.say("returned")
        self.answer()

    def returned(self):
        last, most, failed = self.answer()
        return Returned(int(last) / 1e6, int(most), int(failed))


@contextmanager
def streams(url, count, version="http1"):
    """Opens so many streams, each over a connection of its own, or a hundred of them over one (`http2`)."""
    with program("streams", url, str(count), version) as child:
        opened = Streams(child)
        opened.opened()
        yield opened


@contextmanager
def plain():
    """The URL of a server that writes bytes to plain sockets."""
    with program("plain") as child:
        yield child.stdout.readline().split()[-1]


@contextmanager
def program(*arguments):
    child = subprocess.Popen([built(), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def built():
    """The path of the program, which is built if it is not there."""
    build = ["cargo", "build", "--release", "--locked", "--quiet", "--target-dir", TARGET]
    subprocess.run([*build, "--manifest-path", SOURCE / "Cargo.toml"], check=True)
    return TARGET / "release" / "driblet-bench-live"
