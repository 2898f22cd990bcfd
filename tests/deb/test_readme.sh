#!/bin/sh
# README.md and clients/README.md do what they say: their blocks run in order in a fresh system of each release
# of Debian, beside a clone. Needs root, debootstrap and the network. RESNEXT_TEST_ROOT=FOLDER names where the
# systems go; it is removed in the end. Where a host cannot be reached, test_readme.sh --instead HOST=FOLDER
# gives the systems the files of FOLDER as https://HOST/, and says so.
set -u
. "${top_srcdir:-.}/tests/deb/debian.sh"
host=
[ "${1:-}" != --instead ] || { host=${2%%=*} files=${2#*=}; }
address=127.0.77.1 # of HOST, for the systems; loopback of this machine

# Serves FOLDER with a certificate that the systems trust once they have ca-certificates.
serve_instead() {
    mkdir -p "$folder"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$host" \
        -addext "subjectAltName=DNS:$host" -keyout "$folder/key.pem" -out "$folder/cert.pem" 2>> "$log" || exit 1
    /usr/bin/python3 - "$address" "$files" "$folder" 2>> "$log" <<'END' &
import functools, http.server, ssl, sys
address, files, folder = sys.argv[1:]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=files)
server = http.server.ThreadingHTTPServer((address, 443), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + "/cert.pem", folder + "/key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
END
    # shellcheck disable=SC2064 # the process of now
    trap "kill $!; rm -rf \"\$folder\"" EXIT
    (cd "$files" && find . -type f) | sed "s|^\.\(.*\)|# https://$host\1 is $files\1|"
}

# What this machine trusts beside Debian's authorities, for example those of a proxy.
trust_local() { # ROOT
    mkdir -p "$1/usr/local/share/ca-certificates"
    find /usr/local/share/ca-certificates -name '*.crt' -exec cp {} "$1/usr/local/share/ca-certificates" \;
}

trust_instead() { # ROOT
    mkdir -p "$1/usr/local/share/ca-certificates"
    cp "$folder/cert.pem" "$1/usr/local/share/ca-certificates/instead.crt" && echo "$address $host" >> "$1/etc/hosts"
}

begin debootstrap ${host:+openssl}
[ -z "$host" ] || serve_instead
for release in $releases; do
    root=$folder/$release-readme results=$folder/$release-results
    make_root "$release" "$root" sudo && copy_source "$root" && trust_local "$root" && { [ -z "$host" ] || trust_instead "$root"; } &&
        echo 'APT::Get::Assume-Yes "true";' > "$root/etc/apt/apt.conf.d/assume-yes" &&
        { inside "$root" 'sh tests/deb/run_blocks.sh README.md clients/README.md' > "$results" 2>> "$log"; :; }
    grep -qs '^1\.\.[1-9]' "$results"
    result $? "$release: the blocks were run"
    [ -e "$results" ] || { tail -n 20 "$log" | sed 's/^/# /'; continue; }
    while read -r line; do
        case $line in
        '#'*) echo "$line" ;;
        ok*) result 0 "$release: ${line#ok * - }" ;;
        'not ok'*) result 1 "$release: ${line#not ok * - }" ;;
        esac
    done < "$results"
done
end
