#!/bin/sh
# Writes the table of endpoints/asset.h as C: embed.sh FILE... A name tells where a file is served
# and as what.
set -eu
count=0
table=

path_of() {
    case $1 in
    index.html) echo / ;;
    *.json) echo "/$1" ;;
    *) echo "/assets/$1" ;;
    esac
}

type_of() {
    case $1 in
    *.html) echo 'text/html; charset=utf-8' ;;
    *.css) echo 'text/css; charset=utf-8' ;;
    *.js) echo 'text/javascript; charset=utf-8' ;;
    *.svg) echo image/svg+xml ;;
    *.json) echo application/json ;;
    *) echo "$0: no type is known for $1" >&2; return 1 ;;
    esac
}

asset() { # FILE
    name=${1##*/}
    type=$(type_of "$name")
    printf 'static const unsigned char bytes_%d[] = { /* %s */\n' "$count" "$name"
    od -An -v -tx1 "$1" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
    printf '};\n'
    sum=$(sha256sum < "$1" | cut -c 1-32)
    table="$table    {{\"$(path_of "$name")\", \"GET\", asset_answer, NULL, AT_SERVICE, IS_OPEN},
     \"$type\", \"\\\"$sum\\\"\", bytes_$count, sizeof bytes_$count},
"
    count=$((count + 1))
}

cat <<END
/* Made by embed.sh. */
#include "http/endpoints/asset.h"

END
for file; do
    asset "$file"
done
printf '\nconst struct asset assets[] = {\n%s};\nconst size_t asset_count = %d;\n' "$table" "$count"
