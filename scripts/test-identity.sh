#!/usr/bin/env bash
# Logs in to the real program with tokens of PyJWT and npm's jose under an HTTPS issuer, with the claims of GitHub and GitLab, with
# JWT-SVIDs, and with a browser and on a device through npm's oidc-provider; and has PyJWT and jose verify what the program issues.
#
# STRONGROOM_PROGRAM names a built program. What cannot be had is told as NOT RUN.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/tools.sh

missing() {
    not_run 'logins by PyJWT, jose and oidc-provider' "$1"
    exit 0
}

{ python3 -c 'import tomllib, venv' 2>/dev/null && python_tools; } || missing 'it needs Python 3.11 with venv, and packages from PyPI'
{ command -v node && command -v npm; } >/dev/null || missing 'it needs Node.js 20 with npm'
clients=$PWD/tests/clients/identity
node=$tools/identity
mkdir -p "$node"
if ! cmp -s "$clients/package.json" "$node/installed.json"; then
    cp "$clients/package.json" "$node/"
    npm install --silent --fetch-retries 1 --no-fund --no-audit --no-package-lock --ignore-scripts --prefix "$node" >/dev/null ||
        missing 'npm cannot install jose and oidc-provider'
    cp "$clients/package.json" "$node/installed.json"
fi
cp "$clients"/*.mjs "$node/"
find_program
"$(realpath "$tools/python/bin")/python" "$clients/run.py" "$program" "$(realpath "$node")"
