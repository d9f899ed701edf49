#!/usr/bin/env bash
# Everything that must hold, in the order in which it fails fastest. Installs what it needs first.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

step "set-up"
rustup component add rustfmt clippy >/dev/null 2>&1 || true
scripts/setup.sh wasm browser proxies python npm

step "the browser client"
scripts/wasm.sh
(cd npm && npm run --silent build && npm run --silent check)

step "format, lints, docs"
cargo fmt --all --check
cargo clippy --locked --workspace --all-targets -- -D warnings
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
scripts/core-dependencies.sh

step "Rust: unit, property, vectors, servers and clients"
# Files whose cut points are in spec/rabin-cuts.json.
bench/corpus/make.sh bench/data three-module-minor sqljs-wasm-minor typescript-patch
cargo test --locked --workspace

step "Fuzzing: a minute"
scripts/fuzz.sh 20

step "Python: the oracle and its vectors"
.venv/bin/python spec/test_reference.py

step "JavaScript: wasm in Node, pages in Chromium, the package as installed"
# The binary that the Rust tests ran: nothing is compiled twice.
cargo build --locked -p driblet-cli
bin=$(cd "$target/debug" && pwd)/driblet
(cd npm && DRIBLET_BIN=$bin npm test --silent)
