"""hdiff.py diff OLD NEW OUT, or patch OLD DELTA OUT: HDiffPatch's delta, under whichever of three compressors makes it smallest."""

import lzma
import sys
from pathlib import Path

import brotli
import hdiffpatch
import zstandard

COMPRESSORS = {
    b"b": (lambda data: brotli.compress(data, quality=11, lgwin=24), brotli.decompress),
    b"z": (zstandard.ZstdCompressor(level=22).compress, lambda data: zstandard.ZstdDecompressor().decompress(data)),
    b"x": (lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME), lzma.decompress),
}

command, old, other, out = sys.argv[1], *map(Path, sys.argv[2:])
if command == "diff":
    plain = hdiffpatch.diff(old.read_bytes(), other.read_bytes(), validate=False)
    packed = {name: pack(plain) for name, (pack, _) in COMPRESSORS.items()}
    name = min(packed, key=lambda name: len(packed[name]))
    out.write_bytes(name + packed[name])
else:
    packed = other.read_bytes()
    out.write_bytes(hdiffpatch.apply(old.read_bytes(), COMPRESSORS[packed[:1]][1](packed[1:])))
