#!/bin/sh
# run_blocks.sh runs what is to be run, and a block that fails is seen.
set -u
folder=$PWD/test_run_blocks.$$
runner=$(realpath "$top_srcdir")/tests/deb/run_blocks.sh
host=127.77.$(($$ / 250 % 250)).$((1 + $$ % 250)) # of nobody else
mkdir "$folder"
trap 'rm -rf "$folder"' EXIT

number=0
result() { # CODE NAME
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then echo "ok $number - $2"; else echo "not ok $number - $2"; fi
}
run() { # the page is standard input
    cat > "$folder/page.md"
    (cd "$folder" && sh "$runner" page.md) > "$folder/log" 2>&1
    code=$?
    [ "$(grep -E '^(not )?ok |^1\.\.' "$folder/log" | sed 's/ -.*//' | tr '\n' ' ')" = "$1" ] && return $code
    sed 's/^/# /' "$folder/log"
    return 2
}

echo 1..5
run 'ok 1 ok 2 ok 3 1..3 ' <<'END'
```sh
mkdir sub && cd sub
word='two  words'
```
```text
exit 1
```
    exit 1
```console
$ exit 1
```
- indented
  ```sh
  [ "$(basename "$PWD")" = sub ]
  ```
```sh
[ "$word" = 'two  words' ]
```
END
result $? 'blocks run in order, with the folder and the variables of those before; others do not'
run 'ok 1 not ok 2 ok 3 1..3 ' <<'END'
```sh
true
```
```sh
false
true
```
```sh
true
```
END
[ $? -eq 1 ]
result $? 'a block with a command that fails fails, and so does the page'
run '1..0 ' < /dev/null
[ $? -eq 1 ]
result $? 'a page without blocks fails'
daemon=$(realpath "$top_builddir")/resnextd model=$(realpath "$top_srcdir")/models/resnext29-cifar10
run 'ok 1 ok 2 ok 3 ok 4 1..4 ' <<END
\`\`\`sh
$daemon --model $model --listen $host:8080
\`\`\`
\`\`\`sh
$daemon --model $model --listen $host:8081
\`\`\`
\`\`\`sh
RESNEXTD_MODEL=$model $daemon --listen $host:8080
\`\`\`
\`\`\`sh
curl -s -f http://$host:8080/readyz
curl -s -f http://$host:8081/readyz
\`\`\`
END
result $? 'servers are ready for the blocks after them, and give way to the next at their address'
run 'not ok 1 not ok 2 1..2 ' <<END
\`\`\`sh
$daemon --model $folder/nothing --listen $host:8080
\`\`\`
\`\`\`sh
curl -s -f http://$host:8080/readyz
\`\`\`
END
[ $? -eq 1 ] && grep -q '^# .*cannot open .*/nothing' "$folder/log"
result $? 'a server that ends is a block that fails, and shows why'
