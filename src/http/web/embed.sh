#!/bin/sh
# Writes the table of endpoints/asset.h as C: embed.sh FILE... A name tells where a file is served
# and as what.
set -eu
count=0
table=

asset() { # FILE
    name=${1##*/}
    path=/assets/$name
    case $name in
    *.html) type='text/html; charset=utf-8' path=/ ;;
    *.css) type='text/css; charset=utf-8' ;;
    *.js) type='text/javascript; charset=utf-8' ;;
    *.svg) type=image/svg+xml ;;
    *.json) type=application/json path=/$name ;;
    *) echo "$0: no type is known for $1" >&2; exit 1 ;;
    esac
    printf 'static const unsigned char bytes_%d[] = { /* %s */\n' "$count" "$name"
    od -An -v -tx1 "$1" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
    printf '};\n'
    sum=$(sha256sum < "$1" | cut -c 1-32)
    table="$table    {{\"$path\", \"GET\", asset_answer, NULL, AT_SERVICE, IS_OPEN, NULL},
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
