#!/usr/bin/env bash
# Runs what docker-compose.yml says without a container engine, and proves that it serves: its services in its order,
# with its commands, variables, files, secrets and users, each on a read-only root and without any privilege.
#
# The root of our own image is put together from the Dockerfile and this machine's libraries; PostgreSQL and HAProxy are
# this machine's. There is a loopback network and nothing else, and processes, mounts and files end with the script.
# STRONGROOM_PROGRAM names a built program; without it the Dockerfile's build command runs, which takes minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/tools.sh

give_up() {
    not_run 'container test' "$1"
    exit 77
}

if [[ ${1:-} != --inside ]]; then
    [[ $(id -u) -eq 0 ]] || give_up 'only root can take other users and make mounts'
    unshare --mount --net --pid --ipc --uts --fork true || give_up 'namespaces cannot be made here'
    for needed in ip setpriv; do
        command -v "$needed" >/dev/null || give_up "there is no '$needed'"
    done
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || give_up "PostgreSQL's server programs are missing"
    debian_tool haproxy haproxy || give_up 'there is no haproxy'
    python_tools || give_up 'a reader of YAML cannot be had from PyPI'
    find_program

    work=$(mktemp -d "${TMPDIR:-/tmp}/strongroom-container.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    export program work
    unshare --mount --net --pid --ipc --uts --fork --kill-child --mount-proc "$0" --inside
    exit
fi

trap '[[ $? -eq 0 ]] || tail -n 15 "$work"/log/* >&2 2>/dev/null' EXIT
mkdir "$work"/{log,secrets,volumes}

say() { printf -- '-- %s\n' "$*"; }

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}

same() {
    [[ $2 == "$3" ]] || fail "$1: expected '$3', got '$2'"
    say "$1"
}

# refused WHAT WHY COMMAND…: it fails, and for that reason.
refused() {
    local what=$1 why=$2
    shift 2
    if "$@" >"$work/log/refused" 2>&1 || ! grep -q "$why" "$work/log/refused"; then fail "$what"; fi
    say "$what"
}

# lacks WHAT VALUE FILE: the file that VALUE names is nowhere in FILE. A grep that could not look is a failure, too.
lacks() {
    local status=0
    grep -qaF -f "$2" "$3" || status=$?
    same "$1" "$status" 1
}

# ---- What the files say

dockerfile() { sed -n "s/$1/\1/p" Dockerfile; }

user=$(dockerfile '^USER \(.*\)')
entry=$(dockerfile '^ENTRYPOINT \["\(.*\)"\]')
read -ra health < <(dockerfile '^HEALTHCHECK .* CMD \[\(.*\)\]' | tr -d '",')
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
"$tools/python/bin/python" scripts/compose-lists.py "$work" "$work/secrets"
say 'compose: no secret in a variable, one port and that on loopback, every service confined'
same 'image: its user is not root' "$user" 65532:65532
same 'image: it is built with the toolchain of the project' \
    "$(dockerfile '^FROM rust:\([0-9.]*\)-.*')" "$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)"
same 'image: its label names the version' "$(dockerfile '^ARG VERSION=\(.*\)')" "$version"
same 'compose: the image is named after the version' "$(cat "$work/services/node-a/image")" "strongroom:$version"

# ---- The secrets, made twice

scripts/setup-secrets.sh "$work/secrets" >"$work/log/setup-secrets" 2>&1
made=$(sha256sum "$work"/secrets/*)
scripts/setup-secrets.sh "$work/secrets" >>"$work/log/setup-secrets" 2>&1
same 'setup-secrets: nothing changes the second time' "$(sha256sum "$work"/secrets/*)" "$made"
same 'setup-secrets: nobody else can enter the folder' "$(stat -c %a "$work/secrets")" 700
for file in "$work"/secrets/*; do
    lacks "setup-secrets: ${file##*/} is not printed" "$file" "$work/log/setup-secrets"
done

# ---- Two roots: that of our image, and one for the programs of other images

postgres=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)

new_root() {
    local root=$1 place
    mkdir "$root"
    mount -t tmpfs -o mode=755 tmpfs "$root"
    mkdir -p "$root"/{dev/shm,etc,proc,run/secrets}
    mount -t proc proc "$root/proc"
    mount -t tmpfs tmpfs "$root/dev/shm"
    for place in /dev/null /dev/urandom; do
        touch "$root$place"
        mount --bind "$place" "$root$place"
    done
    printf '127.0.0.1 localhost postgres proxy\n127.0.0.11 node-a\n127.0.0.12 node-b\n' >"$root/etc/hosts"
    printf 'hosts: files\n' >"$root/etc/nsswitch.conf"
}

# Where the engine would make mount points, now that the root can still be written to.
mount_points() {
    local root=$1 service place
    shift
    for service; do
        while read -r _ place; do
            mkdir -p "$root$(dirname "$place")"
            touch "$root$place"
        done <"$work/services/$service/files"
        while read -r _ place; do
            mkdir -p "$root$place"
        done < <(cat "$work/services/$service"/{volumes,tmpfs})
    done
}

ours=$work/ours
new_root "$ours"
mount_points "$ours" node-a
for file in /bin/sh /bin/bash /usr/bin/setpriv /usr/bin/touch; do
    ldd "$file" | grep -o '/[^ ]*' | xargs cp --parents -L -t "$ours" "$file"
done
same 'image: the program needs no library that a slim Debian lacks' \
    "$(ldd "$program" | grep -o '/[^ ]*' | xargs -n 1 basename | grep -v ld-linux | sort | xargs)" 'libc.so.6 libgcc_s.so.1 libm.so.6'
ldd "$program" | grep -o '/[^ ]*' | xargs cp --parents -L -t "$ours"
sed -n '/^FROM debian/,$s/^COPY //p' Dockerfile | while read -ra words; do
    mode=755 source=${words[-2]}
    [[ ${words[0]} != --chmod=* ]] || mode=${words[0]#*=}
    [[ $source != /out/strongroom ]] || source=$program
    install -D -m "$mode" "$source" "$ours${words[-1]}"
done
# The embedded store's folder as the image makes it, and a volume that took over its owner.
read -ra words <<<"$(dockerfile '^RUN \(install -d .*\)')"
data=${words[-1]}
"${words[@]:0:${#words[@]}-1}" "$ours$data" "$work/volumes/data"
mount -o remount,ro "$ours"

theirs=$work/theirs
new_root "$theirs"
mkdir "$theirs"/{usr,var}
ln -s ../run "$theirs/var/run"
mount --bind /usr "$theirs/usr"
mount -o remount,bind,ro "$theirs/usr"
mount -t tmpfs tmpfs "$theirs/usr/local"
ln -s usr/bin usr/lib usr/lib64 usr/sbin "$theirs/"
printf 'postgres:x:999:999::/:/bin/sh\n' >"$theirs/etc/passwd"
mount_points "$theirs" postgres proxy
mount -o remount,ro "$theirs/usr/local"
mount -o remount,ro "$theirs"

# ---- Containers

# enter SERVICE ROOT USER PROGRAM ARGUMENT…, in namespaces of its own: what an engine does between clone and exec.
enter() {
    local service=$1 root=$2 user=$3 environment one place
    local facts=$work/services/$service
    shift 3
    printf %s "$service" >/proc/sys/kernel/hostname
    mount -t tmpfs -o mode=755 tmpfs "$root/run/secrets"
    while read -r one place; do
        [[ -e $root$place ]] || touch "$root$place"
        mount --bind "$one" "$root$place"
        mount -o remount,bind,ro "$root$place"
    done < <(cat "$facts"/{secrets,files})
    while read -r one place; do
        mount -t tmpfs -o "$one" tmpfs "$root$place"
    done <"$facts/tmpfs"
    while read -r one place; do
        mount --bind "$work/volumes/$one" "$root$place"
    done <"$facts/volumes"
    mapfile -t environment <"$facts/environment"
    # Every engine keeps a container from seeing the processes of others.
    exec env -i HOME=/ HOSTNAME="$service" PATH="/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$postgres" "${environment[@]}" \
        chroot "$root" setpriv --reuid="${user%:*}" --regid="${user#*:}" --clear-groups --inh-caps=-all --bounding-set=-all \
        --no-new-privs "$@"
}
export -f enter
export postgres

# shellcheck disable=SC2016 # the shell inside reads it
isolated=(unshare --mount --uts bash -euo pipefail -c 'enter "$@"' enter)
container() { "${isolated[@]}" "$@"; }
strongroom() { container "$1" "$ours" "$user" "$entry" "${@:2}"; }
cli() { strongroom cli "$@"; }

# start SERVICE ROOT USER PROGRAM ARGUMENT…: in the background; its process is then ${pids[SERVICE]}.
declare -A pids
start() {
    "${isolated[@]}" "$@" >"$work/log/$1" 2>&1 </dev/null &
    pids[$1]=$!
}

# healthy SERVICE ROOT USER PROGRAM ARGUMENT…: waits until the health check succeeds.
healthy() {
    local tries
    for tries in {1..150}; do
        if container "$@" >"$work/log/health" 2>&1; then
            say "$1 is healthy"
            return
        fi
        [[ -e /proc/${pids[$1]} ]] || fail "$1 has ended"
        sleep 0.2
    done
    fail "$1 is not healthy after $tries tries"
}

# What the entry point of PostgreSQL's image does with a new volume.
# shellcheck disable=SC2016 # a shell inside the container reads it
postgres_entry='
    data=/var/lib/postgresql/data
    initdb --pgdata=$data --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth-local=trust --auth-host=scram-sha-256 \
        $POSTGRES_INITDB_ARGS
    pg_ctl --pgdata=$data --wait -o "-c listen_addresses= -c unix_socket_directories=/var/run/postgresql" start
    psql --no-psqlrc --username=postgres --host=/var/run/postgresql --file=/docker-entrypoint-initdb.d/strongroom.sql
    pg_ctl --pgdata=$data --wait stop
    exec postgres -D $data -c unix_socket_directories=/var/run/postgresql'

start_node() {
    # All share one network here, so each listens on the address that its name stands for.
    local address
    address=$(sed -n "s/ $1\$//p" "$ours/etc/hosts")
    printf '%s\n' "STRONGROOM_LISTEN=$address:8200" "STRONGROOM_METRICS_LISTEN=$address:9200" "STRONGROOM_ADDR=http://$address:8200" \
        >>"$work/services/$1/environment"
    start "$1" "$ours" "$user" "$entry" "${command[@]}"
    healthy "$1" "$ours" "$user" "${health[@]}"
}

ip link set lo up
while read -r service; do
    mapfile -t command <"$work/services/$service/command"
    case $service in
    postgres)
        owner=$(cat "$work/services/postgres/user")
        install -d -o "${owner%:*}" -g "${owner#*:}" -m 700 "$work/volumes/database"
        start postgres "$theirs" "$owner" sh -euc "$postgres_entry"
        mapfile -t check <"$work/services/postgres/health"
        healthy postgres "$theirs" "$owner" "${check[@]}"
        ;;
    migrate | init)
        strongroom "$service" "${command[@]}" >"$work/log/$service" 2>&1 || fail "$service"
        say "$service has ended well"
        ;;
    node-*) start_node "$service" ;;
    proxy)
        start proxy "$theirs" 99:99 haproxy -W -db -f /usr/local/etc/haproxy/haproxy.cfg
        healthy proxy "$theirs" 99:99 bash -c '</dev/tcp/127.0.0.1/8080'
        ;;
    *) fail "$service: this script does not know it" ;;
    esac
done <"$work/order"

# ---- Proof

value=canary-$RANDOM$RANDOM$RANDOM
printf %s "$value" | cli --addr http://node-a:8200 put payments/prod/api-key - >"$work/log/cli"
same 'a secret that one node wrote is read through the other' "$(cli --addr http://node-b:8200 get payments/prod/api-key)" "$value"
same 'and through the proxy' "$(cli get payments/prod/api-key)" "$value"

for service in node-a node-b; do
    status=/proc/${pids[$service]}/status
    same "$service: runs as its user" "$(awk '/^[UG]id:/ { print $2, $3, $4, $5 }' "$status" | sort -u)" '65532 65532 65532 65532'
    same "$service: has no capability and can gain none" \
        "$(awk '/^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs):/ { print $2 }' "$status" | sort -u | xargs)" '0000000000000000 1'
    same "$service: is called after its host" "$(tr '\0' '\n' <"/proc/${pids[$service]}/environ" | sed -n 's/STRONGROOM_NODE=//p')" "$service"
    refused "$service: not even root can write to its root" 'Read-only file system' \
        container "$service" "$ours" 0:0 touch /usr/local/bin/strongroom
    refused "$service: does not have the root token" 'No such file' container "$service" "$ours" "$user" sh -c '</run/secrets/root-token'
done
cat /proc/[0-9]*/{cmdline,environ} >"$work/processes" 2>/dev/null || true
cat "$work"/log/* >"$work/logs"
grep -qa STRONGROOM_CONFIG=/etc/strongroom/strongroom.toml "$work/processes" || fail 'the variables of the nodes cannot be seen'
for file in "$work"/secrets/*; do
    lacks "no process has ${file##*/} among its arguments or variables" "$file" "$work/processes"
    lacks "no log shows ${file##*/}" "$file" "$work/logs"
done

strongroom migrate migrate up >"$work/log/migrate-again" 2>&1
strongroom init operator init --given-token-file /run/secrets/root-token >"$work/log/init-again" 2>&1
same 'a second migrate and init change nothing' "$(cli get payments/prod/api-key)" "$value"

kill "${pids[node-a]}"
same 'the proxy serves on while a node stops' "$(cli get payments/prod/api-key)" "$value"
wait "${pids[node-a]}" || fail "node-a ended with $?"
say 'node-a ended well'
refused 'the health check says so' 'Connection refused' container node-a "$ours" "$user" "${health[@]}"
same 'the proxy serves on when it has stopped' "$(cli get payments/prod/api-key)" "$value"

# The embedded store on a volume, in one container.
mkdir "$work/services/alone"
touch "$work/services/alone"/{files,tmpfs}
echo "data $data" >"$work/services/alone/volumes"
printf '%s\n' "$work/secrets/root-key /run/secrets/root-key" "$work/secrets/root-token /run/secrets/root-token" \
    >"$work/services/alone/secrets"
printf '%s\n' "STRONGROOM_DATA_DIR=$data" STRONGROOM_ROOT_KEY_FILE=/run/secrets/root-key \
    STRONGROOM_TOKEN_FILE=/run/secrets/root-token >"$work/services/alone/environment"
strongroom alone migrate up >"$work/log/alone-migrate" 2>&1
strongroom alone operator init --given-token-file /run/secrets/root-token >"$work/log/alone-init" 2>&1
start alone "$ours" "$user" "$entry" server
healthy alone "$ours" "$user" "${health[@]}"
printf %s "$value" | strongroom alone put payments/prod/api-key - >"$work/log/cli"
same 'one container serves the embedded store from a volume' "$(strongroom alone get payments/prod/api-key)" "$value"
