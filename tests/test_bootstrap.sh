#!/bin/sh
# bootstrap makes a tree whole that was left half made, in a folder with a space in its name, and says
# what it cannot do.
set -u
folder="$PWD/test bootstrap.$$"
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/tools" "$folder/debian"
cp "$top_srcdir/bootstrap" "$folder/bootstrap"
cp "$top_srcdir/debian/control" "$folder/debian/control"
touch "$folder/configure.ac" "$folder/Makefile.am"

tool() { # NAME SCRIPT
    printf '#!/bin/sh\n%s\n' "$2" > "$folder/tools/$1"
    chmod +x "$folder/tools/$1"
}
tool dpkg-query 'printf "ii "'
tool make ':'
# It makes configure first and Makefile.in last, as the real one does.
tool autoreconf 'echo autoreconf >> runs
    printf "#!/bin/sh\necho configure >> ../runs; touch Makefile\n" > configure
    chmod +x configure
    [ -e interrupt ] && exit 1
    touch Makefile.in'

run() { # TEXT_OF_RUNS
    PATH="$folder/tools:$PATH" "$folder/bootstrap" > "$folder/log" 2>&1
    [ "$(tr '\n' ' ' < "$folder/runs")" = "$1" ] && return
    sed 's/^/# /' "$folder/runs" "$folder/log"
    return 1
}

result() { # CODE NUMBER NAME
    if [ "$1" -eq 0 ]; then echo "ok $2 - $3"; else echo "not ok $2 - $3"; fi
}

echo 1..10
touch "$folder/interrupt"
run 'autoreconf '
result $? 1 'a failure ends it'
rm "$folder/interrupt"
run 'autoreconf autoreconf configure '
result $? 2 'the next run begins anew'
run 'autoreconf autoreconf configure '
result $? 3 'and the one after that does nothing twice'

ln -s "$(realpath "$top_srcdir")/models" "$folder/models"
printf '#!/bin/sh\ncase $* in *-config*) exec "%s" "$@" ;; *) echo "started $*" ;; esac\n' \
    "$(realpath "$top_builddir")/resnextd" > "$folder/build/resnextd"
chmod +x "$folder/build/resnextd"
tool curl 'exit 7'
start() { # OPTION...
    PATH="$folder/tools:$PATH" "$folder/bootstrap" run --listen 127.0.0.1:8123 "$@" > "$folder/log" 2>&1
}
calls() { # OPTION...
    start "$@"
    grep curl "$folder/log" | grep -o 'http://[^/]*' | sort -u
}
echo a-key-of-16-characters | "$top_builddir/resnextd" --hash-api-key > "$folder/keys"
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$folder/key.pem" -out "$folder/cert.pem" -subj /CN=a 2> "$folder/log"
[ "$(calls)" = http://127.0.0.1:8123 ] && [ -z "$(calls --admin-listen 127.0.0.1:8124)" ] &&
    [ -z "$(calls --tls-cert "$folder/cert.pem" --tls-key "$folder/key.pem")" ] &&
    [ -z "$(calls --api-keys "$folder/keys")" ]
result $? 4 'the calls to try are those of the address asked for, where they would work'
[ -z "$(calls --model "$folder/nothing")" ] && start --help && [ "$(cat "$folder/log")" = 'started --listen 127.0.0.1:8123 --help' ]
result $? 5 'nothing is to be tried of a server that will not start'
tool curl 'exit 0'
start && [ "$(cat "$folder/log")" = 'started --listen 127.0.0.1:8123' ]
result $? 6 'nor where another one listens'

# Not root, and no sudo: what to do is one command.
mkdir "$folder/tools/bare"
for name in sh dirname nproc awk find; do
    ln -s "$(command -v $name)" "$folder/tools/bare/$name"
done
tool bare/apt-get 'exit 1'
tool bare/dpkg-query 'exit 1'
tool bare/id 'echo 1000'
env PATH="$folder/tools/bare" "$folder/bootstrap" > "$folder/log" 2>&1
grep -q 'run as root: apt-get install .*autoconf.* libmicrohttpd-dev .*nettle-dev pkgconf$' "$folder/log" &&
    ! grep -qw -e debhelper -e check -e python3 "$folder/log" && ! grep -q '^== installing' "$folder/log"
result $? 7 'without rights it names the packages to install'

# Root without capabilities is an ordinary user.
name='what a run as root has left is named, and how to mend it'
touch "$folder/build/config.log"
if chown 65534 "$folder/build/config.log" 2> "$folder/log"; then
    chmod 644 "$folder/build/config.log"
    ! PATH="$folder/tools:$PATH" setpriv --bounding-set=-all "$folder/bootstrap" > "$folder/log" 2>&1 &&
        [ "$(cat "$folder/log")" = "bootstrap: build/config.log belongs to another user, perhaps from sudo ./bootstrap; run: \
sudo chown -R $(id -un) '$folder'" ]
    result $? 8 "$name"
else
    echo "ok 8 - $name # SKIP only root can make such a file"
fi

# What make says.
unset MAKEFLAGS MFLAGS MAKELEVEL
! make -s -C "$top_builddir" check CHECK_LIBS= > "$folder/log" 2>&1 && grep -q '^make check needs .* package check' "$folder/log"
result $? 9 'make check without libcheck names its package'
make -s -C "$top_builddir" install-data-hook > "$folder/log" 2>&1 && grep -q 'curl --data-binary' "$folder/log" &&
    [ -z "$(make -s -C "$top_builddir" install-data-hook DESTDIR=/a 2>&1)" ]
result $? 10 'make install says what to do next, but not to those who make a package'
