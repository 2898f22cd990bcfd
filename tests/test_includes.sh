#!/bin/sh
# Who may include whom: the rooms stand in layers, and each library is seen by few files. Prints
# the file and line of every breach. The last case breaks each rule on purpose.
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
            may["http"] = "http serve conf base"
            may["tool"] = "tool serve conf model image nn kernel base"
            may["main"] = "http serve conf tool model image nn kernel base"
            only["microhttpd.h"] = "^src/http/"
            only["jpeglib.h"] = only["jerror.h"] = only["turbojpeg.h"] = "^src/image/jpeg(_writer)?\\.c$"
            only["jansson.h"] = "^src/(model|http|tool)/"
            only["libconfig.h"] = "^src/conf/"
            only["cblas.h"] = only["openblas_config.h"] = "^src/kernel/openblas"
            only["nettle"] = "^src/(model/|conf/keys\\.c$)"
        }
        {
            file = $1; line = $2; text = $3
            room = split(file, part, "/") == 2 ? "main" : part[2]
            if (!match(text, /[<"][^>"]*[>"]/)) {
                print file ":" line ": cannot tell what is included"
                next
            }
            quoted = substr(text, RSTART, 1) == "\""
            name = substr(text, RSTART + 1, RLENGTH - 2)
            split(name, component, "/")
            top = component[1]
            if (quoted && (!(room in may) || index(" " may[room] " ", " " top " ") == 0))
                print file ":" line ": " room " may not include " name
            for (library in only)
                if ((library == top || library == component[split(name, component, "/")]) &&
                    file !~ only[library])
                    print file ":" line ": only " only[library] " may include " library
        }'
}

# Writes FILE with one include of NAME into the tree of bad examples.
breach() {
    mkdir -p "$bad/$(dirname "$1")"
    printf '\n#include %s\n' "$2" > "$bad/$1"
    echo "$1:2:" >> "$bad/wanted"
}

echo 1..2
found=$(breaches "$top_srcdir")
if [ -z "$found" ]; then
    echo 'ok 1 - every include is allowed'
else
    echo "$found"
    echo "$found" >&2
    echo 'not ok 1 - every include is allowed'
fi

bad=$(mktemp -d)
trap 'rm -rf "$bad"' EXIT
breach src/base/a.c '"kernel/kernel.h"'
breach src/kernel/a.c '"nn/layer.h"'
breach src/nn/a.h '"image/preprocess.h"'
breach src/image/a.c '"nn/layer.h"'
breach src/model/a.c '"serve/server.h"'
breach src/conf/a.c '"model/model.h"'
breach src/serve/a.c '"http/connections/listener.h"'
breach src/http/a.c '"model/model.h"'
breach src/tool/a.c '"http/connections/listener.h"'
breach src/serve/b.c '<microhttpd.h>'
breach src/image/b.c '<jpeglib.h>'
breach src/serve/c.c '<jansson.h>'
breach src/http/b.c '<libconfig.h>'
breach src/nn/b.c '<cblas.h>'
breach src/kernel/b.c '<openblas/cblas.h>'
breach src/http/c.c '<nettle/sha2.h>'
breach src/other/a.c '"base/error.h"'
breach src/kernel/openblas/a.c '"kernel.h"'
found=$(breaches "$bad" | cut -d: -f1,2 | sed 's/$/:/' | sort)
if [ "$found" = "$(sort "$bad/wanted")" ]; then
    echo 'ok 2 - every kind of breach is found'
else
    echo "$found" | sort - "$bad/wanted" | uniq -u | sed 's/^/# found or wanted alone: /'
    echo 'not ok 2 - every kind of breach is found'
fi
