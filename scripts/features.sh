#!/usr/bin/env bash
# Builds and tests each Cargo feature of the published libraries alone, and without any.
set -euo pipefail
cd "$(dirname "$0")/.."
# try PACKAGE FEATURES: without warnings, and with its tests.
try() {
  echo "$1 with ${2:-no feature}"
  RUSTFLAGS="-D warnings" cargo test --quiet --locked --package "$1" --no-default-features --features "$2" --lib --tests
}
for features in "" encode browser-sync-stream; do try driblet-core "$features"; done
for features in "" server client browser-sync-stream; do try driblet "$features"; done
