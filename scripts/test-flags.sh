#!/usr/bin/env bash
# Compares evaluations of random flags and contexts with those of npm's @openfeature/flagd-core, 4.0.1, and fails on a difference
# that has no rule in crates/flags/examples/oracle/differences.rs.
#
# STRONGROOM_TEST_SCALE multiplies the 5,000 cases, STRONGROOM_TEST_SEED makes others. What cannot be had is told as NOT RUN.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/tools.sh

missing() {
    not_run 'flags compared with flagd-core' "$1"
    exit 0
}

{ command -v node && command -v npm; } >/dev/null || missing 'it needs Node.js 20 with npm'
clients=$PWD/tests/clients/flags
node=$tools/flags
mkdir -p "$node"
if ! cmp -s "$clients/package.json" "$node/installed.json"; then
    cp "$clients/package.json" "$node/"
    npm install --silent --fetch-retries 1 --no-fund --no-audit --no-package-lock --ignore-scripts --prefix "$node" >/dev/null ||
        missing 'npm cannot install flagd-core'
    cp "$clients/package.json" "$node/installed.json"
fi
cp "$clients"/*.mjs "$node/"
cases=$(awk "BEGIN { print int(5000 * ${STRONGROOM_TEST_SCALE:-1} + 0.5) }")
cargo run --quiet --locked --package strongroom-flags --example oracle -- "$node" "$cases" "${STRONGROOM_TEST_SEED:-1}"
