#!/bin/sh
# ./bootstrap check in a fresh system of each release of Debian, and its closing line. Needs root,
# debootstrap and a mirror. RESNEXT_TEST_ROOT=FOLDER names where the systems go; it is removed in the end.
set -u
. "${top_srcdir:-.}/tests/deb/debian.sh"
begin debootstrap

for release in $releases; do
    root=$folder/$release-checked output=$top_builddir/check-$release.log
    make_root "$release" "$root" && copy_source "$root" && inside "$root" './bootstrap check' > "$output" 2>&1
    code=$?
    result $code "$release: $(tail -n 1 "$output")"
    ! grep -q 'SKIP .*promtool' "$output"
    result $? "$release: promtool could be fetched"
    [ $code -eq 0 ] || grep -h '^\(FAIL\|ERROR\|bootstrap\): ' "$output" "$log" | sed 's/^/# /'
done
end
