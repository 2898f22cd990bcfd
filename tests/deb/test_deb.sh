#!/bin/sh
# The package, in each release of Debian: made and looked over by lintian in one fresh system, and in
# another that boots its own systemd, what inside.sh does with it; a third is made as the Containerfile
# makes its image. Needs root, debootstrap, systemd-nspawn and a mirror. RESNEXT_TEST_ROOT=FOLDER names
# where the systems go; it is removed in the end.
set -u
. "${top_srcdir:-.}/tests/deb/debian.sh"
limit_s=300
complain='apt-get install -q -y --no-install-recommends lintian &&
    lintian --allow-root --fail-on error,warning build/deb/*.changes'

make_package() { # RELEASE ROOT
    make_root "$1" "$2" && copy_source "$2" &&
        inside "$2" './bootstrap && apt-get build-dep -q -y --no-install-recommends -P nocheck ./ &&
            make -C build deb' >> "$log" 2>&1
}

boot() { # RELEASE ROOT PACKAGE
    # What the package depends on, without versions and alternatives: then nothing is fetched inside.
    depends=$(dpkg-deb -f "$3" Depends | sed 's/([^)]*)//g; s/|[^,]*//g; s/ //g')
    make_root "$1" "$2" "systemd,systemd-sysv,dbus,curl,$depends" || return 1
    mkdir -p "$2/test" "$2/etc/systemd/system/default.target.wants"
    cp "$3" "$2/test/resnextd.deb"
    cp "$top_srcdir/tests/deb/inside.sh" "$top_srcdir/tests/data/pictures/mare.jpg" "$2/test"
    cat > "$2/etc/systemd/system/test.service" <<END
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
    ln -s ../test.service "$2/etc/systemd/system/default.target.wants/test.service"
    timeout $((limit_s + 60)) systemd-nspawn -q -D "$2" --register=no --keep-unit --private-network -b \
        < /dev/null >> "$log" 2>&1
    grep -q '^# end$' "$2/test/results"
}

image() { # RELEASE ROOT PACKAGE
    make_root "$1" "$2" && mkdir -p "$2/src/resnextd" "$2/deb" && cp "$3" "$2/deb" &&
        inside "$2" "$(sed -n '/^RUN --mount/,/[^\\]$/{/^RUN/d;p}' "$top_srcdir/Containerfile")" >> "$log" 2>&1 &&
        chroot --userspec=65532:65532 "$2" /usr/sbin/resnextd --check-config >> "$log" 2>&1
}

begin debootstrap systemd-nspawn
for release in $releases; do
    made=$folder/$release-made booted=$folder/$release-booted
    make_package "$release" "$made"
    result $? "$release: make deb makes the package"
    package=$(echo "$made"/src/resnextd/build/deb/*.deb)
    [ -f "$package" ] || { tail -n 40 "$log" | sed 's/^/# /'; continue; }
    grep -q 'DEB_BUILD_PROFILES=.*nocheck' "$made"/src/resnextd/build/deb/*.buildinfo
    result $? "$release: what only the tests need is not needed"
    inside "$made" "$complain" > "$folder/complaints" 2>&1
    result $? "$release: lintian finds no errors and no warnings"
    grep '^[EWN]:' "$folder/complaints" | sed 's/^/# /'

    boot "$release" "$booted" "$package"
    result $? "$release: the tests inside came to their end"
    while read -r code name; do
        case $code in
        '#') echo "# $name" ;;
        *) result "$code" "$release: $name" ;;
        esac
    done < "$booted/test/results"
    [ "$failed" -eq 0 ] || sed 's/^/# /' "$booted/test/errors"
    image "$release" "$folder/$release-image" "$package"
    result $? "$release: the image has what the daemon needs"
done
end
