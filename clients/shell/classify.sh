#!/bin/sh
# Classifies JPEGs with a running resnextd and prints one JSON answer a line.
set -u

usage() {
    cat <<END
Usage: classify.sh [-u URL] [-k CLASSES] [-m MODEL] FILE...

  -u URL      the server (default http://127.0.0.1:8080, or RESNEXTD_URL)
  -k CLASSES  how many classes to name
  -m MODEL    which of the server's models to ask
  -h          print this

A busy server (503) is asked again after the time it names, up to five times. The exit code is 0 if
every file was classified, 1 if one was not (its line says why), 2 if the call was wrong.
END
}

url=${RESNEXTD_URL:-http://127.0.0.1:8080} query=
while getopts u:k:m:h option; do
    case $option in
    u) url=$OPTARG ;;
    k) query="$query&top_k=$OPTARG" ;;
    m) query="$query&model=$OPTARG" ;;
    h) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { usage >&2 && exit 2; }

failed=0
for file; do
    if [ ! -f "$file" ] || [ ! -r "$file" ]; then
        echo "classify.sh: $file: no such file, or it cannot be read" >&2
        failed=1
        continue
    fi
    # An answer of 400 and above is printed too; the last line is the status.
    answer=$(curl -sS --retry 5 -H 'Content-Type: image/jpeg' --data-binary "@$file" \
        -w '\n%{http_code}' "${url%/}/classify?${query#&}") || failed=1
    status=$(printf '%s\n' "$answer" | tail -n 1)
    printf '%s\n' "$answer" | sed '$d'
    [ "$status" = 200 ] || failed=1
done
exit $failed
