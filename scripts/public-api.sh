#!/usr/bin/env bash
# Compares the public items of each published library with its public-api.txt: public-api.sh [--write]
#
# A change of the API is a change of that file in the same commit. rustdoc's JSON is not stable yet, hence RUSTC_BOOTSTRAP.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
tool=$target/tools/debug/print-public-api
cargo build --quiet --locked --manifest-path scripts/public-api/Cargo.toml --target-dir "$target/tools"
code=0
for crate in core:driblet-core driblet:driblet; do
  folder=crates/${crate%%:*} package=${crate##*:}
  RUSTC_BOOTSTRAP=1 cargo rustdoc --quiet --locked --package "$package" --lib --all-features -- -Z unstable-options --output-format json --cap-lints allow
  "$tool" "$target/doc/${package//-/_}.json" >"$target/public-api.txt"
  if [ "${1:-}" = --write ]; then
    mv "$target/public-api.txt" "$folder/public-api.txt"
  elif ! diff -u "$folder/public-api.txt" "$target/public-api.txt"; then
    echo "public-api.sh: the API of $package differs from $folder/public-api.txt; if that is meant, run scripts/public-api.sh --write" >&2
    code=1
  fi
done
exit $code
