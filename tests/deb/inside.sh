# Runs as root in a booted Debian that test_deb.sh makes; writes "CODE NAME" lines, and "# TEXT".
set -u
export DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin
conf=/etc/resnextd/resnextd.conf
url=http://127.0.0.1:8080

result() { # CODE NAME
    echo "$1 $2"
}
wait_ready() {
    for _ in $(seq 100); do
        [ "$(curl -s -o /dev/null -w '%{http_code}' $url/readyz)" = 200 ] && return 0
        sleep 0.1
    done
    systemctl status resnextd.service | sed 's/^/# /'
    return 1
}
files() { # all but what passes by
    find / -xdev \( -path /proc -o -path /sys -o -path /run -o -path /tmp -o -path /test -o -path /var/log \
        -o -path /var/cache -o -path /var/lib/dpkg -o -path /var/lib/systemd \) -prune -o -print | sort
}

files > /test/before
dpkg -i /test/resnextd.deb >&2
result $? 'the package installs'
wait_ready
result $? 'the service is ready after installation'
systemctl is-enabled -q resnextd.service && ! systemctl is-enabled -q resnextd.socket
result $? 'the service is enabled, the socket is not'
grep -q '^  curl .*/classify$' /usr/share/doc/resnextd/README.Debian
result $? 'what to do next is in its documentation'
answer=$(curl -s --data-binary @/test/mare.jpg "$url/classify?top_k=1")
echo "# $answer"
echo "$answer" | grep -q '"model":"resnext29-cifar10".*"label":"horse"'
result $? 'it classifies with the default model'
curl -s $url/ | grep -q '<title>resnextd'
result $? 'it serves its page'
pid=$(systemctl show -P MainPID resnextd.service)
[ "$(stat -c %u "/proc/$pid")" -gt 0 ] && ! grep -q resnextd /etc/passwd
result $? 'it runs as a user of its own that only lives with it'
resnext verify /usr/share/resnextd/models/resnext29-cifar10 > /dev/null
result $? 'the tool finds the model whole'

echo 'top_k = 3;' >> $conf
cp $conf /test/conf
dpkg -i /test/resnextd.deb >&2 && cmp $conf /test/conf >&2 && wait_ready &&
    [ "$(systemctl show -P MainPID resnextd.service)" != "$pid" ]
result $? 'installing again keeps the configuration and restarts the service'
curl -s --data-binary @/test/mare.jpg $url/classify | grep -o '"label"' | grep -c . | grep -qx 3
result $? 'the changed configuration counts'

echo 'listen = [ "systemd" ];' >> $conf
systemctl stop resnextd.service && systemctl start resnextd.socket && wait_ready &&
    systemctl is-active -q resnextd.service
result $? 'the socket starts the service'
systemctl stop resnextd.socket resnextd.service

dpkg -r resnextd >&2 && [ -e $conf ] && [ ! -e /usr/sbin/resnextd ] && [ ! -e /lib/systemd/system/resnextd.service ]
result $? 'removing leaves the configuration only'
dpkg -P resnextd >&2
result $? 'the package can be purged'
files > /test/after
diff /test/before /test/after | sed 's/^/# /'
cmp -s /test/before /test/after
result $? 'purging leaves nothing'
! systemctl list-unit-files | grep -q resnextd
result $? 'systemd knows nothing of it any more'
dpkg -i /test/resnextd.deb >&2 && wait_ready
result $? 'it can be installed anew'
echo '# end'
