#!/bin/sh
# Makes the seeds of fuzz_jpeg: tests/fuzz/make_jpeg_seeds.sh BUILD_FOLDER, in the source folder.
set -eu
out=tests/fuzz/corpus/jpeg
mkdir -p "$out"
seed() {
    name=$1
    shift
    "$build/tests/image/image_cli" make quality=40 "$@" >"$out/$name"
}
build=$1
seed gray width=9 height=10 colour=0
seed ycc_420 width=33 height=20 colour=1 sampling=2x2,1x1
seed ycc_422_restart width=33 height=20 colour=1 sampling=2x1,1x1 restart_rows=1
seed ycc_411 width=40 height=8 colour=1 sampling=4x1,1x1
seed rgb width=8 height=8 colour=2 optimize=1
seed cmyk width=8 height=8 colour=3 optimize=1
seed ycck width=16 height=16 colour=4 sampling=2x2,1x1 optimize=1
seed progressive width=33 height=20 colour=1 sampling=2x2,1x1 scans=2
seed separate_scans width=17 height=17 colour=1 scans=1
seed arithmetic width=17 height=17 colour=1 arithmetic=1
seed arithmetic_progressive width=17 height=17 colour=1 arithmetic=1 scans=2
seed turned width=24 height=9 colour=0 orientation=6 app_markers=2
seed one_pixel width=1 height=1 colour=1
seed tall width=1 height=200 colour=0
seed wide_fast width=300 height=40 colour=0 smooth=1
head -c 200 "$out/progressive" >"$out/cut"
{ head -c -2 "$out/ycc_420"; echo 'a trailer instead of the end marker'; } >"$out/trailer"
top_builddir=$build PYTHONPATH=tests/reference /usr/bin/python3 -B -c '
import sys
from exif_kinds import Tiff
from jpeg_kinds import EOI, split
def read(name): return open(sys.argv[1] + "/" + name, "rb").read()
def write(name, data): open(sys.argv[1] + "/" + name, "wb").write(data)
head, scans = split(read("progressive"))
write("odd_progression", head + b"".join(scans[i] for i in (1, 0, 2, 3, 4, 6, 5, 6, 7, 8, 9)) + EOI)
sos = bytes.fromhex("ffda 0008 01 0100 013f00")
write("many_scans", head + b"".join(scans) + 100 * sos + EOI)
gray = read("gray")
for kind, order in ((5, ">"), (10, "<")):
    tiff = Tiff(order).add(0x10f, "ASCII", 8, b"a maker\0")
    write(f"turned_rational_{kind}", gray[:2] + tiff.orient_rational(kind, 12, 2).app1() + gray[2:])
write("turned_double", gray[:2] + Tiff().orient(8, "DOUBLE", 2).app1() + gray[2:])
' "$out"
: >"$out/empty"
printf '\377\330' >"$out/start_only"
printf '\377\330\377\300\0\016\010\0\001\0\001\002\001\021\0\002\021\0\377\332\0\012\002\001\0\002\0\0\077\0\377\331' >"$out/two_components"
printf '\211PNG\r\n\032\n' >"$out/png"
