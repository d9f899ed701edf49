#!/usr/bin/env bash
# Markdown is wrapped at one width, which .mdformat.toml sets: prose.sh [--write]
set -euo pipefail
cd "$(dirname "$0")/.."
check=(--check)
if [ "${1:-}" = --write ]; then check=(); fi
git ls-files -z '*.md' ':!bench/RESULTS.md' | xargs -0 .venv/bin/mdformat "${check[@]}"
