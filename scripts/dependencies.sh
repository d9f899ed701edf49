#!/usr/bin/env bash
# What driblet may depend on: the core's own list, and for all crates licences, sources and known vulnerabilities (deny.toml).
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}

# The core does no I/O, so its dependencies are a list that is changed on purpose.
found=$(cargo tree --locked -p driblet-core -e normal --all-features --prefix none --format '{p}' | awk '{print $1}' | sort -u)
if ! diff <(echo "$found") crates/core/dependencies.txt; then
  echo "dependencies.sh: the core's dependencies differ from crates/core/dependencies.txt (left: now)" >&2
  exit 1
fi

scripts/setup.sh deny
deny=("$target/tools/bin/cargo-deny" --log-level error)
"${deny[@]}" check licenses bans sources
# The database of vulnerabilities is fetched from GitHub. Where that cannot be reached, an earlier copy serves.
if "${deny[@]}" fetch db 2>/dev/null; then
  "${deny[@]}" check advisories
elif compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs/*/" >/dev/null; then
  echo "dependencies.sh: GitHub cannot be reached; advisories are checked with an earlier copy"
  "${deny[@]}" --offline check advisories
else
  echo "dependencies.sh: advisories are NOT checked: GitHub cannot be reached, and there is no earlier copy"
fi
