"""HDiffPatch's delta, under whichever compressor makes it smallest: `hdiff.py diff OLD NEW OUT`, `patch OLD DELTA OUT`, or `sweep OLD NEW OUT` for the smallest over its minimal scores of a match and its formats."""

import lzma
import subprocess
import sys
import tempfile
from pathlib import Path

import brotli
import hdiffpatch
import zstandard

NATIVE = Path(sys.prefix).parent / "hdiff"
SCORES = [0, 1, 2, 3, 4, 6, 8, 10, 12]
# Those of files above LARGE bytes, whose sweep would take minutes.
FEW_SCORES = [4, 8, 12]
LARGE = 20_000_000
# Deltas up to this many bytes: two of each format are tried with all compressors, those that LZMA makes smallest; above, one.
SMALL = 200_000


def raw_lzma(lc):
    """LZMA without a container, which would add some 50 bytes; deltas have no alignment, so that no bits of the position help."""
    filters = [{"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME, "lc": lc, "pb": 0}]
    return (
        lambda data: lzma.compress(data, format=lzma.FORMAT_RAW, filters=filters),
        lambda data: lzma.decompress(data, format=lzma.FORMAT_RAW, filters=filters),
    )


def in_sections(delta):
    """Each section compressed on its own, as hdiffz does it; one stream has no sections."""
    if delta.startswith(b"HDIFF13"):
        return hdiffpatch.recompress(delta, hdiffpatch.BrotliConfig(level=11, window=24))
    return delta


# The delta begins with the index of the one it is packed by.
COMPRESSORS = [
    (lambda data: brotli.compress(data, quality=11, lgwin=24), brotli.decompress),
    (zstandard.ZstdCompressor(level=22).compress, lambda data: zstandard.ZstdDecompressor().decompress(data)),
    *(raw_lzma(lc) for lc in [3, 4, 2, 1, 0]),
    (in_sections, lambda data: data),
]
QUICK, _ = raw_lzma(3)


def diffs(old, new, sweeps):
    """Deltas, uncompressed: under the default score, and perhaps others."""
    before, after = old.read_bytes(), new.read_bytes()
    plain = hdiffpatch.diff(before, after, validate=False)
    yield plain
    if not sweeps:
        return
    scores = SCORES if max(len(before), len(after)) <= LARGE else FEW_SCORES
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([NATIVE, "diff", old, new, Path(work, "delta"), *map(str, scores)], check=True)
        for kind in ["13", "SF"]:
            made = [Path(work, f"delta.{score}.{kind}").read_bytes() for score in scores]
            yield from sorted(made, key=lambda delta: len(QUICK(delta)))[: 2 if len(plain) <= SMALL else 1]


def smallest(deltas):
    return min(
        (bytes([index]) + pack(delta) for delta in deltas for index, (pack, _) in enumerate(COMPRESSORS)), key=len
    )


def patch(old, packed, out):
    _, unpack = COMPRESSORS[packed[0]]
    delta = unpack(packed[1:])
    if not delta.startswith(b"HDIFFSF"):
        out.write_bytes(hdiffpatch.apply(old.read_bytes(), delta))
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(delta)
        file.flush()
        subprocess.run([NATIVE, "patch", old, file.name, out], check=True)


command, old, other, out = sys.argv[1], *map(Path, sys.argv[2:])
if command == "patch":
    patch(old, other.read_bytes(), out)
else:
    out.write_bytes(smallest(diffs(old, other, command == "sweep")))
