#!/usr/bin/env bash
# Boots systemd on a copy of this machine that lasts as long as the test, takes the steps that docs/INSTALL.md gives,
# word for word, and uses the service. The copy is an overlay: nothing is written to this machine, and it has no network
# but loopback. STRONGROOM_PROGRAM names a built program; without it the Dockerfile's build command runs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/tools.sh

give_up() {
    not_run 'systemd test' "$1"
    exit 77
}

if [[ ${1:-} != --inside ]]; then
    [[ $(id -u) -eq 0 ]] || give_up 'only root can make the copy'
    unshare --mount --pid --fork true || give_up 'namespaces cannot be made here'
    debian_tool systemd-nspawn systemd-container || give_up 'there is no systemd-nspawn'
    find_program

    work=$(mktemp -d "${TMPDIR:-/tmp}/strongroom-systemd.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    export program work
    unshare --mount --pid --fork --kill-child --mount-proc "$0" --inside
    exit
fi

mount -t tmpfs tmpfs "$work"
mkdir -p "$work"/{changes,overlay,root,out} /run/systemd/nspawn
mount -t tmpfs tmpfs /run/systemd/nspawn
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/changes,workdir=$work/overlay" "$work/root" 2>"$work/out/log" ||
    give_up 'there are no overlays here'
nspawn=(timeout 60 systemd-nspawn --quiet --directory="$work/root" --private-network --register=no --keep-unit
    --bind="$work/out:/mnt")
"${nspawn[@]}" true >"$work/out/log" 2>&1 || give_up "a machine cannot be started here: $(tail -n 1 "$work/out/log")"

checkout=$work/root/root/strongroom
mkdir -p "$checkout/target/release"
cp -r deploy "$checkout/"
cp "$program" "$checkout/target/release/strongroom"

# The steps: what stands between fences in that part of the page.
{
    # shellcheck disable=SC2016 # the shell inside reads it
    echo 'sudo() { if [[ $1 == -u ]]; then setpriv --reuid="$2" --regid="$2" --clear-groups "${@:3}"; else "$@"; fi; }'
    awk '/^## /{ part = $0 } part == "## With systemd" && /^```/ { inside = !inside; next } part == "## With systemd" && inside' \
        docs/INSTALL.md
} >"$checkout/steps.sh"
grep -q 'systemctl enable' "$checkout/steps.sh" || { echo 'FAILED: docs/INSTALL.md has no steps' >&2; exit 1; }

cat >"$checkout/check.sh" <<'CHECK'
set -euxo pipefail
source steps.sh
until strongroom health; do
    systemctl is-active strongroom
    sleep 0.1
done

export STRONGROOM_TOKEN_FILE=/root/strongroom-root-token
printf %s canary | strongroom put a/b -
[[ $(strongroom get a/b) == canary ]]

process=$(systemctl show --property MainPID --value strongroom)
[[ $(awk '/^Uid:/ { print $2 }' "/proc/$process/status") == "$(id -u strongroom)" ]]
grep -q '^CapEff:	0000000000000000$' "/proc/$process/status"
grep -q '^Seccomp:	2$' "/proc/$process/status"
if nsenter --target "$process" --mount touch /etc/strongroom/x; then exit 1; fi

exec 3<>/dev/tcp/127.0.0.1/9200
printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
grep -E '^process_start_time_seconds [1-9]' <&3

systemctl restart strongroom
until [[ $(strongroom get a/b) == canary ]]; do sleep 0.1; done
systemctl stop strongroom
[[ $(systemctl show --property Result --value strongroom) == success ]]
touch /mnt/passed
CHECK
cat >"$work/root/etc/systemd/system/check.service" <<'UNIT'
[Unit]
Requires=basic.target
After=basic.target
SuccessAction=exit
FailureAction=exit

[Service]
Type=oneshot
WorkingDirectory=/root/strongroom
Environment=PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart=/bin/bash check.sh
StandardOutput=append:/mnt/check
StandardError=append:/mnt/check
UNIT

"${nspawn[@]}" --boot -- --unit=check.service --show-status=no --log-level=warning </dev/null >"$work/out/log" 2>&1 || true
if [[ ! -e $work/out/passed ]]; then
    cat "$work/out/log" "$work/out/check" >&2
    echo 'FAILED: the steps of docs/INSTALL.md do not lead to a service' >&2
    exit 1
fi
echo '-- systemd: the steps of docs/INSTALL.md lead to a confined service that keeps a secret over a restart'
