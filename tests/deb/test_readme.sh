#!/bin/sh
# README.md and clients/README.md do what they say: their blocks run in order in a fresh system of each release
# of Debian, beside a clone. Needs root, debootstrap and the network. RESNEXT_TEST_ROOT=FOLDER names where the
# systems go; it is removed in the end.
set -u
. "${top_srcdir:-.}/tests/deb/debian.sh"
begin debootstrap

for release in $releases; do
    root=$folder/$release-readme results=$folder/$release-results
    make_root "$release" "$root" sudo && copy_source "$root" &&
        echo 'APT::Get::Assume-Yes "true";' > "$root/etc/apt/apt.conf.d/assume-yes" &&
        { inside "$root" 'sh tests/deb/run_blocks.sh README.md clients/README.md' > "$results" 2>> "$log"; :; }
    grep -qs '^1\.\.[1-9]' "$results"
    result $? "$release: the blocks were run"
    [ -e "$results" ] || { tail -n 20 "$log" | sed 's/^/# /'; continue; }
    while read -r line; do
        case $line in
        '#'*) echo "$line" ;;
        ok*) result 0 "$release: ${line#ok * - }" ;;
        'not ok'*) result 1 "$release: ${line#not ok * - }" ;;
        esac
    done < "$results"
done
end
