#!/bin/sh
# The package: make deb, lintian, and in a fresh Debian 12 that boots its own systemd, what inside.sh
# does with it. Needs root, debootstrap, systemd-nspawn and the network for debootstrap.
# RESNEXT_TEST_ROOT=FOLDER names where the Debian goes; it is removed in the end.
set -u
top_srcdir=$(realpath "${top_srcdir:-.}")
top_builddir=$(realpath "${top_builddir:-build}")
root=${RESNEXT_TEST_ROOT:-$top_builddir/deb/root}
limit_s=300

skip() { # REASON
    echo "1..1"
    echo "ok 1 # SKIP $1"
    exit 0
}
[ "$(id -u)" -eq 0 ] || skip 'this needs root'
for tool in dh debootstrap systemd-nspawn lintian; do
    command -v $tool > /dev/null || skip "there is no $tool"
done

number=0
failed=0
result() { # CODE NAME
    number=$((number + 1))
    [ "$1" -eq 0 ] && echo "ok $number - $2" && return
    failed=$((failed + 1))
    echo "not ok $number - $2"
}

log=$top_builddir/deb.log
make -C "$top_builddir" deb > "$log" 2>&1
result $? 'make deb makes the package'
package=$(echo "$top_builddir"/deb/*.deb)
[ -f "$package" ] || { tail -n 40 "$log" | sed 's/^/# /'; echo "1..$number"; exit 1; }

grep -q 'DEB_BUILD_PROFILES=.*nocheck' "$top_builddir"/deb/*.buildinfo
result $? 'what only the tests need is not needed'

complaints=$(lintian --allow-root --fail-on error,warning "$top_builddir"/deb/*.changes 2>&1)
code=$?
echo "$complaints" | sed '/^$/d; s/^/# /'
result $code 'lintian finds no errors and no warnings'

# What the package depends on, without versions and alternatives: then nothing is fetched inside.
depends=$(dpkg-deb -f "$package" Depends | sed 's/([^)]*)//g; s/|[^,]*//g; s/ //g')
rm -rf "$root"
mkdir -p "$root"
trap 'rm -rf "$root"' EXIT
debootstrap --variant=minbase --include="systemd,systemd-sysv,dbus,curl,$depends" bookworm "$root" \
    >> "$log" 2>&1 || { tail -n 5 "$log" | sed 's/^/# /'; echo "1..$number"; exit 1; }

mkdir -p "$root/test"
cp "$package" "$root/test/resnextd.deb"
cp "$top_srcdir/tests/deb/inside.sh" "$top_srcdir/tests/data/pictures/mare.jpg" "$root/test"
cat > "$root/etc/systemd/system/test.service" <<END
[Unit]
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/sh /test/inside.sh
StandardOutput=file:/test/results
StandardError=file:/test/errors
TimeoutStartSec=$limit_s
[Install]
WantedBy=default.target
END
mkdir -p "$root/etc/systemd/system/default.target.wants"
ln -s ../test.service "$root/etc/systemd/system/default.target.wants/test.service"
timeout $((limit_s + 60)) systemd-nspawn -q -D "$root" --register=no --keep-unit --private-network -b \
    < /dev/null >> "$log" 2>&1
while read -r code name; do
    case $code in
    '#') echo "# $name" ;;
    *) result "$code" "$name" ;;
    esac
done < "$root/test/results"
grep -q '^# end$' "$root/test/results"
result $? 'the tests inside came to their end'
[ "$failed" -eq 0 ] || sed 's/^/# /' "$root/test/errors"
echo "1..$number"
[ "$failed" -eq 0 ]
