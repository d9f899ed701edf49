#!/usr/bin/env bash
# Builds the fuzz targets with libFuzzer's coverage and runs each for some seconds: fuzz.sh [SECONDS] [TARGET ...]
# (`cargo fuzz run TARGET` does the same on a nightly toolchain, with sanitizers.)
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
seconds=${1:-20}
shift || true
if [ $# = 0 ]; then set -- decode containers pair answers browser_sync_stream directories; fi
target=${CARGO_TARGET_DIR:-../target}/fuzz
RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks" \
  cargo build --quiet --release --locked --target-dir "$target" --target "$(rustc -vV | sed -n 's/^host: //p')"
for name in "$@"; do
  mkdir -p "$target/corpus/$name"
  echo "fuzzing $name for $seconds s"
  (cd "$target" && "./$(rustc -vV | sed -n 's/^host: //p')/release/$name" -max_total_time="$seconds" -max_len=20000 -timeout=10 \
    -rss_limit_mb=1024 -verbosity=0 -print_final_stats=1 "corpus/$name" 2>&1 | grep -E "executed_units|ERROR|panicked|Test unit" ) || exit 1
done
