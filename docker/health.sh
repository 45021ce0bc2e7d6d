#!/bin/bash
# Succeeds when the node in this container answers: the image has no other HTTP client that needs no token.
set -euo pipefail

address=${STRONGROOM_ADDR:-http://127.0.0.1:8200}
address=${address#http://}

exec 3<>"/dev/tcp/${address%:*}/${address##*:}"
printf 'GET /health HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$address" >&3
read -r _ status _ <&3
[[ $status == 200 ]]
