"""How far dense deltas of small pairs are from what a strong context mixer makes of the two files, which takes hours.

The mixer is paq8px (https://github.com/hxim/paq8px), built beside the repository; PAQ8PX is the path of its program. What it
made once is kept in data/.work/floor.json.
"""

import hashlib
import json
import os
import shutil
import statistics

from corpus.kinds import PAIRS
from measure.process import run
from measure.report import row, table
from measure.setting import HERE

from sections.deltas import DIFF

# The most bytes of both files: the mixer takes 4 to 8 KB a second.
LONGEST = 1_050_000
# Level 6 takes 0.8 GB. None of the options that load what was learned from other files.
LEVEL = "-6"
# The mixer does not see through these kinds.
OPAQUE = ("base64", "tgz", "wheel", "packed")
KEPT = HERE / "data" / ".work" / "floor.json"


def measure(setting):
    lines, ratios = [], {True: [], False: []}
    for pair in PAIRS:
        old, new = pair.files(HERE / "data")
        if pair.kind in OPAQUE or LONGEST < old.stat().st_size + new.stat().st_size:
            continue
        floor = floor_of(setting, pair.name, old.read_bytes(), new.read_bytes())
        delta = setting.fresh(f"floor/{pair.name}") / "delta"
        sizes = {}
        for codec in ("dense", "fast"):
            run([setting.driblet, "diff", old, new, "--codec", codec, "-o", delta])
            sizes[codec] = delta.stat().st_size
        ratios[pair.is_held_out].append(sizes["dense"] / floor)
        half = "held out" if pair.is_held_out else "chosen by"
        shown = [f"{size:,}" for size in (floor, sizes["dense"], sizes["fast"])]
        lines.append([pair.name, pair.kind, half, *shown, f"{sizes['dense'] / floor:.2f}"])
    for held_out, half in ((True, "held out"), (False, "chosen by")):
        title = f"dense / floor, {half}, geometric mean"
        yield row(title, statistics.geometric_mean(ratios[held_out]), "ratio", None, DIFF)
    yield table(
        "Bytes, of pairs whose files have up to 1.05 MB together",
        ["pair", "kind", "half", "floor", "dense", "fast", "dense / floor"],
        lines,
    )


def floor_of(setting, name, old, new):
    """The bytes that the mixer needs for both files in a row, less those for the old one."""
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    key = hashlib.sha256(old + new).hexdigest()
    if key not in kept:
        work = setting.fresh(f"floor/{name}")
        kept[key] = mixed(work, old + new) - mixed(work, old)
        KEPT.parent.mkdir(parents=True, exist_ok=True)
        KEPT.write_text(json.dumps(kept, indent=1))
    return kept[key]


def mixed(work, content):
    """The bytes that the mixer makes of these."""
    mixer = shutil.which(os.environ.get("PAQ8PX", "paq8px"))
    if mixer is None:
        raise RuntimeError("no paq8px: build https://github.com/hxim/paq8px and set PAQ8PX to its program")
    (work / "in").write_bytes(content)
    run([mixer, LEVEL, "in", "out"], cwd=work)
    found = next(work.glob("out*"))
    size = found.stat().st_size
    found.unlink()
    return size
