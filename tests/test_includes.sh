#!/bin/sh
# Who may include whom: the rooms, and the folders of http, stand in layers; no two sources need each
# other; and each library is seen by few files. Prints the file and line of every breach. The last
# case breaks each rule on purpose.
set -eu

breaches() {
    cd "$1"
    find src -name '*.[ch]' -exec grep -nE '^[[:space:]]*#[[:space:]]*include' /dev/null {} + |
    awk -F: '
        BEGIN {
            may["base"] = "base"
            may["kernel"] = "kernel base"
            may["nn"] = "nn kernel base"
            may["image"] = "image kernel base"
            may["model"] = "model image nn kernel base"
            may["conf"] = "conf kernel base"
            may["serve"] = "serve conf model image nn kernel base"
            may["http/connections"] = "http/connections serve conf base"
            may["http"] = "http " may["http/connections"]
            may["http/endpoints"] = "http/endpoints http serve conf base"
            may["http/oip"] = "http/oip http serve conf base"
            may["router"] = "http/endpoints http/oip " may["http"]
            may["tool"] = "tool serve conf model image nn kernel base"
            may["main"] = "http serve conf tool model image nn kernel base"
            only["microhttpd.h"] = "^src/http/"
            only["jpeglib.h"] = only["jerror.h"] = only["turbojpeg.h"] = "^src/image/jpeg(_writer)?\\.c$"
            only["jansson.h"] = "^src/(model|http|tool)/"
            only["libconfig.h"] = "^src/conf/"
            only["cblas.h"] = only["openblas_config.h"] = "^src/kernel/openblas"
            only["regex.h"] = "^$" # regcomp of glibc 2.36 frees twice or leaks when memory is short
            only["zip.h"] = "^src/model/torch_(zip|file)\\.c$"
            only["nettle"] = "^src/(model/|conf/keys\\.c$)"
        }
        # The folder below src; of http also the one below that.
        function room_of(path,    part, count) {
            count = split(path, part, "/")
            return part[1] == "http" && count > 2 ? "http/" part[2] : part[1]
        }
        {
            file = $1; line = $2; text = $3
            room = split(file, part, "/") == 2 ? "main" : room_of(substr(file, 5))
            if (file == "src/http/router.c")
                room = "router"
            if (!match(text, /[<"][^>"]*[>"]/)) {
                print file ":" line ": cannot tell what is included"
                next
            }
            quoted = substr(text, RSTART, 1) == "\""
            name = substr(text, RSTART + 1, RLENGTH - 2)
            split(name, component, "/")
            top = component[1]
            if (quoted && (!(room in may) || index(" " may[room] " ", " " room_of(name) " ") == 0))
                print file ":" line ": " room " may not include " name
            for (library in only)
                if ((library == top || library == component[split(name, component, "/")]) &&
                    file !~ only[library])
                    print file ":" line ": only " only[library] " may include " library
        }'
}

# Prints every file in a circle of headers, and of sources by the headers they include. What a header
# includes does not count for its source: it takes types from there, and calls nothing.
circles() {
    cd "$1"
    for kind in c h; do
        find src -name "*.$kind" -exec grep -H '^#include "' /dev/null {} + |
        sed -n 's/^src\/\(.*\)\.[ch]:#include "\(.*\)\.h"$/\1 \2/p' | awk '$1 != $2' |
        tsort 2>&1 > "$scratch/sorted" |
        sed -n "/contains a loop/d; s/^tsort: \(.*\)/src\/\1.$kind:0: in an include circle/p" | sort -u
    done
}

# Writes FILE with one include of NAME into the tree of bad examples.
include() {
    mkdir -p "$bad/$(dirname "$1")"
    printf '\n#include %s\n' "$2" > "$bad/$1"
}
breach() {
    include "$@"
    echo "$1:2:" >> "$scratch/wanted"
}

# Writes two files of a KIND that include each other.
circle() {
    include "src/base/one_$1.$1" "\"base/two_$1.h\""
    include "src/base/two_$1.$1" "\"base/one_$1.h\""
    printf 'src/base/%s_%s.%s:0:\n' one "$1" "$1" two "$1" "$1" >> "$scratch/wanted"
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
bad=$scratch/bad

echo 1..2
found=$(breaches "$top_srcdir"; circles "$top_srcdir")
if [ -z "$found" ]; then
    echo 'ok 1 - every include is allowed'
else
    echo "$found"
    echo "$found" >&2
    echo 'not ok 1 - every include is allowed'
fi

breach src/base/a.c '"kernel/kernel.h"'
breach src/kernel/a.c '"nn/layer.h"'
breach src/nn/a.h '"image/preprocess.h"'
breach src/image/a.c '"nn/layer.h"'
breach src/model/a.c '"serve/server.h"'
breach src/conf/a.c '"model/model.h"'
breach src/serve/a.c '"http/connections/listener.h"'
breach src/http/a.c '"model/model.h"'
breach src/http/connections/a.c '"http/exchange.h"'
breach src/http/connections/b.c '"http/oip/infer.h"'
breach src/http/d.c '"http/endpoints/asset.h"'
breach src/http/e.h '"http/oip/infer.h"'
breach src/http/endpoints/a.c '"http/oip/infer.h"'
breach src/http/endpoints/b.c '"http/connections/peers.h"'
breach src/http/oip/a.c '"http/endpoints/asset.h"'
breach src/http/oip/b.c '"http/connections/peers.h"'
breach src/http/router.c '"http/web/assets.h"'
breach src/http/web/a.c '"http/exchange.h"'
breach src/tool/a.c '"http/connections/listener.h"'
breach src/serve/b.c '<microhttpd.h>'
breach src/image/b.c '<jpeglib.h>'
breach src/serve/c.c '<jansson.h>'
breach src/http/b.c '<libconfig.h>'
breach src/model/b.c '<regex.h>'
breach src/tool/b.c '<zip.h>'
breach src/nn/b.c '<cblas.h>'
breach src/kernel/b.c '<openblas/cblas.h>'
breach src/http/c.c '<nettle/sha2.h>'
breach src/other/a.c '"base/error.h"'
breach src/kernel/openblas/a.c '"kernel.h"'
circle c
circle h
found=$({ breaches "$bad"; circles "$bad"; } | cut -d: -f1,2 | sed 's/$/:/' | sort)
if [ "$found" = "$(sort "$scratch/wanted")" ]; then
    echo 'ok 2 - every kind of breach is found'
else
    echo "$found" | sort - "$scratch/wanted" | uniq -u | sed 's/^/# found or wanted alone: /'
    echo 'not ok 2 - every kind of breach is found'
fi
