#!/usr/bin/env bash
# What every commit must pass: format, lints, types and unit tests. Seconds once everything is built; `make test` runs the rest.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

step "set-up"
scripts/setup.sh python npm

step "format"
cargo fmt --all --check
scripts/prose.sh

step "lints"
cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
.venv/bin/ruff check --quiet
.venv/bin/ruff format --check --quiet
(cd npm && npm run --silent lint && npm run --silent circles && npm run --silent check)
scripts/import-circles.py crates/*

step "unit tests"
cargo test --locked --workspace --lib --bins --quiet
report_steps
