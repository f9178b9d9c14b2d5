#!/usr/bin/env bash
# Resolve the ranges of pyproject.toml in a fresh environment and write down exactly what came.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-$(command -v python3.11 || command -v python3)}
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$python" -m venv "$fresh"
# torch first: with a CPU build in place nothing pulls the CUDA one.
"$fresh/bin/pip" install --quiet torch==2.13.0
"$fresh/bin/pip" install --quiet setuptools wheel '.[dev]'
freeze() { "$fresh/bin/pip" freeze --all | grep -vE '^(interlace|pip)([ =@]|$)' | sed -E 's/^(torch==[0-9.]+)\+cpu/\1/'; }
freeze > requirements.lock
"$fresh/bin/pip" install --quiet -c requirements.lock '.[bench]'
freeze | comm -13 <(sort requirements.lock) <(sort /dev/stdin) > benchmarks/requirements.lock
wc -l requirements.lock benchmarks/requirements.lock
