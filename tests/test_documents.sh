#!/bin/sh
# The sample configuration and the manual pages say what the code does, and are well formed.
set -u
number=0

result() { # CODE NAME
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then echo "ok $number - $2"; else echo "not ok $number - $2"; fi
}
skip() { # NAME REASON
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

# Writes what --help calls commands, or long options, one a line.
commands_of() { "$top_builddir/resnext" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'; }
options_of() { "$top_builddir/resnextd" --help | sed -n 's/^  --\([a-z-]*\) .*/\1/p' | tr - _; }

echo 1..10
top_srcdir="$top_srcdir" /usr/bin/python3 -B "$top_srcdir/man/options.py" --check
result $? 'sample and manual list the options as options.def has them'

top_srcdir="$top_srcdir" /usr/bin/python3 -B "$top_srcdir/tests/bench/plot.py" --check
result $? 'the plots of README are drawn from the table of BENCHMARKS.md'

/usr/bin/python3 -B "$top_srcdir/tests/check_links.py" "$top_srcdir"
result $? 'the links of the pages lead somewhere'

words=$(wc -w < "$top_srcdir/README.md")
[ "$words" -lt 1800 ] || echo "# $words words"
[ "$words" -lt 1800 ]
result $? 'README has fewer than 1,800 words'

long=$(awk 'length > 80 { print FILENAME ": " $0 }' "$top_srcdir"/man/*.[158])
[ -z "$long" ] || echo "$long" | sed 's/^/# /'
[ -z "$long" ]
result $? 'the lines of the manuals have at most 80 characters'

if command -v mandoc > /dev/null; then
    complaints=$(mandoc -T lint -W style "$top_srcdir/man/resnext.1" "$top_srcdir/man/resnextd.8" \
        "$top_srcdir/man/resnextd.conf.5" 2>&1 | grep -v -e 'referenced manual not found' -e 'outdated mandoc.db')
    [ -z "$complaints" ] || echo "$complaints" | sed 's/^/# /'
    [ -z "$complaints" ]
    result $? 'mandoc has no complaints'
else
    skip 'mandoc has no complaints' 'there is no mandoc'
fi

if [ -x "$top_builddir/resnextd" ]; then
    sed 's/^#\([a-z_]* = .*;\)$/\1/' "$top_srcdir/etc/resnextd.conf" > test_documents.conf
    env -u LISTEN_PID "$top_builddir/resnextd" --config "$top_srcdir/etc/resnextd.conf" --print-config \
        > test_documents.plain &&
        env -u LISTEN_PID "$top_builddir/resnextd" --config test_documents.conf --print-config |
        cmp - test_documents.plain
    result $? 'what the sample shows commented out is the default'
    rm -f test_documents.conf test_documents.plain

    missing=0
    for key in $(options_of); do
        case $key in config | model | check_config | print_config | hash_api_key | help) continue ;; esac
        grep -q "^\.It Ic $key\$" "$top_srcdir/man/resnextd.conf.5" || { echo "# $key"; missing=1; }
    done
    [ -n "$(options_of)" ] && [ $missing -eq 0 ]
    result $? 'every option of --help is in the manual'
else
    skip 'what the sample shows commented out is the default' 'resnextd is not built'
    skip 'every option of --help is in the manual' 'resnextd is not built'
fi

if [ -x "$top_builddir/resnext" ]; then
    missing=0
    for command in $(commands_of); do
        grep -q "^\.It Cm $command\$" "$top_srcdir/man/resnext.1" || { echo "# $command"; missing=1; }
    done
    [ -n "$(commands_of)" ] && [ $missing -eq 0 ]
    result $? 'every command of resnext is in the manual'
else
    skip 'every command of resnext is in the manual' 'resnext is not built'
fi

# What is sent of errors.def: an upload that is too slow and a client that has gone get no answer.
missing=0
for code in $(sed -n 's/^E([A-Z_]*, [0-9]*, "\([a-z_]*\)",.*/\1/p' "$top_srcdir/src/base/errors.def"); do
    case $code in upload_timeout | client_gone) continue ;; esac
    grep -q "^\.Ic .*\b$code\b" "$top_srcdir/man/resnextd.8" || { echo "# $code"; missing=1; }
done
[ $missing -eq 0 ]
result $? 'every code of an error is in the manual'
