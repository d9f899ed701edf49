"""A directory of 100,000 files, beside rsync: published, pulled cold, unchanged, edited, moved.

The files are pieces of a real script, 1 to 13 kB each, with a line of their own. Times are wall times with everything
durable: rsync is followed by one `sync`. Bytes are both ways: bodies, and version names in URLs.
"""

import json
import os
import random
import shutil
import subprocess
import time
import urllib.error

from measure.process import run, status_of
from measure.report import row
from measure.server import driblet, rsync_daemon
from measure.setting import b3sum, corpus

from sections.pull import TRANSFERRED

FILES = int(os.environ.get("DRIBLET_BENCH_FILES", "100000"))
FOLDERS = 1_000
PULL = "driblet pull http://ADDR/ DIR --stats json"
RSYNC = "rsync -a --delete rsync://ADDR/data/ DIR; sync -f DIR"
TITLE = f"{FILES:,} files"


def measure(setting):
    text = (corpus("typescript-patch") / "new").read_bytes()
    folder, work = setting.fresh("served"), setting.fresh("clients")
    tree(folder, text)
    subprocess.run(["sync", "-f", folder], check=True)
    time.sleep(2.1)  # the stamps of the last files can be trusted
    history = setting.fresh("history")
    with rsync_daemon(folder, setting.fresh("rsync")) as peer, driblet(setting.driblet, folder, history) as server:
        yield from published(server, folder, work)
        yield from cold(setting, server, peer, work)
        yield from unchanged(setting, server, peer, work)
        yield from edited(setting, server, peer, folder, work)
        yield from moved(setting, server, folder, work)
        yield from followed(setting, server, folder, FILES, 0.060)
    yield from followed_in_small(setting, text)


def tree(folder, text, files=FILES):
    choice = random.Random(1)
    for number in range(files):
        place = folder / f"d{number % FOLDERS:03}"
        place.mkdir(exist_ok=True)
        at, length = choice.randrange(len(text) - 13_000), choice.randrange(1_000, 13_000)
        (place / f"f{number:06}.js").write_bytes(b"// file %d\n" % number + text[at : at + length])


def published(server, folder, work):
    """The first publish: until the head is there."""
    begin = time.perf_counter()
    head = json.loads(patient(server, "/.driblet/head"))
    wall = server.ready_after + time.perf_counter() - begin
    memory = status_of(server.pid, "RssAnon:")
    assert head["files"] == FILES, head
    target = work / "copy"
    begin = time.perf_counter()
    run(["rsync", "-a", f"{folder}/", f"{target}/"])
    run(["sync", "-f", target])
    copied = time.perf_counter() - begin
    # The copy stays: for a minute, ext4 searches long for inodes that were not freed just now.
    yield row(
        f"{TITLE}: first publish / rsync -a", wall / copied, "ratio", ("<=", 1.5), "driblet serve; GET /.driblet/head"
    )
    yield row(f"{TITLE}: first publish, memory that is no file's", memory, "bytes", ("<=", 200 << 20))


def patient(server, path):
    """A response, also from a server that is busy at first."""
    while True:
        try:
            return server.get(path)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
            time.sleep(0.1)


def cold(setting, server, peer, work):
    title, first = f"{TITLE}: cold pull", None
    for number in range(2):
        mine, theirs = work / f"cold{number}", work / f"rsync{number}"
        stats, wall, memory = pull(setting, server, mine)
        if first is None:
            first = stats
        other = rsync(peer, theirs, "-a")
        what, limit = ("first ever", 2.0) if number == 0 else ("parts cached", 1.0)
        yield row(f"{title}, {what}: time / rsync -a", wall / other, "ratio", ("<=", limit), f"{PULL}; {RSYNC}")
        if number == 1:
            yield row(f"{title}: client memory", memory, "bytes", ("<=", 64 << 20), PULL)
    compared = rsync_bytes(peer, work / "compressed", "-az")
    yield row(
        f"{title}: both ways / rsync -az", both_ways(first) / compared, "ratio", ("<=", 1.0), PULL, f"{compared} bytes"
    )
    same(work / "cold0", work / "rsync0")
    for name in ["cold1", "rsync1", "compressed"]:
        shutil.rmtree(work / name)


def unchanged(setting, server, peer, work):
    ratios, moved = [], []
    for _ in range(setting.runs):
        stats, wall, _ = pull(setting, server, work / "cold0")
        ratios.append(wall / rsync(peer, work / "rsync0", "-a"))
        moved.append(both_ways(stats))
    yield row(f"{TITLE}, nothing changed: time / rsync -a", ratios, "ratio", ("<=", 0.25), f"{PULL}; {RSYNC}")
    yield row(f"{TITLE}, nothing changed: both ways", moved, "bytes", ("<=", 200), PULL)


def edited(setting, server, peer, folder, work):
    """A hundred files change between two pulls."""
    times, sizes = [], []
    choice = random.Random(2)
    for _ in range(setting.runs):
        for number in choice.sample(range(FILES), 100):
            path = folder / f"d{number % FOLDERS:03}" / f"f{number:06}.js"
            content = path.read_bytes()
            at = choice.randrange(len(content))
            path.write_bytes(content[:at] + b"edited(%d)" % choice.randrange(1 << 30) + content[at + 5 :])
        settled(server, folder)
        shutil.rmtree(work / "before", ignore_errors=True)
        run(["cp", "-a", work / "rsync0", work / "before"])
        run(["sync", "-f", work])  # or the first that flushes would write the copy
        stats, wall, _ = pull(setting, server, work / "cold0")
        times.append(wall / rsync(peer, work / "rsync0", "-a"))
        sizes.append(both_ways(stats) / rsync_bytes(peer, work / "before", "-az"))
    same(work / "cold0", work / "rsync0")
    yield row(f"{TITLE}, 100 edited: time / rsync -a", times, "ratio", ("<=", 0.5), f"{PULL}; {RSYNC}")
    yield row(f"{TITLE}, 100 edited: both ways / rsync -az", sizes, "ratio", ("<=", 0.3), PULL)


def moved(setting, server, folder, work):
    """A tenth of the files is moved to another folder."""
    (folder / "moved").mkdir()
    for number in range(FOLDERS // 10):
        os.rename(folder / f"d{number:03}", folder / "moved" / f"d{number:03}")
    settled(server, folder)
    stats, _, _ = pull(setting, server, work / "cold0")
    same(work / "cold0", folder)
    yield row(f"{TITLE}, a tenth moved: both ways", both_ways(stats), "bytes", ("<=", 200_000), PULL)


def followed(setting, server, folder, files, limit):
    """One file changes in the watched tree: what the server computes until the new version is published."""
    clock = ~server.pid << 3 | 2  # the CPU time of that process
    head = json.loads(server.get("/.driblet/head"))
    file = next(path for path in folder.rglob("*.js"))
    manifest, times, ratios = setting.fresh("manifest") / "manifest", [], []
    for number in range(max(setting.runs, 5)):
        begin = time.clock_gettime(clock)
        file.write_bytes(file.read_bytes() + b"followed(%d)" % number)
        head = json.loads(server.get(f"/.driblet/head?since={head['counter']}&wait=60"))
        times.append(time.clock_gettime(clock) - begin)
        manifest.write_bytes(server.get(f"/.driblet/manifest/{head['version']}"))
        ratios.append(times[-1] / run([b3sum(), "--num-threads", "1", "--no-mmap", manifest]).cpu)
    what = f"{files:,} files, one edited while the server watches: its CPU time"
    yield row(what, times, "s", ("<=", limit), "GET /.driblet/head?since=COUNTER&wait=60")
    yield row(f"{what} / b3sum of the manifest", ratios, "ratio", command="b3sum --num-threads 1 --no-mmap MANIFEST")


def followed_in_small(setting, text):
    folder = setting.fresh("served10k")
    tree(folder, text, FILES // 10)
    time.sleep(2.1)  # the stamps of the last files can be trusted
    with driblet(setting.driblet, folder, setting.fresh("history10k")) as server:
        patient(server, "/.driblet/head")
        yield from followed(setting, server, folder, FILES // 10, 0.020)


def settled(server, folder):
    """Waits until what the folder has is published."""
    time.sleep(0.5)
    server.get("/.driblet/head")


def pull(setting, server, target):
    ended = run([setting.driblet, "pull", f"{server.url}/", target, "--stats", "json"])
    return json.loads(ended.stdout), ended.wall, ended.memory


def rsync(peer, target, *options):
    begin = time.perf_counter()
    run(["rsync", *options, "--delete", peer.url, f"{target}/"])
    run(["sync", "-f", target])
    return time.perf_counter() - begin


def rsync_bytes(peer, target, *options):
    said = run(["rsync", *options, "--delete", "--stats", peer.url, f"{target}/"]).stdout
    return sum(int(number.replace(b",", b"")) for number in TRANSFERRED.findall(said))


def both_ways(stats):
    return stats["sent"] + stats["received"]


def same(one, other):
    run(["diff", "-r", "-q", one, other])
