#!/usr/bin/env bash
# Runs every test against a throw-away PostgreSQL and removes it afterwards. With `all` as the first argument also those
# that need other programs than PostgreSQL; what such a test lacks is told as NOT RUN, but MariaDB and Redis have to be there.
# Further arguments are passed on to `cargo test`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

all=''
if [[ ${1:-} == all ]]; then
    all=yes
    shift
fi

# Prints the folder of PostgreSQL's server programs: from PATH, or the newest that Debian's packages installed.
find_postgres() {
    local program folder
    if program=$(command -v postgres) && [[ -x $(dirname "$program")/initdb ]]; then
        dirname "$program"
        return
    fi
    folder=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
    [[ -x $folder/postgres && -x $folder/initdb ]] && echo "$folder"
}

# Installs Debian's package without starting its service and without making its default cluster.
install_postgres() {
    if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
        echo "scripts/test.sh needs PostgreSQL's server programs (initdb, postgres, psql)." >&2
        echo "On Debian and Ubuntu: sudo apt-get install postgresql. Elsewhere: install PostgreSQL 13 or newer and put its bin folder on PATH." >&2
        exit 1
    fi
    echo "Installing Debian's postgresql for the tests."
    local policy=/usr/sbin/policy-rc.d kept='' status=0
    if [[ -e $policy ]]; then
        kept=$(mktemp)
        cp -p "$policy" "$kept"
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    mkdir -p /etc/postgresql-common
    echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
    { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold postgresql; } || status=$?
    if [[ -n $kept ]]; then mv "$kept" "$policy"; else rm -f "$policy"; fi
    return "$status"
}

if ! bin=$(find_postgres); then
    install_postgres
    bin=$(find_postgres)
fi
PATH="$bin:$PATH"

# PostgreSQL refuses to run as root.
as_user=()
owner=$(id -un)
if [[ $(id -u) -eq 0 ]]; then
    if id -u postgres >/dev/null 2>&1; then owner=postgres; else owner=nobody; fi
    as_user=(setpriv "--reuid=$(id -u "$owner")" "--regid=$(id -g "$owner")" --clear-groups)
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/strongroom-test.XXXXXX")
chown "$owner" "$folder"

remove_cluster() {
    # pg_ctl stops the process whose id stands in the data folder's pid file, and no other.
    if [[ -e $folder/data/postmaster.pid ]]; then
        (cd "$folder" && "${as_user[@]}" "$bin/pg_ctl" --pgdata="$folder/data" --mode=immediate --silent stop) || true
    fi
    rm -rf "$folder"
}
trap remove_cluster EXIT

(cd "$folder" && "${as_user[@]}" "$bin/initdb" --pgdata="$folder/data" --username=postgres --auth=trust --encoding=UTF8 \
    --locale=C --no-sync >/dev/null)

# fsync and full_page_writes stay on: the program refuses to start on a database without them. The port lies below those
# that the system hands out, and another one is tried where somebody has it.
started=''
for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    if (cd "$folder" && "${as_user[@]}" "$bin/pg_ctl" --pgdata="$folder/data" --log="$folder/log" --silent --wait start -o \
        "-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='$folder' -c max_connections=300 -c dynamic_shared_memory_type=mmap"); then
        started=yes
        break
    fi
done
if [[ -z $started ]]; then
    echo "The throw-away PostgreSQL does not start:" >&2
    cat "$folder/log" >&2
    exit 1
fi

if [[ -n $all ]]; then
    source scripts/tools.sh
    # Where they cannot be had, the tests that need them say so.
    debian_tool mariadbd mariadb-server || true
    debian_tool redis-server redis-server || true
    export STRONGROOM_TEST_ALL=yes
fi

export STRONGROOM_TEST_POSTGRES_URL="postgres://postgres@127.0.0.1:$port/postgres"
cargo xtask sqlx --check
# Two more programs, for tests: the one of tomorrow, and one that is stopped at fail points.
build() {
    local began=$SECONDS
    cargo build --quiet --locked --package strongroom --features "$1" --bin "$2"
    echo "$2 was built in $((SECONDS - began)) s."
}
build next-schema strongroom-next
build failpoints strongroom-faults
programs=$(realpath "${CARGO_TARGET_DIR:-target}/debug")
export STRONGROOM_NEXT_PROGRAM="$programs/strongroom-next" STRONGROOM_FAULTS_PROGRAM="$programs/strongroom-faults"
# All of them, whichever fails.
cargo test --workspace --locked --no-fail-fast "$@"
if [[ -n $all ]]; then
    # The tests built it.
    export STRONGROOM_PROGRAM="$programs/strongroom"
    scripts/test-api.sh
    scripts/test-flags.sh
    scripts/test-openfeature.sh
    scripts/test-identity.sh
    scripts/test-deploy.sh
fi
