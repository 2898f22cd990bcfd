#!/bin/sh
# The systemd units are valid, and the service's sandbox is as tight as it is meant to be.
set -u
most_exposure=12 # tenths; 11 without setpriority

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
sed "s|^ExecStart=.*/resnextd\$|ExecStart=$folder/resnextd|" \
    "$top_builddir/systemd/resnextd.service" > "$folder/resnextd.service"
cp "$top_srcdir/systemd/resnextd.socket" "$folder"

echo 1..3
# --man=no: the pages may not be installed.
if complaints=$(systemd-analyze verify --man=no "$folder/resnextd.service" \
        "$folder/resnextd.socket" 2>&1) && ! echo "$complaints" | grep -F "$folder/resnextd."; then
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

exposure=$(systemd-analyze security --offline=true "$folder/resnextd.service" 2>/dev/null |
    sed -n 's/.*Overall exposure level for resnextd.service: \([0-9]*\)\.\([0-9]\).*/\1\2/p')
if [ -z "$exposure" ]; then
    echo 'ok 3 # SKIP systemd-analyze security does not work here'
elif [ "$exposure" -le "$most_exposure" ]; then
    echo 'ok 3 - systemd-analyze security finds little exposure'
else
    echo "# exposure is $exposure tenths, at most $most_exposure wanted"
    echo 'not ok 3 - systemd-analyze security finds little exposure'
fi
