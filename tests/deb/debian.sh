# Fresh Debian systems in folders, for scripts that speak TAP; sourced. They need root and a mirror:
# RESNEXT_TEST_MIRROR, or what debootstrap chooses. RESNEXT_TEST_RELEASES names the releases.
top_srcdir=$(realpath "${top_srcdir:-.}")
top_builddir=$(realpath "${top_builddir:-build}")
releases=${RESNEXT_TEST_RELEASES:-bookworm trixie}
log=$top_builddir/deb.log
folder=${RESNEXT_TEST_ROOT:-$top_builddir/deb-roots}

begin() { # TOOL...
    reason=
    [ "$(id -u)" -eq 0 ] || reason='this needs root'
    for tool; do
        command -v "$tool" > /dev/null || reason="there is no $tool"
    done
    [ -z "$reason" ] || { echo "1..1"; echo "ok 1 # SKIP $reason"; exit 0; }
    make -C "$top_builddir" dist > "$log" 2>&1 || { tail -n 40 "$log" | sed 's/^/# /'; exit 1; }
    trap 'rm -rf "$folder"' EXIT
}

number=0
failed=0
result() { # CODE NAME
    number=$((number + 1))
    [ "$1" -eq 0 ] && echo "ok $number - $2" && return
    failed=$((failed + 1))
    echo "not ok $number - $2"
}

end() {
    echo "1..$number"
    [ "$failed" -eq 0 ]
    exit
}

# A system with a few packages beside the essential ones.
make_root() { # RELEASE ROOT [PACKAGE,...]
    rm -rf "$2"
    mkdir -p "$2"
    # shellcheck disable=SC2086 # none or one
    debootstrap --variant=minbase ${3:+"--include=$3"} "$1" "$2" ${RESNEXT_TEST_MIRROR:-} >> "$log" 2>&1
}

# What make dist packs, where nothing is built yet, and what tests find beside it.
copy_source() { # ROOT
    mkdir -p "$1/src/resnextd"
    tar -C "$1/src/resnextd" --strip-components=1 -xf "$top_builddir"/resnextd-*.tar.xz &&
        rm "$1/src/resnextd/Makefile.in" || return 1
    [ ! -d "$top_srcdir/../shared" ] || cp -r "$top_srcdir/../shared" "$1/src/shared"
}

# A shell does COMMAND in the source's folder. What is mounted for it goes with it.
inside() { # ROOT COMMAND
    # shellcheck disable=SC2016 # the shells inside
    unshare -m --propagation private sh -c 'mount --bind "$0" "$0" && mount -t proc proc "$0/proc" &&
        mount -t devpts -o newinstance,ptmxmode=666 devpts "$0/dev/pts" &&
        mount -t tmpfs tmpfs "$0/dev/shm" &&
        exec chroot "$0" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin \
            sh -c "cd /src/resnextd; $1"' "$1" "$2" < /dev/null
}
