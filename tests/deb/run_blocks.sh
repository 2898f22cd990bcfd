#!/bin/sh
# Runs the blocks of pages that are fenced with ```sh, in order, as if they were pasted into one terminal,
# and speaks TAP: run_blocks.sh PAGE... A block passes with exit code 0, and gives its folder and variables to
# the next. One that starts the server in the foreground passes when the server is ready, as in a terminal of
# its own: the server stays until another block starts one at the same address. Such a block ends there.
set -u
limit_s=3600 # for what hangs
scratch=$(mktemp -d)
number=0
failed=0

# Writes NUMBER.sh for each block, with a first line that says where it stands.
split() { # PAGE...
    awk -v folder="$scratch" '
        /^ *```sh$/ { file = sprintf("%s/%03d.sh", folder, ++number); print "# " FILENAME ":" FNR > file; next }
        /^ *```/ { file = "" }
        file { print > file }' "$@"
}

# Writes the line that starts the server.
start_of() { # BLOCK
    grep -E '^ *([A-Z_0-9]+=[^ ]* +)*(sudo +)?(\./bootstrap run|([^ ]*/)?resnextd)( |$)' "$1" |
        grep -Ev -e '--(check-config|print-config|hash-api-key|help|version)'
}

stop_server() { # ADDRESS
    [ -e "$scratch/$1.server" ] || return 0
    read -r group < "$scratch/$1.server"
    kill -s TERM -- "-$group" 2> /dev/null
    while kill -s 0 -- "-$group" 2> /dev/null; do
        sleep 0.1
    done
    rm "$scratch/$1.server"
}

end() {
    for file in "$scratch"/*.server; do
        file=${file##*/}
        stop_server "${file%.server}"
    done
    rm -rf "$scratch"
}

# In a process group of its own.
start_block() { # BLOCK
    # shellcheck disable=SC2016 # the shell inside
    timeout "$limit_s" sh -c '. "$0/state"
        set -ea
        . "$1"
        export -p > "$0/state"
        echo "cd -- \"\$PWD\"" >> "$0/state"' "$scratch" "$1" < /dev/null > "$scratch/log" 2>&1 &
    block=$!
}

is_ready() { # ADDRESS
    for scheme in http https; do
        ! curl -s -f -k -o /dev/null --noproxy '*' "$scheme://$1/readyz" 2> /dev/null || return 0
    done
    return 1
}

run_server() { # BLOCK START
    address=$(echo "$2" | sed -n 's/.*--listen[ =]\([^ ]*\).*/\1/p')
    address=${address:-127.0.0.1:8080}
    stop_server "$address"
    ! is_ready "$address" || { echo "there is another server at $address" > "$scratch/log"; return 1; }
    start_block "$1"
    echo "$block" > "$scratch/$address.server"
    until is_ready "$address"; do
        kill -0 "$block" 2> /dev/null || { echo 'the server has ended' >> "$scratch/log"; return 1; }
        sleep 0.2
    done
}

run() { # BLOCK
    start=$(start_of "$1")
    if [ -n "$start" ]; then
        run_server "$1" "$start"
    else
        start_block "$1"
        wait "$block"
    fi
}

trap end EXIT
echo : > "$scratch/state"
split "$@" || exit 1
for script in "$scratch"/*.sh; do
    [ -e "$script" ] || break
    number=$((number + 1))
    name="$(sed -n '1s/^# //p' "$script"): $(sed -n 2p "$script")"
    if run "$script"; then
        echo "ok $number - $name"
    else
        failed=$((failed + 1))
        echo "not ok $number - $name"
        tail -n 20 "$scratch/log" | sed 's/^/# /'
    fi
done
echo "1..$number"
[ "$failed" -eq 0 ] && [ "$number" -gt 0 ]
