#!/usr/bin/env bash
# Makes the secret files that docker-compose.yml gives to its containers, in ./secrets or the folder that is named. What
# is there already stays as it is. No value is printed, and none is an argument of a program.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

folder=${1:-${STRONGROOM_SECRETS:-secrets}}

# Compose mounts each file into its container with the owner and mode that it has here, and the containers have users of
# their own. So every user may read the files, and the folder keeps everybody on this machine away from them.
umask 077
mkdir -p "$folder"
chmod 700 "$folder"
printf '*\n' >"$folder/.gitignore"

# The standard input becomes the file, whole or not at all.
make() {
    local file=$folder/$1
    if [[ -e $file ]]; then
        echo "$file: kept"
        cat >/dev/null
        return
    fi
    cat >"$file.new"
    [[ -s $file.new ]]
    chmod 444 "$file.new"
    mv "$file.new" "$file"
    echo "$file: made"
}

hexadecimal() {
    head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'
}

# A URL that was made with another password would only fail later, and say less.
if [[ -e $folder/database-url && ! -e $folder/database-password ]]; then
    echo "$folder/database-url is there and $folder/database-password is not: put it back, or remove the URL too." >&2
    exit 1
fi

hexadecimal 24 | make postgres-password
hexadecimal 24 | make database-password
{
    printf 'postgres://strongroom:'
    cat "$folder/database-password"
    printf '@postgres:5432/strongroom'
} | make database-url
hexadecimal 32 | make root-key
# What 'operator init' finds in its token file, it takes.
{
    printf 'srs_'
    head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'
} | make root-token

echo "Keep a copy of $folder/root-key away from the database and its backups: without it nothing can be opened again."
