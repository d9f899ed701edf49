#!/usr/bin/env bash
# What takes longer than a change should wait for: the largest directories, and fuzzing with coverage, ten minutes or
# SECONDS for each target.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

step "a directory of 100,000 files, and one with a file of 1 GiB"
cargo test --locked --package driblet-cli --test directories_large -- --ignored --test-threads=1

step "fuzzing"
scripts/fuzz.sh "${1:-600}"
report_steps
