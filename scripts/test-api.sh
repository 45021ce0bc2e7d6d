#!/usr/bin/env bash
# Sends what schemathesis makes of the API's description to the real program on both stores: no answer is a 5xx, none has
# a status that the description does not name, and every operation succeeds at least once.
#
# STRONGROOM_PROGRAM names a built program; STRONGROOM_TEST_POSTGRES_URL a server where a database may be created.
# STRONGROOM_TEST_SCALE multiplies the 20 examples an operation, STRONGROOM_TEST_SEED repeats a run. What cannot be had is told as NOT RUN.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/tools.sh

if ! python3 -c 'import tomllib, venv' 2>/dev/null || ! python_tools; then
    not_run 'schemathesis on both stores' 'it needs Python 3.11 with venv, and packages from PyPI'
    exit 0
fi
find_program
folder=$PWD/tests/clients/schemathesis
python=$(realpath "$tools/python/bin")
work=$(mktemp -d "${TMPDIR:-/tmp}/strongroom-api.XXXXXX")
server='' database=''

stop() {
    [[ -z $server ]] || { kill "$server" && wait "$server"; } || true
    server=''
    [[ -z $database ]] || psql --no-psqlrc --quiet "$STRONGROOM_TEST_POSTGRES_URL" --command "DROP DATABASE $database WITH (FORCE)"
    database=''
}
trap 'stop; rm -rf "$work"' EXIT

examples=$(awk "BEGIN { print int(20 * ${STRONGROOM_TEST_SCALE:-1} + 0.5) }")
seed=${STRONGROOM_TEST_SEED:-$RANDOM$RANDOM}
# All but those that know better than the design: a request is read before its token is.
checks=not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance
checks+=,response_headers_conformance,unsupported_method,allow_header_conformance,ignored_auth
failed=()

# run_on STORE [VARIABLE=VALUE]: a program of its own on a port that the system gives.
run_on() {
    local store=$1 data=$work/$1 address='' status=0 began=$SECONDS
    shift
    mkdir "$data"
    # It is refused thousands of times from one address.
    env STRONGROOM_LIMITS_FAILED_PER_SOURCE_PER_MINUTE=0 STRONGROOM_LIMITS_LOGIN_DELAY=0 "$@" "$program" dev --data-dir "$data/data" --listen 127.0.0.1:0 >"$data/out" 2>"$data/log" &
    server=$!
    until [[ -n $address ]]; do
        kill -0 "$server" || { cat "$data/log" >&2 && return 1; }
        sleep 0.1
        address=$(sed -n 's#.*ready on \(http://[^ ]*\)\. .*#\1#p' "$data/out")
    done
    STRONGROOM_TOKEN=$(cat "$data/data/root-token")
    export STRONGROOM_ADDR=$address STRONGROOM_TOKEN STRONGROOM_ANSWERS=$data/answers.json
    curl --silent --fail "$address/api/v1/openapi.json" >"$data/openapi.json"
    (cd "$data" && PYTHONPATH=$folder SCHEMATHESIS_HOOKS=hooks "$python/schemathesis" run "$data/openapi.json" --url "$address" \
        --no-color --warnings off \
        --phases examples,coverage,fuzzing --max-examples "$examples" --continue-on-failure --generation-database none \
        --seed "$seed" --checks "$checks") >"$data/report" 2>&1 || { status=$? && sed 's/^/    /' "$data/report" >&2; }
    "$python/python" "$folder/verdict.py" "$data/openapi.json" "$STRONGROOM_ANSWERS" || status=$?
    echo "schemathesis on $store: $examples examples an operation, seed $seed, $((SECONDS - began)) s"
    [[ $status -eq 0 ]] || failed+=("$store")
    stop
}

run_on sqlite
if [[ -n ${STRONGROOM_TEST_POSTGRES_URL:-} ]]; then
    database=strongroom_api_$$
    psql --no-psqlrc --quiet "$STRONGROOM_TEST_POSTGRES_URL" --command "CREATE DATABASE $database TEMPLATE template0"
    run_on postgres "STRONGROOM_DATABASE_URL=${STRONGROOM_TEST_POSTGRES_URL%/*}/$database"
else
    not_run 'schemathesis on PostgreSQL' 'STRONGROOM_TEST_POSTGRES_URL names no server'
fi
[[ ${#failed[@]} -eq 0 ]] || { echo "FAILED: schemathesis on ${failed[*]}" >&2 && exit 1; }
