#!/bin/sh
# The image's entry point: the arguments are the program's.
set -eu

# Nodes of one service share everything but the name of their host, so that is what a node is called.
if [ -z "${STRONGROOM_NODE:-}" ]; then
    read -r STRONGROOM_NODE </proc/sys/kernel/hostname
    export STRONGROOM_NODE
fi

exec strongroom "$@"
