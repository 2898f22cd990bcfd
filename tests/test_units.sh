#!/bin/sh
# The systemd units are valid, and the service's sandbox is as tight as it is meant to be.
set -u
most_exposure=11         # tenths
most_exposure_offline=3 # of a service that gets its sockets from systemd and sees no network

if ! command -v systemd-analyze > /dev/null; then
    echo '1..1'
    echo 'ok 1 # SKIP there is no systemd-analyze'
    exit 0
fi
# An executable must stand where the unit says; the folder must not look like part of a container's
# temporary files to systemd.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
printf '#!/bin/sh\n' > "$folder/resnextd"
chmod +x "$folder/resnextd"
for unit in resnextd.service resnextd@.service; do
    sed "s|^ExecStart=.*/resnextd\$|ExecStart=$folder/resnextd|" \
        "$top_builddir/systemd/$unit" > "$folder/$unit"
done
cp "$top_srcdir/systemd/resnextd.socket" "$folder"

echo 1..5
# --man=no: the pages may not be installed.
if complaints=$(systemd-analyze verify --man=no "$folder/resnextd.service" \
        "$folder/resnextd@.service" "$folder/resnextd.socket" 2>&1) && ! echo "$complaints" | grep -F "$folder/resnextd"; then
    echo 'ok 1 - systemd-analyze verify has no complaints'
else
    echo "$complaints" | sed 's/^/# /'
    echo 'not ok 1 - systemd-analyze verify has no complaints'
fi

# What the copy above replaced.
if grep -q '^ExecStart=/[^@]*/resnextd$' "$top_builddir/systemd/resnextd.service"; then
    echo 'ok 2 - the service starts the installed daemon'
else
    echo 'not ok 2 - the service starts the installed daemon'
fi

exposure() { # UNIT
    systemd-analyze security --offline=true "$1" 2>/dev/null |
        sed -n 's/.*Overall exposure level for .*: \([0-9]*\)\.\([0-9]\).*/\1\2/p'
}

judge() { # NUMBER TITLE EXPOSURE MOST
    if [ -z "$3" ]; then
        echo "ok $1 # SKIP systemd-analyze security does not work here"
    elif [ "$3" -le "$4" ]; then
        echo "ok $1 - $2"
    else
        echo "# exposure is $3 tenths, at most $4 wanted"
        echo "not ok $1 - $2"
    fi
}
judge 3 'systemd-analyze security finds little exposure' \
    "$(exposure "$folder/resnextd.service")" "$most_exposure"

if [ "$(diff "$folder/resnextd.service" "$folder/resnextd@.service" | grep -c '^[<>]')" -eq 5 ] &&
    grep -q '^EnvironmentFile=/.*/resnextd/%i\.env$' "$folder/resnextd@.service" &&
    ! grep '@[a-z_]*@' "$folder/resnextd.service" "$folder/resnextd@.service"; then
    echo 'ok 4 - an instance differs from the service by its name and its environment alone'
else
    diff "$folder/resnextd.service" "$folder/resnextd@.service" | sed 's/^/# /'
    echo 'not ok 4 - an instance differs from the service by its name and its environment alone'
fi

# What SECURITY.md proposes for a service behind resnextd.socket.
mkdir "$folder/offline"
{
    cat "$folder/resnextd.service"
    printf '[Service]\nPrivateNetwork=yes\nIPAddressDeny=any\n'
    printf 'RestrictAddressFamilies=\nRestrictAddressFamilies=AF_UNIX\n'
} > "$folder/offline/resnextd.service"
judge 5 'behind its socket and without network there is next to none' \
    "$(exposure "$folder/offline/resnextd.service")" "$most_exposure_offline"
