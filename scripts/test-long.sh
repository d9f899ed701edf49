#!/usr/bin/env bash
# What takes longer than a change should wait for: fuzzing with coverage, ten minutes or SECONDS for each target.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

step "fuzzing"
scripts/fuzz.sh "${1:-600}"
report_steps
