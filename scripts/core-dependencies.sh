#!/usr/bin/env bash
# The core does no I/O: what it may depend on is a list that is changed on purpose.
set -euo pipefail
cd "$(dirname "$0")/.."
found=$(cargo tree --locked -p driblet-core -e normal --all-features --prefix none --format '{p}' | awk '{print $1}' | sort -u)
if ! diff <(echo "$found") crates/core/dependencies.txt; then
  echo "core-dependencies.sh: the core's dependencies differ from crates/core/dependencies.txt (left: now)" >&2
  exit 1
fi
