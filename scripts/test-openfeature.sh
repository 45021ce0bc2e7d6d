#!/usr/bin/env bash
# Has OpenFeature's own clients ask the real program for flags: the SDKs for Node.js and Python with their OFREP providers, and the one for
# React in Debian's Chromium, which is told of changes by a stream.
#
# STRONGROOM_PROGRAM names a built program. What cannot be had is told as NOT RUN.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/tools.sh

missing() {
    not_run "flags by OpenFeature's clients" "$1"
    exit 0
}

{ python3 -c 'import venv' 2>/dev/null && python_tools; } || missing 'it needs Python 3.11 with venv, and packages from PyPI'
{ command -v node && command -v npm; } >/dev/null || missing 'it needs Node.js 20 with npm'
clients=$PWD/tests/clients/openfeature
node=$tools/openfeature
mkdir -p "$node"
if ! cmp -s "$clients/package.json" "$node/installed.json"; then
    cp "$clients/package.json" "$node/"
    npm install --silent --fetch-retries 1 --no-fund --no-audit --no-package-lock --ignore-scripts --prefix "$node" >/dev/null ||
        missing "npm cannot install OpenFeature's clients"
    cp "$clients/package.json" "$node/installed.json"
fi
cp "$clients"/*.{mjs,jsx,py} "$node/"
if ! debian_tool chromium chromium; then
    not_run 'flags by React in a browser' 'there is no chromium, and no root to install it'
fi
find_program
"$(realpath "$tools/python/bin")/python" "$clients/run.py" "$program" "$(realpath "$node")" "$(command -v chromium || true)"
