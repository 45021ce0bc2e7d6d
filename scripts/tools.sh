# shellcheck shell=bash
# For the scripts beside it, which read it with `source`: the tools that a fresh machine lacks, and the program to try.

tools=${CARGO_TARGET_DIR:-target}/tools
mkdir -p "$tools"

# A check that cannot be made here is told, never passed over.
not_run() {
    printf 'NOT RUN: %s: %s\n' "$1" "$2" >&2
}

# Makes a virtualenv with the checkers, again when their versions change. Its programs are in $tools/python/bin.
python_tools() {
    cmp -s scripts/requirements.txt "$tools/python/requirements.txt" && return
    rm -rf "$tools/python"
    python3 -m venv "$tools/python" &&
        "$tools/python/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r scripts/requirements.txt &&
        cp scripts/requirements.txt "$tools/python/requirements.txt"
}

# npm_tool NAME VERSION: its program is then in $tools/npm/node_modules/.bin.
npm_tool() {
    [[ -e $tools/npm/$1-$2 ]] && return
    mkdir -p "$tools/npm"
    npm install --silent --fetch-retries 1 --no-fund --no-audit --no-save --ignore-scripts --prefix "$tools/npm" "$1@$2" >/dev/null &&
        touch "$tools/npm/$1-$2"
}

# debian_tool PROGRAM PACKAGE: installs the package where the program is missing, without starting the services in it.
debian_tool() {
    command -v "$1" >/dev/null && return
    [[ $(id -u) -eq 0 ]] && command -v apt-get >/dev/null || return
    echo "Installing Debian's $2."
    local policy=/usr/sbin/policy-rc.d kept='' status=0
    if [[ -e $policy ]]; then
        kept=$(mktemp)
        cp -p "$policy" "$kept"
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
        -o DPkg::Lock::Timeout=60 "$2"; } >"$tools/apt.log" 2>&1 || status=$?
    if [[ -n $kept ]]; then mv "$kept" "$policy"; else rm -f "$policy"; fi
    [[ $status -eq 0 ]] || tail -n 5 "$tools/apt.log" >&2
    return "$status"
}

# shellcheck disable=SC2034 # whoever reads this file uses it
# Sets 'program' to the one that STRONGROOM_PROGRAM names, or builds one with the Dockerfile's own command.
find_program() {
    if [[ -n ${STRONGROOM_PROGRAM:-} ]]; then
        program=$(realpath -e "$STRONGROOM_PROGRAM")
        return
    fi
    local build
    build=$(sed -n 's/^ *\(cargo build .*[^ \\]\) *\\*$/\1/p' Dockerfile)
    echo "Building as the Dockerfile does: $build"
    $build
    program=$(realpath -e "${CARGO_TARGET_DIR:-target}/release/strongroom")
}
