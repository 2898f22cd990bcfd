#!/bin/sh
# bootstrap makes a tree whole that was left half made, in a folder with a space in its name, and says
# what it cannot do.
set -u
folder="$PWD/test bootstrap.$$"
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/tools"
cp "$top_srcdir/bootstrap" "$folder/bootstrap"
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

echo 1..5
touch "$folder/interrupt"
run 'autoreconf '
result $? 1 'a failure ends it'
rm "$folder/interrupt"
run 'autoreconf autoreconf configure '
result $? 2 'the next run begins anew'
run 'autoreconf autoreconf configure '
result $? 3 'and the one after that does nothing twice'

ln -s "$(realpath "$top_builddir")/resnextd" "$folder/build/resnextd"
calls() { # OPTION...
    PATH="$folder/tools:$PATH" "$folder/bootstrap" run --listen 127.0.0.1:8123 --check-config "$@" > "$folder/log" 2>&1
    grep curl "$folder/log" | grep -o 'http://[^/]*' | sort -u
}
[ "$(calls)" = http://127.0.0.1:8123 ] && [ -z "$(calls --admin-listen 127.0.0.1:8124)" ] &&
    [ -z "$(calls --tls-cert a --tls-key b)" ] && [ -z "$(calls --api-keys a)" ]
result $? 4 'the calls to try are those of the address asked for, where they would work'

# Not root, and no sudo: what to do is one command.
mkdir "$folder/tools/bare"
for name in sh dirname nproc; do
    ln -s "$(command -v $name)" "$folder/tools/bare/$name"
done
tool bare/apt-get 'exit 1'
tool bare/dpkg-query 'exit 1'
tool bare/id 'echo 1000'
env PATH="$folder/tools/bare" "$folder/bootstrap" > "$folder/log" 2>&1
grep -q 'as root, please: apt-get install .*autoconf.*nettle-dev$' "$folder/log" && ! grep -q '^== installing' "$folder/log"
result $? 5 'without rights it names the packages to install'
