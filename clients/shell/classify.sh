#!/bin/sh
# Classifies JPEGs with a running resnextd and prints one JSON answer a line.
set -u

usage() {
    cat <<END
Usage: classify.sh [-u URL] [-k CLASSES] [-m MODEL] [-t SECONDS] FILE...

  -u URL      the server (default http://127.0.0.1:8080, or RESNEXTD_URL)
  -k CLASSES  how many classes to name, at most
  -m MODEL    which of the server's models to ask
  -t SECONDS  how long one try may take, and when the last one begins at the latest (default 60)
  -h          print this

A busy server (503) is asked again after the time it names, up to five times. The exit code is 0 if
every file was classified, 1 if one was not (its line says why), 2 if the call was wrong.
A server that wants a key gets the one in RESNEXTD_API_KEY. A folder's files:

  find FOLDER -iname '*.jpg' -exec classify.sh {} +
END
}

url=${RESNEXTD_URL:-http://127.0.0.1:8080} query= seconds=60
while getopts u:k:m:t:h option; do
    case $option in
    u) url=$OPTARG ;;
    k) query="$query&top_k=$OPTARG" ;;
    m) query="$query&model=$OPTARG" ;;
    t) seconds=$OPTARG ;;
    h) usage && exit 0 ;;
    *) usage >&2 && exit 2 ;;
    esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || { usage >&2 && exit 2; }

# For curl's standard input: what is on a command line can be seen by others.
key_header() {
    [ -z "${RESNEXTD_API_KEY-}" ] || printf 'header = "Authorization: Bearer %s"\n' "$RESNEXTD_API_KEY"
}

answer=$(mktemp) || exit 2
trap 'rm -f "$answer"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
failed=0
for file; do
    if [ ! -f "$file" ] || [ ! -r "$file" ]; then
        echo "classify.sh: $file: no such file, or it cannot be read" >&2
        failed=1
        continue
    fi
    # To a file, which curl empties before it tries again.
    : > "$answer"
    status=$(key_header | curl -K - -sS --retry 5 --retry-max-time "$seconds" -m "$seconds" \
        -H 'Content-Type: image/jpeg' --data-binary "@$file" \
        -o "$answer" -w '%{http_code}' "${url%/}/classify?${query#&}") || failed=1
    [ ! -s "$answer" ] || { cat "$answer" && echo; }
    [ "$status" = 200 ] || failed=1
done
exit $failed
