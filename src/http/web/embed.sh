#!/bin/sh
# Writes the table of assets.h as C: embed.sh FOLDER. What is served from it, where and as what is
# declared here, and in the router.
set -eu
folder=$1
count=0
table=

asset() { # PATH TYPE FILE
    printf 'static const unsigned char bytes_%d[] = { /* %s */\n' "$count" "$3"
    od -An -v -tx1 "$folder/$3" | sed 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g'
    printf '};\n'
    sum=$(sha256sum < "$folder/$3" | cut -c 1-32)
    table="$table    {\"$1\", \"$2\", \"\\\"$sum\\\"\", bytes_$count, sizeof bytes_$count},
"
    count=$((count + 1))
}

cat <<END
/* Made by embed.sh. */
#include "http/web/assets.h"

END
asset / 'text/html; charset=utf-8' index.html
asset /assets/style.css 'text/css; charset=utf-8' style.css
asset /assets/app.js 'text/javascript; charset=utf-8' app.js
asset /assets/live.js 'text/javascript; charset=utf-8' live.js
asset /assets/map.js 'text/javascript; charset=utf-8' map.js
asset /assets/picture.js 'text/javascript; charset=utf-8' picture.js
asset /assets/icon.svg image/svg+xml icon.svg
asset /openapi.json application/json openapi.json
printf '\nconst struct asset assets[] = {\n%s};\nconst size_t asset_count = %d;\n' "$table" "$count"
