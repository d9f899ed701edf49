#!/usr/bin/env bash
# Everything that must hold, in the order in which it fails fastest. Installs what it needs first.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh
target=${CARGO_TARGET_DIR:-target}

step "set-up"
rustup component add rustfmt clippy >/dev/null 2>&1 || true
scripts/setup.sh wasm browser proxies acme ntfs python npm

step "the browser client"
scripts/wasm.sh
(cd npm && npm run --silent build)

# check.sh times its own steps.
end_step
scripts/check.sh

step "documentation, API, dependencies"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --quiet
scripts/public-api.sh
scripts/dependencies.sh

step "each Cargo feature alone"
scripts/features.sh

step "Rust: property tests, vectors, servers and clients"
# Files whose cut points are in spec/rabin-cuts.json.
bench/corpus/make.sh bench/data three-module-minor sqljs-wasm-minor typescript-patch
cargo test --locked --workspace
# The fuzz targets build; `make test-long` runs them.
cargo check --quiet --locked --manifest-path fuzz/Cargo.toml --target-dir "$target/fuzz"

step "Python: the oracle and its vectors"
.venv/bin/python spec/test_reference.py

step "JavaScript: wasm in Node, pages in browsers, the package as installed"
# The binary that the Rust tests ran: nothing is compiled twice.
cargo build --locked --workspace
bin=$(cd "$target/debug" && pwd)/driblet
(cd npm && DRIBLET_BIN=$bin npm test --silent)
report_steps
