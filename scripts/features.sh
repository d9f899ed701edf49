#!/usr/bin/env bash
# Lints the published libraries with each Cargo feature alone, with each pair, and without any. Tests those of the core.
set -euo pipefail
cd "$(dirname "$0")/.."
# lint PACKAGE FEATURES: without warnings. Only the package itself is compiled for it, and not its dependencies again.
lint() {
  echo "$1 with ${2:-no feature}"
  cargo clippy --quiet --locked --package "$1" --no-default-features --features "$2" --lib --tests -- -D warnings
}
# try PACKAGE FEATURES [TESTS]: without warnings, and with its tests.
try() {
  lint "$1" "$2"
  # shellcheck disable=SC2086
  cargo test --quiet --locked --package "$1" --no-default-features --features "$2" ${3:---lib --tests}
}
# Vectors and tests have deltas in these two codecs.
for features in "" browser-sync-stream dense containers; do lint driblet-core "$features"; done
try driblet-core dense,containers
# The property tests take longest, and are the same with all features.
try driblet-core encode "--lib --test vectors"
try driblet ""
# Features add code to this crate and change none: that it compiles shows that it does not need the others. Its tests
# run with all features.
for features in server client browser-sync-stream server,client server,browser-sync-stream client,browser-sync-stream acme; do
  lint driblet "$features"
done
