#!/bin/bash
# peers.sh: installs the peers of `run.py deltas`, `kinds` and `unknown`: rsync, zsync, nginx, zstd, xdelta3 and bsdiff from the system's packages, bita from its crate; into bench/data/.work/peers
# brotli 1.2 built from the sources in its Python package (shared dictionaries came with 1.1), HDiffPatch and compressors as Python packages,
# and measure/hdiff.cpp with the sources in HDiffPatch's package, which itself has neither a minimal score nor the format of one stream.
set -euo pipefail
bench=$(cd "$(dirname "$0")" && pwd)
peers=$bench/data/.work/peers
for tool in rsync zsync nginx zstd xdelta3 bsdiff g++; do
  command -v "$tool" > /dev/null || apt-get install -y -qq "$tool" > /dev/null
done
tools=$peers/../tools
[ -e "$tools/bin/bita" ] || cargo install -q bita --locked --root "$tools"
mkdir -p "$peers"
if [ ! -e "$peers/python/bin/python" ]; then
  python3 -m venv "$peers/python"
  "$peers/python/bin/pip" install -q hdiffpatch==2.6.0 brotli==1.2.0 zstandard==0.25.0
fi
if [ ! -e "$peers/brotli" ]; then
  "$peers/python/bin/pip" download -q --no-deps --no-binary :all: brotli==1.2.0 -d "$peers/source"
  tar xzf "$peers/source/brotli-1.2.0.tar.gz" -C "$peers/source"
  cd "$peers/source/brotli-1.2.0/c"
  cc -O2 -Iinclude common/*.c dec/*.c enc/*.c tools/brotli.c -lm -o "$peers/brotli"
fi
if [ "$bench/measure/hdiff.cpp" -nt "$peers/hdiff" ]; then
  "$peers/python/bin/pip" download -q --no-deps --no-binary :all: hdiffpatch==2.6.0 -d "$peers/source"
  tar xzf "$peers/source/hdiffpatch-2.6.0.tar.gz" -C "$peers/source"
  cd "$peers/source/hdiffpatch-2.6.0/hdiffpatch/_c_src/HDiffPatch"
  mapfile -t sources < <(find libHDiffPatch libParallel -name '*.c' -o -name '*.cpp')
  g++ -std=c++17 -O2 -w -fpermissive -pthread -D_IS_OUT_DIFF_INFO=0 -I. -IlibHDiffPatch "$bench/measure/hdiff.cpp" "${sources[@]}" -o "$peers/hdiff"
fi
