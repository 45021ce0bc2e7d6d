#!/usr/bin/env bash
# Checks everything that brings the program to a server: image, Compose file, unit, alerts, workflows, scripts. Each is
# read by the checker made for it, and run as far as that is possible without a container engine.
#
# Checkers that are missing are installed below the target folder from PyPI and npm, or as root from Debian. What cannot
# be had is told as NOT RUN; what complains fails this script, at its end. STRONGROOM_PROGRAM names a built program;
# without it the Dockerfile's build command runs, which takes minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/tools.sh

find_program
export STRONGROOM_PROGRAM=$program
work=$(mktemp -d "${TMPDIR:-/tmp}/strongroom-deploy.XXXXXX")
trap 'rm -rf "$work"' EXIT
passed=0 skipped=0 failed=()

# check NAME COMMAND…: what it prints is shown if it complains. Exit code 77 says that it could not run, and why.
check() {
    local name=$1 status=0
    shift
    "$@" >"$work/output" 2>&1 || status=$?
    case $status in
    0) passed=$((passed + 1)) && echo "ok: $name" ;;
    77) skipped=$((skipped + 1)) && grep '^NOT RUN' "$work/output" >&2 ;;
    *)
        failed+=("$name")
        echo "FAILED: $name" >&2
        sed 's/^/    /' "$work/output" >&2
        ;;
    esac
}

skip() {
    skipped=$((skipped + 1))
    not_run "$@"
}

# ---- Read

if python_tools; then
    PATH=$(realpath "$tools/python/bin"):$PATH
    check 'hadolint: Dockerfile' hadolint Dockerfile
    check 'shellcheck: scripts' shellcheck .ci/run docker/*.sh scripts/*.sh
    check 'schema: docker-compose.yml' check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
    check 'schema: workflows' check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
    check 'schema: dependabot' check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
    check 'actionlint: workflows' actionlint .github/workflows/*.yml
    check 'zizmor: workflows and dependabot' zizmor --offline --no-progress .github
else
    skip 'hadolint, shellcheck, check-jsonschema, actionlint, zizmor' 'they cannot be had from PyPI'
fi

# Its services stand in the order of their starts, and their keys in the order in which they are read.
orders=(services-alphabetical-order service-keys-order top-level-properties-order)
if command -v npm >/dev/null && npm_tool dclint 3.1.0; then
    check 'dclint: docker-compose.yml' "$tools/npm/node_modules/.bin/dclint" docker-compose.yml --max-warnings 0 \
        --disable-rule "${orders[@]}"
else
    skip dclint 'it cannot be had from npm'
fi

if command -v systemd-analyze >/dev/null; then
    # The unit as it is, but for the place of the program: on this machine it is not installed.
    sed "s#/usr/local/bin/strongroom#$program#" deploy/systemd/strongroom.service >"$work/strongroom.service"
    check 'systemd-analyze verify: strongroom.service' systemd-analyze verify --man=no "$work/strongroom.service"
    check 'systemd-analyze security: an exposure of at most 1.3' \
        systemd-analyze security --offline=true --threshold=13 "$work/strongroom.service"
else
    skip 'systemd-analyze' 'it is not installed'
fi

# What /metrics shows, of a server that was just started.
metrics() {
    local address tries
    "$program" dev --data-dir "$work/dev" --listen 127.0.0.1:0 >"$work/dev.out" 2>"$work/dev.log" &
    for tries in {1..100}; do
        address=$(sed -n 's#.*ready on http://\([^ ]*\)\. .*#\1#p' "$work/dev.out")
        [[ -z $address ]] || break
        sleep 0.1
    done
    echo "$address after $tries tries"
    exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
    printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
    sed '1,/^\r$/d' <&3 >"$work/metrics"
    exec 3>&-
    kill $!
    wait $!
    grep -q '^strongroom_build_info' "$work/metrics"
}

families_exist() {
    comm -23 <(grep -o 'strongroom_[a-z_]*' deploy/prometheus/alerts.yml | sort -u) \
        <(sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' "$work/metrics" | sort -u) >"$work/unknown"
    [[ ! -s $work/unknown ]] || { cat "$work/unknown" && return 1; }
}

alerts_are_whole() {
    local alert=deploy/prometheus/alerts.yml name field
    for field in severity summary description runbook_url; do
        [[ $(grep -c "^ *$field: " "$alert") -eq $(grep -c -- '- alert: ' "$alert") ]] || { echo "an alert has no $field" && return 1; }
    done
    sed -n 's/.*- alert: //p' "$alert" | while read -r name; do
        grep -q "$name" deploy/prometheus/alerts_test.yml || { echo "$name has no test" && return 1; }
        grep -q "^| \`$name\` |" docs/INSTALL.md || { echo "$name is not in docs/INSTALL.md" && return 1; }
    done
}

runbook_has_anchors() {
    [[ -e docs/RUNBOOK.md ]] || { not_run 'runbook links of the alerts' 'docs/RUNBOOK.md is not there'; return 77; }
    comm -23 <(sed -n 's/.*runbook_url: docs\/RUNBOOK.md#//p' deploy/prometheus/alerts.yml | sort -u) \
        <(sed -n 's/^##* //p' docs/RUNBOOK.md | tr '[:upper:] ' '[:lower:]-' | tr -cd 'a-z0-9_\n-' | sort -u) >"$work/unknown"
    [[ ! -s $work/unknown ]] || { cat "$work/unknown" && return 1; }
}

# The commands between fences that do not say otherwise.
commands_of_the_page() {
    awk '/^```/ { inside = ($0 ~ /needs promtool/); next } inside' docs/INSTALL.md >"$work/commands"
    grep -q 'promtool test rules' "$work/commands" && bash -euo pipefail "$work/commands"
}

check 'metrics: a server shows them' metrics
check 'alerts: they ask for families that exist' families_exist
check 'alerts: each has its texts and a test' alerts_are_whole
check 'alerts: the runbook has their anchors' runbook_has_anchors
if debian_tool promtool prometheus; then
    # shellcheck disable=SC2016 # the shell inside reads it
    check 'promtool: metrics' bash -c 'promtool check metrics <"$0"' "$work/metrics"
    check 'promtool: scrape configuration, rules and their tests, as in docs/INSTALL.md' commands_of_the_page
else
    skip promtool 'it is not installed, and Debian has it for root alone'
fi

# ---- Run

check 'systemd: the steps of docs/INSTALL.md lead to a service' scripts/test-systemd.sh
check 'containers: what docker-compose.yml says serves' scripts/test-container.sh

echo "deployment: $passed passed, ${#failed[@]} failed, $skipped not run"
[[ ${#failed[@]} -eq 0 ]]
